// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
// It fails for what two readers could read in two ways (a member twice, more
// than one value, text that is not UTF-8 or has half of a surrogate pair, so
// that a key could not be sent back as it came), for another kind, and for keys
// that are no strings.
func parseRequest(body []byte) ([]string, error) {
	var wire struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Request    *struct {
			Keys []*string `json:"keys"`
		} `json:"request"`
	}
	var syntax *jsontext.SyntacticError
	switch err := json.Unmarshal(body, &wire); {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, errors.New("body names a member twice")
	case errors.As(err, &syntax):
		return nil, errors.New("body is not one JSON value in UTF-8")
	case err != nil:
		return nil, errors.New("body is no ProviderRequest, whose keys are strings")
	case wire.APIVersion != wireVersion || wire.Kind != requestKind:
		return nil, fmt.Errorf("apiVersion and kind are %q and %q, want %q and %q", builtins.Clip(wire.APIVersion), builtins.Clip(wire.Kind), wireVersion, requestKind)
	case wire.Request == nil || wire.Request.Keys == nil:
		return nil, errors.New("request has no list of keys")
	}
	return distinct(wire.Request.Keys)
}

func distinct(all []*string) ([]string, error) {
	keys := make([]string, 0, len(all))
	seen := make(map[string]bool, len(all))
	for _, key := range all {
		if key == nil {
			return nil, errors.New("a key is null, want a string")
		}
		if !seen[*key] {
			keys, seen[*key] = append(keys, *key), true
		}
	}
	return keys, nil
}

// item is the answer to one key.
func item(key string, report []byte) []byte {
	raw := append([]byte(`{"key":`), quoted(key)...)
	raw = append(append(raw, `,"value":`...), report...)
	return append(raw, '}')
}

// appendResponse writes a ProviderResponse. Items and the error are never about
// one key.
func appendResponse(out []byte, items [][]byte, systemError string) []byte {
	out = append(out, `{"apiVersion":"`+wireVersion+`","kind":"`+responseKind+`","response":{"idempotent":true,"items":[`...)
	for n, i := range items {
		if n > 0 {
			out = append(out, ',')
		}
		out = append(out, i...)
	}
	out = append(append(out, `],"systemError":`...), quoted(systemError)...)
	return append(out, "}}\n"...)
}

func quoted(s string) []byte {
	text, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic(err) // what is asked is UTF-8, and so is what we say
	}
	return text
}
