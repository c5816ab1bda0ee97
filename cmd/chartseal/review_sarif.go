// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"

	"github.com/chartseal/chartseal/cmd/chartseal/review"
)

// What SARIF calls the parts of a log. Those that a reader needs are a few lines;
// a library for all of them costs every command of ours at its start.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPlace `json:"physicalLocation"`
	}
	sarifPlace struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// printSARIF gives each code of each policy as a rule.
func printSARIF(w io.Writer, results []review.Result) error {
	driver := sarifDriver{Name: "chartseal", Version: version, InformationURI: "https://github.com/chartseal/chartseal", Rules: []sarifRule{}}
	run, known := sarifRun{Results: []sarifResult{}}, map[string]bool{}
	for _, r := range results {
		for _, s := range said(r) {
			if rule := s.rule(); !known[rule] {
				known[rule] = true
				driver.Rules = append(driver.Rules, sarifRule{rule})
			}
			run.Results = append(run.Results, sarifOf(r, s))
		}
	}
	run.Tool = sarifTool{driver}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifOf(r review.Result, s statement) sarifResult {
	at := sarifPlace{sarifArtifact{uriOf(r.File)}, sarifRegion{r.Line(s.Via())}}
	return sarifResult{s.rule(), levels[s.action].sarif, sarifText{r.Name() + ": " + s.Message}, []sarifLocation{{at}}}
}

// uriOf is a file's path as a relative reference, which escapes what a URI may
// not hold.
func uriOf(file string) string {
	if file == "-" {
		return "stdin"
	}
	return (&url.URL{Path: filepath.ToSlash(file)}).String()
}

func (s statement) rule() string {
	if s.Code() == "" {
		return s.Policy
	}
	return s.Policy + "/" + s.Code()
}
