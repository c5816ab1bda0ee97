// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/cmd/chartseal/review"
)

func reviewCommand() *cobra.Command {
	var c reviewing
	cmd := own(&cobra.Command{
		Use:   "review FILE|DIR|-...",
		Args:  cobra.ArbitraryArgs,
		Short: "Judge manifests by policies about the charts that they name",
		Long: `Judge every document of YAML and JSON files: Kubernetes objects, items of lists,
admission reviews. Of a folder all such files are read, and - is the standard input.
All documents are judged by one query: what several of them ask is asked once, and
each may refer to the others.

Policies are the shipped ones, or with --policies those of Rego files and folders
with packages below policies. --params takes constraints as a cluster has them: they
say which policies judge, with which parameters, and whether they deny, warn or
neither (dryrun). Without them every policy judges, and has no parameters.

An output is a format or, to write it to a file, FORMAT=FILE; there may be several.

Exit codes: 0 nothing was denied, 1 something was, 2 wrong usage, a document that
cannot be read, or nothing that any policy judges, 3 what was denied could not be
judged, as when a registry does not answer.`,
		Example: `  chartseal review manifests/
  chartseal review --params constraints.yaml -o sarif=review.sarif -o pretty manifests/
  helm template web | chartseal review -`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return c.run(ctx, cmd.InOrStdin(), cmd.OutOrStdout(), paths)
		},
	})
	cmd.Flags().StringArrayVarP(&c.policies, "policies", "d", nil, "Rego file or folder with policies, in place of the shipped ones")
	cmd.Flags().StringArrayVar(&c.params, "params", nil, "YAML file or folder with constraints")
	cmd.Flags().StringArrayVarP(&c.outputs, "output", "o", []string{"pretty"}, "pretty, json, github, sarif or junit, or FORMAT=FILE")
	cmd.Flags().BoolVar(&c.allowEmpty, "allow-empty", false, "end with 0 if there is nothing that any policy judges")
	completeOutput(cmd, []string{"pretty", "json", "github", "sarif", "junit"})
	return cmd
}

// A reviewing is what the flags ask for.
type reviewing struct {
	policies, params, outputs []string
	allowEmpty                bool
}

func (c reviewing) run(ctx context.Context, stdin io.Reader, stdout io.Writer, paths []string) error {
	outputs, err := outputsOf(c.outputs)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return usage("there is nothing to review: name files, folders, or - for the standard input")
	}
	documents, err := review.Read(paths, stdin)
	if err != nil {
		return usage("%v", err)
	}
	judge, err := review.NewJudge(c.policies, c.params)
	if err != nil {
		return usage("%v", err)
	}
	results, err := judge.Documents(ctx, documents, time.Now())
	if err != nil {
		return usage("judging: %v", err)
	}
	return errors.Join(write(stdout, outputs, results), c.conclude(results))
}

// conclude turns results into an exit code. What was rejected counts more than
// what could not be judged, and no result at all is not a good one.
func (c reviewing) conclude(results []review.Result) error {
	total := summarise(results)
	switch {
	case total.Rejected > 0:
		return exitError{code: exitRejected}
	case total.Undecided > 0:
		return exitError{code: exitUndecided}
	case total.Judged == 0 && !c.allowEmpty:
		return usage("nothing was judged: no policy is about any of %s; --allow-empty lets that pass", plural(len(results), "document"))
	}
	return nil
}

// A summary counts documents, and what policies say beside denying them.
type summary struct {
	Documents int `json:"documents"`
	Judged    int `json:"judged"`
	Rejected  int `json:"rejected"`
	Undecided int `json:"undecided"`
	Warnings  int `json:"warnings"`
	Dryrun    int `json:"dryrun"`
}

func summarise(results []review.Result) summary {
	total := summary{Documents: len(results)}
	for _, r := range results {
		if r.Judged {
			total.Judged++
		}
		switch denied(r) {
		case exitRejected:
			total.Rejected++
		case exitUndecided:
			total.Undecided++
		}
		total.Warnings += len(r.Warn)
		total.Dryrun += len(r.Dryrun)
	}
	return total
}

