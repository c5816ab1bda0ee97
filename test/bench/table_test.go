// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A sample is the runs of one side, in the order of the rounds.
type sample []run

func (s sample) wall() time.Duration {
	return median(s, func(r run) time.Duration { return r.wall })
}

func (s sample) walls() (all []float64) {
	for _, r := range s {
		all = append(all, float64(r.wall))
	}
	return all
}

func (s sample) cpu() time.Duration {
	return median(s, func(r run) time.Duration { return r.cpu })
}

// rss is the most that any run took.
func (s sample) rss() int64 {
	return slices.MaxFunc(s, func(a, b run) int { return cmp.Compare(a.rss, b.rss) }).rss
}

func median[T any, N cmp.Ordered](all []T, of func(T) N) N {
	values := sorted(all, of)
	return values[len(values)/2]
}

func sorted[T any, N cmp.Ordered](all []T, of func(T) N) []N {
	var values []N
	for _, v := range all {
		values = append(values, of(v))
	}
	slices.Sort(values)
	return values
}

// A ratio is ours to the peer's: the median of the rounds' own ratios and, in
// 95 of 100 cases, the bounds between which the true median lies.
type ratio struct{ median, low, high float64 }

// compare compares the time of runs.
func compare(ours, peer sample) ratio { return pair(ours.walls(), peer.walls()) }

// pair pairs the figures of each round, so that what slows both down cancels out.
// The bounds are order statistics, whose ranks are binomial.
func pair(ours, peer []float64) ratio {
	var paired []float64
	for i := range ours {
		paired = append(paired, ours[i]/peer[i])
	}
	slices.Sort(paired)
	n := float64(len(paired))
	spread := 1.96 * math.Sqrt(n)
	low := max(0, int(math.Floor((n-spread)/2))-1)
	high := min(len(paired)-1, int(math.Ceil((n+spread)/2)))
	return ratio{paired[len(paired)/2], paired[low], paired[high]}
}

// A row is one line of the table.
type row struct {
	scenario, peer string
	ours, theirs   sample
	ratio          ratio
	goal           float64 // of the ratio, 0 is none
	rssGoal        int64   // bytes, 0 is none
}

// met says whether the row reaches its goals.
func (r row) met() bool { return (r.goal == 0 || r.ratio.median <= r.goal) && r.rssMet() }

func (r row) rssMet() bool { return r.rssGoal == 0 || r.ours.rss() <= r.rssGoal }

func (r row) verdict() string {
	switch {
	case r.goal == 0 && r.rssGoal == 0:
		return ""
	case r.met():
		return "met"
	}
	return "missed"
}

func (r row) goalText() string {
	if r.goal == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", r.goal)
}

func printTable(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tpeer\tours\tpeer's\tratio\t95 % interval\tgoal\tour CPU\tpeer's\tour RSS\tpeer's\tgoal\t\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.2f\t%.2f to %.2f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n",
			r.scenario, r.peer, milliseconds(r.ours.wall()), milliseconds(r.theirs.wall()), r.ratio.median, r.ratio.low, r.ratio.high,
			r.goalText(), milliseconds(r.ours.cpu()), milliseconds(r.theirs.cpu()), mebibytes(r.ours.rss()), mebibytes(r.theirs.rss()), mebibytes(r.rssGoal), r.verdict())
	}
	_ = t.Flush()
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func mebibytes(n int64) string {
	if n == 0 {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf("%.0f", float64(n)/(1<<20)), ".0") + " MiB"
}
