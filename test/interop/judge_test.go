// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"

	"github.com/chartseal/chartseal/builtins"
)

// A question is one call of helm.verify_prov_report and the answer it must get.
type question struct {
	name    string
	ref     any
	ring    []byte
	opts    map[string]any // besides the keyring
	want    builtins.Code
	signers []string // fingerprints, in any order
}

// options are the question's with its ring inline.
func (q question) options() map[string]any {
	all := map[string]any{"keyring": base64.StdEncoding.EncodeToString(q.ring)}
	maps.Copy(all, q.opts)
	return all
}

// A report is what both engines answer.
type report struct {
	Verified bool
	Code     builtins.Code
	Reason   string
	Chart    struct{ Name, Version, Digest string }
	Signers  []struct{ Kind, Fingerprint string }
}

// check compares a report with what the question wants.
func (q question) check(t *testing.T, got report) {
	t.Helper()
	if got.Code != q.want || got.Verified != (q.want == builtins.OK) {
		t.Fatalf("code is %s, want %s: %s", got.Code, q.want, got.Reason)
	}
	found := map[string]bool{}
	for _, s := range got.Signers {
		found[s.Fingerprint] = true
	}
	for _, want := range q.signers {
		if !found[want] {
			t.Errorf("signers are %v, want %s among them", got.Signers, want)
		}
	}
	if len(q.signers) > 0 && len(found) != len(q.signers) {
		t.Errorf("signers are %v, want %d", got.Signers, len(q.signers))
	}
}

// evaluate asks our command line everything in one evaluation.
func evaluate(t *testing.T, questions []question, args ...string) []report {
	t.Helper()
	bin, err := chartsealBinary()
	if err != nil {
		t.Fatal(err)
	}
	var input []map[string]any
	for _, q := range questions {
		input = append(input, map[string]any{"ref": q.ref, "opts": q.options()})
	}
	stdin, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	const query = "[report | some call in input; report := helm.verify_prov_report(call.ref, call.opts)]"
	args = append([]string{"eval", "--format", "json", "--stdin-input", query}, args...)
	var answer struct {
		Result []struct{ Expressions []struct{ Value []report } }
	}
	out := command{dir: workspace, stdin: stdin, path: bin, args: args}.must(t)
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Result) != 1 {
		t.Fatalf("%v in the answer %.1000s", err, out)
	}
	reports := answer.Result[0].Expressions[0].Value
	if len(reports) != len(questions) {
		t.Fatalf("%d reports for %d questions", len(reports), len(questions))
	}
	return reports
}
