// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chart"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// lockCommand is lock with its two commands. What they may touch is filled
// into env before they run.
func lockCommand(env *builtins.Env) *cobra.Command {
	lock := own(&cobra.Command{
		Use:   "lock",
		Short: "Pin and check the dependencies of charts",
		Long:  "The commands end with 0 if all is well, 1 if a chart was rejected, 2 if they were called wrongly\nand 3 if a chart could not be judged.",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	lock.AddCommand(own(lockCheckCommand(env)), own(lockWriteCommand(env)))
	return lock
}

const optionsUsage = "options of chart.lock_ok as a JSON object, or @FILE with one"

func lockCheckCommand(env *builtins.Env) *cobra.Command {
	var c lockCheck
	cmd := &cobra.Command{
		Use:   "check CHART...",
		Args:  cobra.ArbitraryArgs,
		Short: "Check locks, contents and bytes of charts' dependencies, as chart.lock_ok does",
		Long: `A CHART is a directory, an archive, a URL or an oci:// reference. With --recursive it is a folder, and
the unpacked charts somewhere in it are checked, also those below another chart, but for what lies in the
charts/ of one: that is its own. Links to charts are followed, .git is passed over. Name archives themselves.`,
		RunE: func(cmd *cobra.Command, charts []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return c.run(ctx, env, cmd.OutOrStdout(), charts)
		},
	}
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	cmd.Flags().StringVar(&c.options, "options", "{}", optionsUsage)
	cmd.Flags().BoolVarP(&c.recursive, "recursive", "r", false, "check the charts in folders")
	return cmd
}

// interruptible ends with the first interrupt; the second ends the process.
func interruptible(parent context.Context) (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(parent, os.Interrupt)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

type lockCheck struct {
	output    string
	options   string
	recursive bool
}

func (c lockCheck) run(ctx context.Context, env *builtins.Env, w io.Writer, charts []string) error {
	print, ok := map[string]func(io.Writer, []string, []builtins.Report) error{"table": printTable, "json": printJSON}[c.output]
	if !ok {
		return usage("output %q is neither table nor json", c.output)
	}
	opts, err := readOptions(c.options)
	if err != nil {
		return err
	}
	if c.recursive {
		if charts, err = chartsIn(charts); err != nil {
			return err
		}
	}
	if len(charts) == 0 {
		return usage("there is no chart to check")
	}
	reports := checkAll(ctx, env, charts, opts)
	if reports[0].Code == builtins.InvalidOptions {
		return usage("%s", reports[0].Reason)
	}
	if err := print(w, charts, reports); err != nil {
		return err
	}
	return verdictOf(reports)
}

// readOptions reads the flag --options.
func readOptions(flag string) ([]byte, error) {
	path, isFile := strings.CutPrefix(flag, "@")
	if _, err := os.Stat(flag); err == nil && !isFile {
		return nil, usage("options: %s is a file: write --options @%s", flag, flag)
	}
	if !isFile {
		return []byte(flag), nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("options: %v", err)
	}
	return raw, nil
}

// chartsIn finds the charts in folders. What lies in the charts/ of a chart is
// that chart's; what else lies below it is not, whatever stands above.
func chartsIn(folders []string) (charts []string, err error) {
	for _, folder := range folders {
		before := len(charts)
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == ".git" || d.Name() == "charts" && path != folder && isChart(filepath.Dir(path))):
				return fs.SkipDir
			case (d.IsDir() || d.Type() == fs.ModeSymlink) && isChart(path):
				charts = append(charts, path)
			}
			return nil
		})
		if err != nil {
			return nil, usage("looking for charts: %v", err)
		}
		if len(charts) == before {
			return nil, usage("%s holds no unpacked chart; name archives without --recursive", folder)
		}
	}
	return charts, nil
}

func isChart(folder string) bool {
	_, err := os.Lstat(filepath.Join(folder, "Chart.yaml"))
	return err == nil
}

// checkAll checks charts side by side; the reports are in their order.
func checkAll(ctx context.Context, env *builtins.Env, charts []string, opts []byte) []builtins.Report {
	at := *env
	at.Now = time.Now()
	reports := make([]builtins.Report, len(charts))
	sideBySide(len(charts), func(i int) {
		reports[i] = chart.LockOK.Call(ctx, &at, chartref.Parse(charts[i]), opts)
	})
	return reports
}

