// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"encoding/json"
	"fmt"

	"github.com/chartseal/chartseal/builtins"
)

// An object is JSON whose members have exactly the names they are written
// with, each once. What is absent or of another type reads as empty.
type object map[string]any

func parseObject(raw []byte) (object, error) {
	if err := builtins.UniqueMembers(raw); err != nil {
		return nil, fmt.Errorf("its members %w", err)
	}
	var o object
	err := json.Unmarshal(raw, &o)
	return o, err
}

func (o object) object(name string) object {
	inner, _ := o[name].(map[string]any)
	return inner
}

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}
