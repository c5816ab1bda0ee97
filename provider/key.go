// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// A question is what a key asks.
type question struct {
	key   string
	check *builtins.Builtin
	opts  []byte
	ref   chartref.Ref
}

// parseKey reads the canonical JSON of a request, {"check", "opts", "ref"}. An
// error is the verdict on the key itself, and a rejection:
//
//   - TooLarge for more than 8 KiB;
//   - InvalidReference for what is not one JSON object, unambiguously;
//   - InvalidOptions for a check that there is none of, and for members that a
//     request does not have: the policy's author writes those.
//
// What is wrong with reference and options is left to the check, which always
// answers.
func parseKey(table map[string]*builtins.Builtin, key string) (question, error) {
	if len(key) > maxKey {
		return question{}, builtins.Errorf(builtins.TooLarge, "the key has %d bytes, at most %d are read", len(key), maxKey)
	}
	raw := []byte(key)
	if err := builtins.UniqueMembers(raw); err != nil {
		return question{}, builtins.Errorf(builtins.InvalidReference, "contents of the key %w: want an object of check, opts and ref", err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return question{}, builtins.Errorf(builtins.InvalidReference, "the key is no object of check, opts and ref")
	}
	check, err := find(table, members)
	if err != nil {
		return question{}, err
	}
	opts := members["opts"]
	if opts == nil {
		opts = json.RawMessage("{}")
	}
	return question{key, check, opts, readRef(members["ref"])}, nil
}

func find(table map[string]*builtins.Builtin, members map[string]json.RawMessage) (*builtins.Builtin, error) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != "check" && name != "opts" && name != "ref" {
			return nil, builtins.Errorf(builtins.InvalidOptions, "the key has the unknown member %q; known are check, opts, ref", builtins.Clip(name))
		}
	}
	var name string
	if err := json.Unmarshal(members["check"], &name); err != nil {
		return nil, builtins.Errorf(builtins.InvalidOptions, "the key names no check; known are %s", known(table))
	}
	check, ok := table[name]
	if !ok {
		return nil, builtins.Errorf(builtins.InvalidOptions, "there is no check %q; known are %s", builtins.Clip(name), known(table))
	}
	return check, nil
}

func known(table map[string]*builtins.Builtin) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}

// readRef gives a reference in any case: one that is none carries its fault.
func readRef(raw json.RawMessage) chartref.Ref {
	if raw == nil || bytes.Equal(raw, []byte("null")) {
		return chartref.FromValue(nil)
	}
	return chartref.FromJSON(raw)
}

// host is the host that a reference leads to first: checks of one host take
// turns. What leads to none has turns of its own.
func (q question) host() string { return q.ref.Host }

// without is that there is no verdict.
func (p *Provider) without(q question, code builtins.Code, why string) *verdict {
	rep := builtins.Verdict(builtins.Errorf(code, "%s", why))
	rep.Ref, rep.Evidence = builtins.Printable(q.ref.String()), q.check.Evidence
	return p.verdict(q.key, q.check.Name, rep, time.Time{})
}
