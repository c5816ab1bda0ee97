// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/builtins/helm"
)

// verifyCommand is for people who know helm verify and cosign verify.
func verifyCommand(env *builtins.Env) *cobra.Command {
	var v verification
	cmd := own(&cobra.Command{
		Use:   "verify CHART...",
		Args:  cobra.ArbitraryArgs,
		Short: "Verify who signed charts, as helm verify and cosign verify do",
		Long: `Verify charts against the trust that is given, and nothing else: --keyring for a
provenance file, --key or an identity for signatures by cosign, --lock for the
dependencies. Of several, all must hold. A CHART is an archive, a URL or an oci://
reference.

A keyring, key or trusted root that has neither slash nor dot is a name in the trust
directory of the configuration. Anything else is a file; write ./NAME for one whose
name has no dot. A regular expression must match the whole identity or issuer.

Exit codes: 0 verified, 1 a chart was rejected, 2 wrong usage, no trust or no chart,
3 nothing was rejected, and a chart could not be judged.`,
		Example: `  chartseal verify --keyring pubring.gpg web-1.2.3.tgz
  chartseal verify --key cosign.pub oci://registry.example.com/charts/web:1.2.3
  chartseal verify --certificate-identity release@example.com --certificate-oidc-issuer https://accounts.example.com \
    --trusted-root trusted_root.json oci://registry.example.com/charts/web:1.2.3`,
		RunE: func(cmd *cobra.Command, charts []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return v.run(ctx, env, cmd.OutOrStdout(), charts)
		},
	})
	v.flags(cmd)
	return cmd
}

// A verification is what the flags ask for.
type verification struct {
	trust  trustFlags
	lock   bool
	output string
}

func (v *verification) flags(cmd *cobra.Command) {
	v.trust.flags(cmd)
	cmd.Flags().BoolVar(&v.lock, "lock", false, "check locks, contents and bytes of the dependencies too, as chart.lock_ok does")
	outputFlag(cmd, &v.output, "pretty", "json")
}

func (v verification) run(ctx context.Context, env *builtins.Env, w io.Writer, charts []string) error {
	print, ok := map[string]func(io.Writer, []verdict) error{"pretty": printVerdicts, "json": printVerdictsJSON}[v.output]
	if !ok {
		return usage("output %q is neither pretty nor json", v.output)
	}
	checks, err := v.checks(env)
	switch {
	case err != nil:
		return err
	case len(checks) == 0:
		return usage("there is no trust: give --keyring, --key, or --certificate-identity with --certificate-oidc-issuer and --trusted-root")
	case len(charts) == 0:
		return usage("there is no chart to verify")
	}
	verdicts := verifyAll(ctx, env, charts, checks)
	reports := reportsOf(verdicts)
	for _, r := range reports {
		if r.Code == builtins.InvalidOptions {
			return usage("%s", v.trust.explain(r.Reason))
		}
	}
	if err := print(w, verdicts); err != nil {
		return err
	}
	return verdictOf(reports)
}

// A question is a check with its options.
type question struct {
	check *builtins.Builtin
	opts  []byte
}

func (v verification) checks(env *builtins.Env) (checks []question, err error) {
	ask := func(check *builtins.Builtin, opts map[string]any, wrong error) {
		if opts == nil || err != nil || wrong != nil {
			err = firstOf(err, wrong)
			return
		}
		raw, wrong := json.Marshal(opts)
		checks, err = append(checks, question{check, raw}), wrong
	}
	prov, wrong := v.trust.provenance(env)
	ask(helm.VerifyProv, prov, wrong)
	signatures, wrong := v.trust.signatures(env)
	ask(cosign.Verify, signatures, wrong)
	if v.lock {
		ask(chart.LockOK, map[string]any{}, nil)
	}
	return checks, err
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// A verdict is what all checks say of one chart.
type verdict struct {
	Chart   string           `json:"chart"`
	Outcome builtins.Outcome `json:"outcome"`
	Reports []answer         `json:"reports"`
}

// An answer is what one check says.
type answer struct {
	Check  string          `json:"check"`
	Report builtins.Report `json:"report"`
}

// verifyAll asks every question of every chart; the verdicts are in the order
// of the charts, their answers in that of the questions.
func verifyAll(ctx context.Context, env *builtins.Env, charts []string, checks []question) []verdict {
	at := *env
	at.Now = time.Now()
	verdicts := make([]verdict, len(charts))
	for i, name := range charts {
		verdicts[i] = verdict{Chart: name, Reports: make([]answer, len(checks))}
	}
	sideBySide(len(charts)*len(checks), func(i int) {
		asked, q := i/len(checks), checks[i%len(checks)]
		verdicts[asked].Reports[i%len(checks)] = answer{q.check.Name, q.check.Call(ctx, &at, chartref.Parse(charts[asked]), q.opts)}
	})
	for i := range verdicts {
		verdicts[i].Outcome = worst(reportsOf(verdicts[i : i+1]))
	}
	return verdicts
}

func reportsOf(verdicts []verdict) (reports []builtins.Report) {
	for _, v := range verdicts {
		for _, a := range v.Reports {
			reports = append(reports, a.Report)
		}
	}
	return reports
}

// worst is the outcome of checks that must all hold.
func worst(reports []builtins.Report) builtins.Outcome {
	outcome := builtins.Verified
	for _, r := range reports {
		switch {
		case r.Outcome == builtins.Rejected:
			return builtins.Rejected
		case !r.Verified:
			outcome = builtins.Undecided
		}
	}
	return outcome
}

func printVerdictsJSON(w io.Writer, verdicts []verdict) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(verdicts)
}

