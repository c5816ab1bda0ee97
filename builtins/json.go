// SPDX-License-Identifier: Apache-2.0

package builtins

import (
	"bytes"
	"encoding/json"
	"errors"
)

// UniqueMembers refuses what two readers of JSON could read differently: an
// object that names a member twice, and more than one value. It bounds the
// nesting, too.
func UniqueMembers(raw []byte) error {
	if !json.Valid(raw) {
		return errors.New("are not JSON")
	}
	return uniqueKeys(json.NewDecoder(bytes.NewReader(raw)))
}