// sideBySide does n things, as many at once as there are processors.
func sideBySide(n int, do func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// verdictOf is nil if all charts verified. One that was rejected counts more
// than one that was not judged.
func verdictOf(reports []builtins.Report) error {
	var verdict error
	for _, r := range reports {
		switch r.Outcome {
		case builtins.Rejected:
			return exitError{code: exitRejected}
		case builtins.Undecided:
			verdict = exitError{code: exitUndecided}
		}
	}
	return verdict
}

// printTable writes a line for each chart, and one for each further finding.
func printTable(w io.Writer, charts []string, reports []builtins.Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CHART\tVERDICT\tWHERE\tWHAT")
	for i, r := range reports {
		locked, _ := r.Evidence.(chart.Locked)
		name, outcome := builtins.Printable(charts[i]), string(r.Outcome)
		if len(locked.Findings) == 0 {
			fmt.Fprintf(table, "%s\t%s\t\t%s\n", name, outcome, counted(locked.Dependencies))
		}
		for _, f := range locked.Findings {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s: %s\n", name, outcome, f.Path, f.Code, f.Reason)
			name, outcome = "", ""
		}
	}
	return table.Flush()
}

func counted(dependencies []chart.Dependency) string {
	if len(dependencies) == 1 {
		return "1 dependency"
	}
	return fmt.Sprintf("%d dependencies", len(dependencies))
}

func printJSON(w io.Writer, _ []string, reports []builtins.Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(reports)
}

func lockWriteCommand(env *builtins.Env) *cobra.Command {
	var options string
	cmd := &cobra.Command{
		Use:   "write CHART",
		Short: "Pin the bytes of a chart's dependencies in its chartseal.lock",
		Long: `CHART is a directory whose lock and charts/ are in order. What lies in charts/ now is pinned in
chartseal.lock beside Chart.lock, for chart.lock_ok to hold it against.

It is pinned as it lies there, whatever it is, unless --options ask for a proof: a content other
than lock, provenance_options or signature_options. What that does not prove is not pinned.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("lock write takes one CHART")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return writeLock(ctx, env, cmd.OutOrStdout(), args[0], options)
		},
	}
	cmd.Flags().StringVar(&options, "options", "{}", optionsUsage)
	return cmd
}

func writeLock(ctx context.Context, env *builtins.Env, w io.Writer, dir, options string) error {
	raw, err := readOptions(options)
	if err != nil {
		return err
	}
	var opts chart.LockOKOptions
	if err := builtins.DecodeStrict(raw, &opts); err != nil {
		return usage("%v", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usage("%q is no chart directory", dir)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(env.Limits.Reference))
	defer cancel()
	pins, locked, err := chart.PinDependencies(ctx, env, chartref.Parse(dir), opts)
	if err != nil {
		return refusal(w, dir, locked, err)
	}
	return replaceFile(w, filepath.Join(dir, "chartseal.lock"), pins, howProven(locked.Dependencies))
}

// howProven says of what is pinned whether anything else than the chart spoke for it.
func howProven(dependencies []chart.Dependency) string {
	switch {
	case len(dependencies) == 0:
		return ""
	case slices.ContainsFunc(dependencies, func(d chart.Dependency) bool { return d.Evidence == "" }):
		return ", unproven"
	}
	return ", each proven before"
}

// refusal tells why nothing is pinned.
func refusal(w io.Writer, dir string, locked chart.Locked, err error) error {
	code := builtins.CodeOf(err)
	if code == builtins.InvalidOptions {
		return usage("%v", err)
	}
	if len(locked.Findings) == 0 {
		locked.Findings = []chart.Finding{{Code: code, Reason: err.Error()}}
	}
	report := builtins.Report{Outcome: code.Outcome(), Code: code, Evidence: locked}
	return errors.Join(printTable(w, []string{dir}, []builtins.Report{report}), verdictOf([]builtins.Report{report}))
}

// replaceFile writes the pins in one step, so that nobody ever reads half of
// them, and only if they have changed.
func replaceFile(w io.Writer, path string, pins chart.Pins, how string) error {
	content := pins.Bytes()
	if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, content) {
		_, err := fmt.Fprintf(w, "%s is up to date: %d pinned%s\n", builtins.Printable(path), len(pins.Dependencies), how)
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".chartseal.lock-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone once it is renamed
	_, err = file.Write(content)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "wrote %s: %d pinned%s\n", builtins.Printable(path), len(pins.Dependencies), how)
	return err
}
