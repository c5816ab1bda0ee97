// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/chartseal/chartseal/cmd/chartseal/review"
)

func printReviewJSON(w io.Writer, results []review.Result) error {
	type document struct {
		File string `json:"file"`
		Line int    `json:"line"`
		Name string `json:"name"`
		review.Result
	}
	documents := make([]document, len(results))
	for i, r := range results {
		documents[i] = document{r.File, r.Line(""), r.Name(), r}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"documents": documents, "summary": summarise(results)})
}

// levels are the words of others for what a policy wants done.
var levels = map[string]struct{ github, sarif string }{
	"deny": {"error", "error"}, "warn": {"warning", "warning"}, "dryrun": {"notice", "note"},
}

func printReviewGitHub(w io.Writer, results []review.Result) (err error) {
	for _, r := range results {
		for _, s := range said(r) {
			_, wrong := fmt.Fprintf(w, "::%s file=%s,line=%d,title=%s::%s: %s%s\n", levels[s.action].github,
				property(r.File), r.Line(s.Via()), property(s.by()), message(r.Name()), message(s.Message), message(s.suffix()))
			err = errors.Join(err, wrong)
		}
	}
	return err
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string         `xml:"classname,attr"`
	Name    string         `xml:"name,attr"`
	Failure []junitMessage `xml:"failure"`
	Error   []junitMessage `xml:"error"`
	Skipped *junitMessage  `xml:"skipped"`
	Out     string         `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
}

// printJUnit gives each file as a suite and each document as a case. What could
// not be judged is an error, what was rejected a failure.
func printJUnit(w io.Writer, results []review.Result) error {
	var all junitSuites
	for _, r := range results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != r.File {
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		suite := &all.Suites[len(all.Suites)-1]
		suite.add(r)
	}
	for _, suite := range all.Suites {
		all.Tests += suite.Tests
		all.Failures += suite.Failures
		all.Errors += suite.Errors
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (suite *junitSuite) add(r review.Result) {
	one := caseOf(r)
	suite.Tests++
	switch {
	case len(one.Failure) > 0:
		suite.Failures++
	case len(one.Error) > 0:
		suite.Errors++
	case one.Skipped != nil:
		suite.Skipped++
	}
	suite.Cases = append(suite.Cases, one)
}

func caseOf(r review.Result) junitCase {
	one := junitCase{Class: r.File, Name: fmt.Sprintf("%s (line %d)", r.Name(), r.Line(""))}
	var out []string
	for _, s := range said(r) {
		said := junitMessage{Message: fmt.Sprintf("[%s] %s", s.by(), s.Message), Type: s.Code()}
		switch {
		case s.action != "deny":
			out = append(out, s.action+" "+said.Message)
		case s.Undecided():
			one.Error = append(one.Error, said)
		default:
			one.Failure = append(one.Failure, said)
		}
	}
	one.Out = strings.Join(out, "\n")
	if !r.Judged && len(one.Failure)+len(one.Error) == 0 {
		one.Skipped = &junitMessage{Message: "no policy is about it"}
	}
	return one
}
