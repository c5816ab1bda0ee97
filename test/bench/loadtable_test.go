// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/chartseal/chartseal/test/bench/load"
)

// A loadRow is one figure of a server under load, held against a peer's.
type loadRow struct {
	scenario, what, peer string
	of                   func(load.Result) float64
	goal                 float64 // of the ratio, 0 is none
	atLeast              bool    // the goal is the least, not the most
	ours, theirs         []float64
	ratio                ratio
}

// loadRows are printed when all is measured.
var loadRows []loadRow

// report adds a row. A peer that is not here is said to be not measured; a
// ratio that misses twice its goal fails.
func report(b *testing.B, r loadRow, ours, theirs []load.Result) {
	b.Helper()
	for _, result := range ours {
		r.ours = append(r.ours, r.of(result))
	}
	for _, result := range theirs {
		r.theirs = append(r.theirs, r.of(result))
	}
	if len(theirs) > 0 {
		r.ratio = pair(r.ours, r.theirs)
		if !r.within(2) {
			b.Errorf("%s: %s is %.2f of that of %s, goal %.2f", r.scenario, r.what, r.ratio.median, r.peer, r.goal)
		}
	}
	loadRows = append(loadRows, r)
}

// within says whether the goal, so many times loosened, is reached.
func (r loadRow) within(times float64) bool {
	switch {
	case r.goal == 0:
		return true
	case r.atLeast:
		return r.ratio.median >= r.goal/times
	}
	return r.ratio.median <= r.goal*times
}

func (r loadRow) verdict() string {
	switch {
	case r.goal == 0:
		return ""
	case r.within(1):
		return "met"
	}
	return "missed"
}

func (r loadRow) goalText() string {
	switch {
	case r.goal == 0:
		return ""
	case r.atLeast:
		return fmt.Sprintf("≥ %.2f", r.goal)
	}
	return fmt.Sprintf("≤ %.2f", r.goal)
}

// show gives the median, of latencies in milliseconds.
func (r loadRow) show(values []float64) string {
	m := median(values, func(v float64) float64 { return v })
	if r.what == "requests/s" {
		return fmt.Sprintf("%.0f", m)
	}
	return fmt.Sprintf("%.2f ms", m*1000)
}

func printLoad(w io.Writer, rows []loadRow) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\tpeer\tours\tpeer's\tratio\t95 % interval\tgoal\t\t")
	for _, r := range rows {
		if len(r.theirs) == 0 {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\tnot measured\t\t\t%s\t\t\n", r.scenario, r.what, r.peer, r.show(r.ours), r.goalText())
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.2f\t%.2f to %.2f\t%s\t%s\t\n", r.scenario, r.what, r.peer,
			r.show(r.ours), r.show(r.theirs), r.ratio.median, r.ratio.low, r.ratio.high, r.goalText(), r.verdict())
	}
	_ = t.Flush()
}

// TestLoadTable is about what the table says of goals, and of a peer that is
// not here.
func TestLoadTable(t *testing.T) {
	rate := loadRow{scenario: "warm", what: "requests/s", peer: "peer", goal: 2.5, atLeast: true}
	late := loadRow{scenario: "warm", what: "p99", peer: "peer", goal: 0.6}
	for _, test := range []struct {
		row          loadRow
		ours, theirs []float64
		want         string
	}{
		{rate, []float64{300, 310, 290}, []float64{100, 100, 100}, "3.00 2.90 to 3.10 ≥ 2.50 met"},
		{rate, []float64{200, 200, 200}, []float64{100, 100, 100}, "2.00 2.00 to 2.00 ≥ 2.50 missed"},
		{late, []float64{0.001, 0.001, 0.001}, []float64{0.002, 0.002, 0.002}, "1.00 ms 2.00 ms 0.50 0.50 to 0.50 ≤ 0.60 met"},
		{late, []float64{0.002, 0.002, 0.002}, []float64{0.002, 0.002, 0.002}, "2.00 ms 2.00 ms 1.00 1.00 to 1.00 ≤ 0.60 missed"},
		{late, []float64{0.002}, nil, "2.00 ms not measured ≤ 0.60"},
	} {
		row := test.row
		row.ours, row.theirs = test.ours, test.theirs
		if len(row.theirs) > 0 {
			row.ratio = pair(row.ours, row.theirs)
		}
		var out strings.Builder
		printLoad(&out, []loadRow{row})
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.HasSuffix(got, test.want) {
			t.Errorf("%s does not end with %s", got, test.want)
		}
	}
}
