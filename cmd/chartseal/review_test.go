// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/chartseal/chartseal/cmd/chartseal/review"
)

// reviewed is one result of each sort.
func reviewed(t *testing.T) []review.Result {
	t.Helper()
	documents, err := review.Documents("a folder/ä&b.yaml", []byte("kind: A\nmetadata: {name: <web>}\n---\nkind: B\n---\nkind: C\n---\nkind: D\n"))
	if err != nil {
		t.Fatal(err)
	}
	rejected := review.Violation{Message: `it is "bad" & <worse>`, Policy: "names", Constraint: "ours", Details: map[string]any{"code": "bad_name", "outcome": "rejected", "via": "metadata.name"}}
	undecided := review.Violation{Message: "nobody knows", Policy: "names", Details: map[string]any{"code": "unavailable", "outcome": "undecided"}}
	plain := review.Violation{Message: "a policy of few words", Policy: "other"}
	return []review.Result{
		{Document: documents[0], Judged: true, Deny: []review.Violation{rejected, undecided}},
		{Document: documents[1], Judged: true, Deny: []review.Violation{undecided}},
		{Document: documents[2], Judged: true, Warn: []review.Violation{plain}, Dryrun: []review.Violation{rejected}},
		{Document: documents[3]},
	}
}

// What we write by hand, a library for all of SARIF reads and finds valid.
func TestSARIF(t *testing.T) {
	for _, results := range [][]review.Result{reviewed(t), {}} {
		var log bytes.Buffer
		if err := printSARIF(&log, results); err != nil {
			t.Fatal(err)
		}
		report, err := sarif.FromBytes(log.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		// What may be absent, the library writes empty all the same.
		run := report.Runs[0]
		run.Language, run.Tool.Driver.Language, run.NewlineSequences = "en-US", "en-US", []string{"\n"}
		if err := report.Validate(); err != nil {
			t.Errorf("log is not valid: %v\n%s", err, log.String())
		}
		if len(results) == 0 {
			continue
		}
		var levels string
		for _, result := range run.Results {
			levels += " " + *result.RuleID + "=" + result.Level
		}
		if run.Results[0].Level = "fatal"; report.Validate() == nil {
			t.Error("a level that SARIF lacks is valid")
		}
		if want := " names/bad_name=error names/unavailable=error names/unavailable=error other=warning names/bad_name=note"; levels != want {
			t.Errorf("results are%s, want%s", levels, want)
		}
	}
}

func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	if err := printJUnit(&out, reviewed(t)); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	suite := got.Suites[0]
	if got.Tests != 4 || got.Failures != 1 || got.Errors != 1 || suite.Skipped != 1 || len(got.Suites) != 1 {
		t.Errorf("counts are %+v, want 4 tests, 1 failure, 1 error and 1 skipped", got)
	}
	if m := suite.Cases[0].Failure[0].Message; m != `[ours] it is "bad" & <worse>` {
		t.Errorf("message is %q", m)
	}
	if m := suite.Cases[2].Out; m != "warn [other] a policy of few words\ndryrun [ours] it is \"bad\" & <worse>" {
		t.Errorf("what is only said is %q", m)
	}
}

// What a document or a policy says writes no line of its own.
func TestGitHubLines(t *testing.T) {
	results := reviewed(t)[:1]
	results[0].Deny = results[0].Deny[:1]
	results[0].Deny[0].Message = "a\n::error::b, 100%"
	var out bytes.Buffer
	if err := printReviewGitHub(&out, results); err != nil {
		t.Fatal(err)
	}
	const want = "::error file=a folder/ä&b.yaml,line=2,title=ours::A <web>: a%0A::error::b, 100%25 (bad_name)\n"
	if out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
}

func TestPrettyLines(t *testing.T) {
	results := reviewed(t)[:1]
	results[0].File, results[0].Deny = "a\n::stop-commands::x.yaml", results[0].Deny[:1]
	results[0].Deny[0].Message = "b\n::error::\x1b[2J"
	var out bytes.Buffer
	if err := printReview(&out, results); err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(out.Bytes(), []byte("\n")); lines != 3 || bytes.ContainsRune(out.Bytes(), '\x1b') {
		t.Errorf("wrote %q, want three lines of ours", out.String())
	}
}

// The codes that one document gives: what was rejected counts more than what
// was not judged, and what is only said counts nothing.
func TestDenied(t *testing.T) {
	for i, want := range []int{exitRejected, exitUndecided, 0, 0} {
		if got := denied(reviewed(t)[i]); got != want {
			t.Errorf("document %d gives %d, want %d", i, got, want)
		}
	}
}
