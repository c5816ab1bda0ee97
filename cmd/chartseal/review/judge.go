// SPDX-License-Identifier: Apache-2.0

package review

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// A Judge is policies with the constraints that switch them on.
type Judge struct {
	modules     modules
	constraints map[string]any
}

// NewJudge takes policies from Rego files and folders, the shipped ones if none
// are given, and constraints from YAML and JSON files. Without constraints every
// policy judges, and has no parameters.
func NewJudge(policies, params []string) (*Judge, error) {
	modules, err := policiesIn(policies)
	if err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	constraints, err := constraintsIn(params)
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	return &Judge{modules, constraints}, nil
}

const constraintGroup = "constraints.gatekeeper.sh/"

func constraintsIn(params []string) (map[string]any, error) {
	if len(params) == 0 {
		return nil, nil
	}
	documents, err := Read(params, strings.NewReader(""))
	if err != nil {
		return nil, err
	}
	constraints := map[string]any{}
	for _, d := range documents {
		if !strings.HasPrefix(text(d.Object["apiVersion"]), constraintGroup) {
			return nil, fmt.Errorf("%s:%d: %s is no constraint: its apiVersion is %q", d.File, d.Line(""), d.Name(), text(d.Object["apiVersion"]))
		}
		if constraints[d.Name()] != nil {
			return nil, fmt.Errorf("%s:%d: %s is there twice", d.File, d.Line(""), d.Name())
		}
		constraints[d.Name()] = d.Object
	}
	if len(constraints) == 0 {
		return nil, errors.New("there is no constraint")
	}
	return constraints, nil
}

// A Result is what the policies say of one document.
type Result struct {
	Document `json:"-"`
	Deny     []Violation `json:"deny"`
	Warn     []Violation `json:"warn"`
	Dryrun   []Violation `json:"dryrun"`
	Judged   bool        `json:"judged"` // by any policy
}

// A Violation is one thing that a policy says.
type Violation struct {
	Message    string         `json:"msg"`
	Details    map[string]any `json:"details"`
	Policy     string         `json:"policy"`
	Constraint string         `json:"constraint"`
}

// Undecided says that no verdict was possible, for now.
func (v Violation) Undecided() bool { return v.Details["outcome"] == "undecided" }

// Code is why; "" if the policy gives none.
func (v Violation) Code() string { return text(v.Details["code"]) }

// Via is the field that the violation is about; "" if the policy names none.
func (v Violation) Via() string { return text(v.Details["via"]) }

// Documents judges documents by one query: what several of them ask is asked
// once, and each may refer to the others. The results are in their order.
func (j *Judge) Documents(ctx context.Context, documents []Document, at time.Time) ([]Result, error) {
	objects := make([]any, len(documents))
	for i, d := range documents {
		objects[i] = d.Object
	}
	value, err := j.ask(ctx, map[string]any{"documents": objects}, at)
	if err != nil {
		return nil, err
	}
	var results []Result
	if err := remake(value, &results); err != nil {
		return nil, fmt.Errorf("the policies gave no results: %w", err)
	}
	if len(results) != len(documents) {
		return nil, fmt.Errorf("the policies gave %d results for %d documents", len(results), len(documents))
	}
	for i := range results {
		results[i].Document = documents[i]
	}
	return results, nil
}

func (j *Judge) ask(ctx context.Context, input any, at time.Time) (any, error) {
	data := map[string]any{}
	if j.constraints != nil {
		data["constraints"] = j.constraints
	}
	options := []func(*rego.Rego){
		rego.Query("data.main.results"), rego.Store(inmem.NewFromObject(data)), rego.Input(input), rego.Time(at),
	}
	for _, module := range j.modules {
		options = append(options, rego.ParsedModule(module))
	}
	answers, err := rego.New(options...).Eval(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(answers) != 1 || len(answers[0].Expressions) != 1:
		return nil, errors.New("the policies gave no results")
	}
	return answers[0].Expressions[0].Value, nil
}

func remake(value, into any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
