// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/chartseal/chartseal/builtins"
)

// The wire of Gatekeeper's external data, as far as anybody reads it.
// https://open-policy-agent.github.io/gatekeeper/website/docs/externaldata
const (
	wireVersion  = "externaldata.gatekeeper.sh/v1beta1"
	requestKind  = "ProviderRequest"
	responseKind = "ProviderResponse"
)

// The most that one request may have; what Gatekeeper is told when it has more.
const (
	maxBody = 1 << 20
	maxKeys = 64
	maxKey  = 8 << 10
)

// parseRequest reads a ProviderRequest and gives its keys, each once, in order.
// It fails for what two readers could read in two ways, for another kind, and
// for keys that are no strings or could not be sent back as they came.
func parseRequest(body []byte) ([]string, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("body is not valid UTF-8")
	}
	if err := builtins.UniqueMembers(body); err != nil {
		return nil, fmt.Errorf("contents of the body %w", err)
	}
	var wire struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Request    *struct {
			Keys []*string `json:"keys"`
		} `json:"request"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, errors.New("body is no ProviderRequest, whose keys are strings")
	}
	switch {
	case wire.APIVersion != wireVersion || wire.Kind != requestKind:
		return nil, fmt.Errorf("body is %q %q, want %q %q", builtins.Clip(wire.APIVersion), builtins.Clip(wire.Kind), wireVersion, requestKind)
	case wire.Request == nil || wire.Request.Keys == nil:
		return nil, errors.New("request has no list of keys")
	}
	return distinct(wire.Request.Keys, body)
}

// distinct also refuses half of a surrogate pair, which is written in JSON and
// lost when it is read.
func distinct(all []*string, body []byte) ([]string, error) {
	keys := make([]string, 0, len(all))
	seen := make(map[string]bool, len(all))
	replaced := 0
	for _, key := range all {
		if key == nil {
			return nil, errors.New("a key is null, want a string")
		}
		replaced += strings.Count(*key, string(utf8.RuneError))
		if !seen[*key] {
			keys, seen[*key] = append(keys, *key), true
		}
	}
	if replaced > 0 && replaced > writtenReplacements(body) {
		return nil, errors.New("a key holds half of a surrogate pair")
	}
	return keys, nil
}

// writtenReplacements counts where the body itself has U+FFFD.
func writtenReplacements(body []byte) int {
	return bytes.Count(body, []byte(string(utf8.RuneError))) + bytes.Count(bytes.ToLower(body), []byte(`\ufffd`))
}

// An item is the answer to one key, as it is written.
type item struct {
	key   string
	value []byte // JSON of the report
}

// response writes a ProviderResponse. Items and the error are never about one key.
func response(items []item, systemError string) []byte {
	size := 256 + len(systemError)
	for _, i := range items {
		size += 32 + len(i.key)*5/4 + len(i.value)
	}
	out := slices.Grow([]byte(nil), size)
	out = append(out, `{"apiVersion":"`+wireVersion+`","kind":"`+responseKind+`","response":{"idempotent":true,"items":[`...)
	for n, i := range items {
		if n > 0 {
			out = append(out, ',')
		}
		out = append(append(out, `{"key":`...), quoted(i.key)...)
		out = append(append(append(out, `,"value":`...), i.value...), '}')
	}
	out = append(append(out, `],"systemError":`...), quoted(systemError)...)
	return append(out, "}}\n"...)
}

func quoted(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return text
}