// printVerdicts tells people, in the words of helm and cosign where they have
// some.
func printVerdicts(w io.Writer, verdicts []verdict) error {
	count := map[builtins.Outcome]int{}
	for i, v := range verdicts {
		count[v.Outcome]++
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s\n", v.Chart, v.Outcome)
		for _, a := range v.Reports {
			printAnswer(w, a)
		}
	}
	if len(verdicts) == 1 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%d charts: %d verified, %d rejected, %d undecided\n", len(verdicts), count[builtins.Verified], count[builtins.Rejected], count[builtins.Undecided])
	return err
}

func printAnswer(w io.Writer, a answer) {
	r := a.Report
	if r.Verified {
		printSigners(w, r)
	} else {
		fmt.Fprintf(w, "Error: %s: %s\n", r.Code, r.Reason)
	}
	printFound(w, r)
	printChecks(w, "The following checks were performed by "+a.Check+":", r.Checks, builtins.Pass, builtins.Fail)
	printChecks(w, "The following checks were not performed:", r.Checks, builtins.Skipped)
}

// printSigners writes what scripts look for in the output of helm verify.
func printSigners(w io.Writer, r builtins.Report) {
	signed, ok := r.Evidence.(builtins.Signatures)
	if !ok {
		return
	}
	for _, s := range signed.Signers {
		for _, name := range namesOf(s) {
			fmt.Fprintf(w, "Signed by: %s\n", builtins.Printable(name))
		}
		if s.Fingerprint != "" {
			fmt.Fprintf(w, "Using Key With Fingerprint: %s\n", s.Fingerprint)
		}
		if s.Issuer != "" {
			fmt.Fprintf(w, "Certificate OIDC Issuer: %s\n", s.Issuer)
		}
	}
	fmt.Fprintf(w, "Chart Hash Verified: %s\n", r.Chart.Digest)
	if r.Digest != r.Chart.Digest {
		fmt.Fprintf(w, "Manifest Digest Verified: %s\n", r.Digest)
	}
}

func namesOf(s builtins.Signer) []string {
	switch {
	case len(s.UserIDs) > 0:
		return s.UserIDs
	case s.Subject != "":
		return []string{s.Subject}
	case s.Name != "":
		return []string{s.Name}
	}
	return []string{"the holder of the key"}
}

// printFound writes what is found about dependencies.
func printFound(w io.Writer, r builtins.Report) {
	locked, ok := r.Evidence.(chart.Locked)
	if !ok {
		return
	}
	if r.Verified {
		fmt.Fprintf(w, "Dependencies Verified: %s\n", counted(locked.Dependencies))
	}
	if len(locked.Findings) < 2 {
		return // the error is the finding
	}
	for _, f := range locked.Findings {
		fmt.Fprintf(w, "  - %s: %s: %s\n", f.Path, f.Code, f.Reason)
	}
}

func printChecks(w io.Writer, title string, checks []builtins.CheckResult, statuses ...builtins.Status) {
	for _, c := range checks {
		for _, status := range statuses {
			if c.Status != status {
				continue
			}
			if title != "" {
				fmt.Fprintln(w, title)
				title = ""
			}
			fmt.Fprintf(w, "  - %s\n", described(c))
		}
	}
}

func described(c builtins.CheckResult) string {
	text := c.Name
	if c.Status == builtins.Fail {
		text += " (failed)"
	}
	if c.Detail != "" {
		text += ": " + c.Detail
	}
	return text
}
