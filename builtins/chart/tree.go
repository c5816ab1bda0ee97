// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
)

// A tree is a chart with all that lies in it, and what is found out about it.
type tree struct {
	chart   *archive.Chart
	top     *level // of it
	rules   *rules
	prover  *prover          // without kinds, bytes are not looked at
	ignored *archive.Ignored // nothing, unless the chart is a directory

	sync, contents findings
	dependencies   []Dependency
	proven         map[string]int // by kind of evidence
	asSets         int            // dependencies whose bytes are gone
	seen           map[*vendored]bool
	compared       int // what comparing what is wanted with what is there has cost
}

// read reads the chart. What it says of the digest holds for an archive that
// is refused as well.
func (p *plan) read(ctx context.Context, artifact builtins.Artifact, rep *builtins.Report) (*tree, error) {
	info := artifact.Info()
	rep.Digest = info.Digest
	c, err := p.readChart(ctx, artifact)
	if refused := (*archive.Refused)(nil); errors.As(err, &refused) {
		describe(rep, refused.Digest)
	}
	if err != nil {
		return nil, err
	}
	describe(rep, c.Digest)
	rep.Chart.Name, rep.Chart.Version = clip(c.Metadata.Name), clip(c.Metadata.Version)
	t := &tree{
		chart: c, seen: map[*vendored]bool{}, proven: map[string]int{},
		rules:  &rules{aliases: p.aliases, allowFiles: p.allowFiles, source: p.env.Source, plain: map[string]error{}},
		prover: &prover{env: p.env, kinds: p.kinds, known: map[question]proof{}},
	}
	t.ignored = c.Ignored
	return t, nil
}

// readChart reads a directory or an archive; what a manifest names and was read
// before, it remembers. Behind a URL a digest proves nothing about what the
// URL serves now. The chart has a budget of its own, beside the one of evidence:
// what Helm installs we must be able to judge.
func (p *plan) readChart(ctx context.Context, artifact builtins.Artifact) (*archive.Chart, error) {
	budget := builtins.NewBudget(p.env.Limits)
	if fsys, ok := artifact.Dir(); ok {
		return archive.ReadDirVendored(ctx, fsys, budget)
	}
	info := artifact.Info()
	remembers := p.env.Facts != nil && info.Digest != "" && info.ArchiveDigest != ""
	if remembers {
		if fact, ok := p.env.Facts.Load(contentsKind, info.ArchiveDigest); ok {
			return fact.(*archive.Chart), nil
		}
	}
	body, err := artifact.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	c, err := archive.ReadVendored(ctx, body, budget)
	if err == nil && remembers {
		p.env.Facts.Store(contentsKind, c.Digest, c, memoryOf(c))
	}
	return c, err
}

const contentsKind = "chart/contents"

// memoryOf is about what a chart takes in memory.
func memoryOf(c *archive.Chart) int64 {
	size := int64(8 << 10) // metadata and the like
	for _, raw := range c.Raw {
		size += int64(len(raw))
	}
	for _, f := range c.Files {
		size += int64(len(f.Path) + 150)
	}
	for _, sub := range c.Subcharts {
		size += memoryOf(sub.Chart)
	}
	return size
}

func describe(rep *builtins.Report, digest string) {
	rep.Chart.Digest = digest
	if rep.Digest == "" {
		rep.Digest = digest
	}
}

// maxDependencies is more than fit into a report, whatever they are called.
const maxDependencies = maxReport / len(`{"name":"","version":"","repository":"","digest":"","evidence":"","code":"","reason":""}`)

// maxCompared is far more than comparing costs where each dependency is there a
// few times at most, and still well under a second.
const maxCompared = 1 << 19

// A branch is a chart of the tree, where it lies.
type branch struct {
	at      string // path from the chart itself, "" for that one
	chart   *archive.Chart
	ignored *archive.Ignored // in it
	proof   proof            // of the chart: what lies in proven bytes is proven
}

// descend judges a branch and then, one by one, the dependencies that were
// found in it.
func (t *tree) descend(ctx context.Context, b branch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l := newLevel(b, t.rules)
	if t.top == nil {
		t.top = l
	}
	if n := len(t.dependencies) + len(l.wanted); n > maxDependencies {
		return tooManyDependencies(n)
	}
	if t.compared += l.comparisons(); t.compared > maxCompared {
		return builtins.Errorf(builtins.TooMany, "%s: %d dependencies, %d charts and %d pins are too many to compare with one another", clip(l.path("charts")), len(l.wanted), len(l.vendored), len(l.pinned()))
	}
	t.sync = append(t.sync, l.sync(ctx, t.rules)...)
	t.contents = append(t.contents, l.contents()...)
	for _, w := range l.wanted {
		proven := t.judge(ctx, l, w)
		v := w.found
		if v == nil || v.Refused != nil || t.seen[v] {
			continue
		}
		t.seen[v] = true
		if err := t.descend(ctx, branch{v.at, v.Chart, b.ignored.Inside(v.Subchart), proven}); err != nil {
			return err
		}
	}
	return nil
}