// denied is the exit code that one document alone gives.
func denied(r review.Result) int {
	code := 0
	for _, v := range r.Deny {
		if !v.Undecided() {
			return exitRejected
		}
		code = exitUndecided
	}
	return code
}

// An output is a format and where it goes: "" is the standard output.
type output struct {
	print func(io.Writer, []review.Result) error
	file  string
}

var reviewFormats = map[string]func(io.Writer, []review.Result) error{
	"pretty": printReview, "json": printReviewJSON, "github": printReviewGitHub, "sarif": printSARIF, "junit": printJUnit,
}

// outputsOf reads the flags -o. What two outputs write into one place nobody
// can read.
func outputsOf(flags []string) (outputs []output, err error) {
	places := map[string]bool{}
	for _, flag := range flags {
		format, file, named := strings.Cut(flag, "=")
		print, ok := reviewFormats[format]
		switch {
		case !ok:
			return nil, usage("output %q is none of pretty, json, github, sarif and junit", format)
		case named && file == "":
			return nil, usage("output %q names no file", flag)
		case places[file]:
			return nil, usage("two outputs have one place; write all but one to files of their own, as -o %s=FILE", format)
		}
		places[file] = true
		outputs = append(outputs, output{print, file})
	}
	return outputs, nil
}

func write(stdout io.Writer, outputs []output, results []review.Result) (err error) {
	for _, o := range outputs {
		if o.file == "" {
			err = errors.Join(err, o.print(stdout, results))
			continue
		}
		err = errors.Join(err, writeFile(o, results))
	}
	return err
}

func writeFile(o output, results []review.Result) error {
	file, err := os.Create(o.file)
	if err != nil {
		return usage("%v", err)
	}
	if err := errors.Join(o.print(file, results), file.Close()); err != nil {
		return usage("writing %s: %v", o.file, err)
	}
	return nil
}

// A statement is a violation with what a policy wants done about it.
type statement struct {
	review.Violation
	action string
}

// said is all that is said of a document, the worst first.
func said(r review.Result) (all []statement) {
	for _, each := range []struct {
		action     string
		violations []review.Violation
	}{{"deny", r.Deny}, {"warn", r.Warn}, {"dryrun", r.Dryrun}} {
		for _, v := range each.violations {
			all = append(all, statement{v, each.action})
		}
	}
	return all
}

// by names the constraint that says it, or the policy where there is none.
func (s statement) by() string {
	if s.Constraint != "" {
		return s.Constraint
	}
	return s.Policy
}

func printReview(w io.Writer, results []review.Result) error {
	for _, r := range results {
		statements := said(r)
		if len(statements) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s:%d: %s\n", oneLine(r.File), r.Line(""), r.Name())
		for _, s := range statements {
			fmt.Fprintf(w, "  %-6s [%s] %s%s\n", s.action, oneLine(s.by()), oneLine(s.Message), s.suffix())
		}
	}
	total := summarise(results)
	_, err := fmt.Fprintf(w, "%s, %d judged: %d rejected, %d undecided, %s%s\n",
		plural(total.Documents, "document"), total.Judged, total.Rejected, total.Undecided, plural(total.Warnings, "warning"), dryrun(total))
	return err
}

// dryrun counts what would be denied, where a constraint says so.
func dryrun(total summary) string {
	if total.Dryrun == 0 {
		return ""
	}
	return fmt.Sprintf(", %d in dryrun", total.Dryrun)
}

// oneLine keeps what others wrote, be it the name of a file, from writing lines
// of its own, which a CI system might take for commands.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// suffix is the code, where the message does not end with it as those of the
// library do.
func (s statement) suffix() string {
	switch {
	case strings.HasSuffix(s.Message, s.Code()+")"):
		return ""
	case s.Undecided():
		return " (undecided: " + s.Code() + ")"
	case s.Code() != "":
		return " (" + s.Code() + ")"
	}
	return ""
}