func tooManyDependencies(n int) error {
	return builtins.Errorf(builtins.TooMany, "%d dependencies do not fit into a report", n)
}

// judge judges the bytes of one dependency and lists it.
func (t *tree) judge(ctx context.Context, l *level, w *wanted) (proven proof) {
	d := Dependency{Name: clip(w.name), Version: clip(w.version), Repository: show(w.repository)}
	switch {
	case w.found == nil:
		proven.err = w.problem
	case l.proof.kind != "":
		proven = proof{kind: l.proof.kind, detail: "it lies in " + quoted(l.at)}
	default:
		proven = t.prover.prove(ctx, t.subject(l, w))
	}
	if w.found != nil {
		d.Version, d.Digest = clip(w.is()), w.found.Digest
		if d.Digest == "" {
			t.asSets++
		}
	}
	d.Code, d.Evidence, d.Reason = builtins.CodeOf(proven.err), proven.kind, proven.detail
	if proven.err != nil {
		d.Reason = builtins.Printable(clip(proven.err.Error()))
	}
	t.proven[proven.kind]++
	t.dependencies = append(t.dependencies, d)
	return proven
}

func (t *tree) subject(l *level, w *wanted) *subject {
	return &subject{
		vendored: w.found, archive: w.archive, pin: l.pin(w), hiddenPins: l.hiddenPins, ignored: l.ignored.Inside(w.found.Subchart),
		repository: w.repository, ref: dependencyRef(w.repository, w.name, w.published()),
	}
}

// report gives the verdict, the first finding's, and all that led to it.
func (t *tree) report(rep *builtins.Report) error {
	rep.Trust = trustOf(t.prover.trust)
	_ = rep.Step("locks", t.sync.verdict())
	_ = rep.Step("contents", t.contents.verdict())
	t.reportBytes(rep)
	all := slices.Concat(t.sync, t.contents, t.prover.found)
	locked, err := fit(t.dependencies, all)
	rep.Evidence = locked
	if left := len(all) - len(locked.Findings); left > 0 {
		rep.Skip("findings", fmt.Sprintf("%d more are left out", left))
	}
	return cmp.Or(err, all.verdict())
}

func (t *tree) reportBytes(rep *builtins.Report) {
	if len(t.prover.kinds) == 0 {
		rep.Skip("bytes", "content is empty: nothing was asked to prove the bytes")
		return
	}
	var by []string
	for _, k := range t.prover.kinds {
		if n := t.proven[k.name]; n > 0 {
			by = append(by, fmt.Sprintf("%d by %s", n, k.name))
		}
	}
	if rep.Step("bytes", t.prover.found.verdict()) == nil && len(by) > 0 {
		rep.Pass("evidence", strings.Join(by, ", "))
	}
	if t.proven[byLock.name] > 0 {
		rep.Pass("pins", "pins in a chart are only as trustworthy as the chart")
	}
	if t.asSets > 0 {
		rep.Skip("archives", fmt.Sprintf("dependencies that lie unpacked: %d; their archives' bytes are gone, files were compared as sets", t.asSets))
	}
}

// trustOf is one digest for the trust that the evidence rests on.
func trustOf(digests []string) string {
	slices.Sort(digests)
	digests = slices.Compact(digests)
	if len(digests) == 0 {
		return ""
	}
	if len(digests) == 1 {
		return digests[0]
	}
	var all []builtins.Material
	for _, digest := range digests {
		all = append(all, builtins.Material{Digest: digest})
	}
	return builtins.TrustDigest(all...)
}

const (
	maxFindings = 100
	// commonFields is what a report takes beside the evidence.
	commonFields = 8 << 10
)

// fit makes evidence that fits into a report: all dependencies, or TooMany,
// and of the findings as many as there is room for, at least one.
func fit(dependencies []Dependency, found findings) (locked Locked, err error) {
	room := maxReport - commonFields
	for _, d := range dependencies {
		if room -= sizeOf(d); room < maxFinding {
			return locked, tooManyDependencies(len(dependencies))
		}
		locked.Dependencies = append(locked.Dependencies, d)
	}
	for _, f := range found[:min(len(found), maxFindings)] {
		told := Finding{Code: builtins.CodeOf(f.err), Path: builtins.Printable(clip(f.path)), Reason: builtins.Printable(f.err.Error())}
		if room -= sizeOf(told); room < 0 {
			break
		}
		locked.Findings = append(locked.Findings, told)
	}
	return locked, nil
}

// maxFinding is more than one finding takes.
const maxFinding = 4 << 10

func sizeOf(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made of strings
	}
	return len(text) + len(",")
}
