// SPDX-License-Identifier: Apache-2.0

// Package chart checks what lies in a chart's charts/: that the lock follows
// from what the chart requests, that exactly the locked dependencies are
// there, and that something better than the lock proves each one's bytes.
// Helm's own digest in a lock is over two lists of names and versions, and
// over no byte of any archive.
package chart

import (
	"context"
	"maps"
	"slices"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// LockOK is the check chart.lock_ok.
var LockOK = lockReports(builtins.Define("chart.lock_ok", doc, Locked{}, lockOK))

// maxReport is the most bytes of JSON that a report of this check may have.
const maxReport = 64 << 10

func lockReports(b *builtins.Builtin) *builtins.Builtin {
	b.MaxReport = maxReport
	return b
}

const doc = `Checks the dependencies of a Helm chart: the lock, what lies in charts/, and every byte of it.

Three things are checked, for the chart and for each dependency that has
dependencies of its own:

1. Locks. There is a lock if there are dependencies; its digest is Helm's own;
   it has what the chart requests, in that order, from the same repository, in
   an exact version of the requested range. What has no repository is locked by
   its range, as Helm does.
2. Contents. charts/ holds exactly what is locked, by the name and version
   inside, as Helm goes by: nothing is missing, undeclared or there twice. What
   a file is called does not count, except that what is not locked and lies in
   the place of what is missing is dependency_mismatch. What .helmignore hides
   from Helm counts as undeclared where it is not locked, and as missing where
   it is; so does a chartseal.lock, which Helm would not pack.
3. Bytes. The lock's digest covers two lists of names, and no byte of an
   archive. So for each dependency the kinds of evidence in content are asked,
   one after the other; the first that proves or contradicts it decides. lock
   is a digest in the lock's entry or in chartseal.lock; provenance is
   helm.verify_prov of the archive in the repository; repository is the digest
   in the repository's index.yaml, or of the chart's layer in a registry. What
   is read for evidence of one chart has one budget, beside the chart's own: a
   dependency that exceeds it, and that nothing else proves, is too_large or
   too_many.

What lies unpacked in charts/, as helm package leaves it, is compared as a set
of files with the archive that the evidence names. The code of the first finding
that rejects is that of the report; without one, that of the first outage.
A repository is refused by its form alone, also if nothing is asked of it: with
a user in its URL, and as http unless the configuration names the host.
Dependencies of file:// folders are refused unless allow_file_repositories is
set and the folder lies in the chart's own, and are never read: pins prove them.

The file chartseal.lock, which chartseal lock write makes, pins the chart's own
dependencies, and what lies in them with them. It has exactly this form, with
line ends of one byte; any other text is malformed_chart:

    # Written by chartseal lock write.
    version: 1
    dependencies:
    - name: "common"
      version: "1.0.0"
      repository: "https://charts.example.com"
      archive: "sha256:<64 hexadecimal digits>"
      files: "sha256:<64 hexadecimal digits>"

Values are JSON strings in which <, > and & stand as they are. Entries are
sorted by name, version and repository, by bytes, each with these five fields;
without any the last line is "dependencies: []". repository is the one in the
lock. archive is the digest of the file in charts/, "" for a folder. files is
the digest of the set of files: of the lines "<sha256>  <path>", each ended by a
newline, sorted by path. Paths are from the dependency's root, those of its own
dependencies beneath charts/<name>/. Files are taken without a byte order mark.
Left out is what ends in .prov, and what begins with _ or . in a charts/.
For Chart.yaml the digest is of the JSON that helm push writes as the config,
for Chart.lock of the JSON of Helm's fields in it, in this order: generated,
digest, dependencies. files is "" for an archive that holds two charts of one name.`

// LockOKOptions are the options of chart.lock_ok.
type LockOKOptions struct {
	Content               []string          `json:"content" doc:"Kinds of evidence for the bytes of each dependency, in the order in which they are tried: lock, provenance, signature, repository. Default: lock, then those whose options are given, then repository. An empty list turns this part off."`
	ProvenanceOptions     map[string]any    `json:"provenance_options" doc:"Options of helm.verify_prov for the provenance files of dependencies."`
	SignatureOptions      map[string]any    `json:"signature_options" doc:"Options of cosign.verify for dependencies in OCI registries."`
	Repositories          map[string]string `json:"repositories" doc:"URLs of the repositories that dependencies name as @alias or alias:alias, exactly as helm repo list has them."`
	AllowFileRepositories bool              `json:"allow_file_repositories" doc:"Permits dependencies of file:// folders that lie in the chart's own folder; what lies outside is never permitted. Default false."`
	Chart                 builtins.Expected `json:"chart" doc:"Name and version that the chart must have, in place of those that the reference asks for."`
}

// Locked is the evidence of chart.lock_ok.
type Locked struct {
	Dependencies []Dependency `json:"dependencies" doc:"every dependency, those of dependencies after the one that has them"`
	Findings     []Finding    `json:"findings" doc:"all that is wrong: first of locks, then of contents, then of bytes; at most the first 100, and checks says how many more"`
}

// A Dependency is one that a chart of the tree has locked.
type Dependency struct {
	Name       string        `json:"name" doc:"as the lock has it"`
	Version    string        `json:"version" doc:"of the chart that was found, else as the lock has it"`
	Repository string        `json:"repository" doc:"URL, canonical, as the lock has it: the word of the chart's author, unless evidence is provenance, signature or repository; empty for what lies in charts/ only"`
	Digest     string        `json:"digest" doc:"of the archive in charts/; empty where it is a folder"`
	Evidence   string        `json:"evidence" doc:"kind that proved its bytes, or those of the dependency that it lies in"`
	Code       builtins.Code `json:"code" doc:"ok, or why not"`
	Reason     string        `json:"reason" doc:"the same in a sentence; how it was proven, if not by its own bytes"`
}

// A Finding is one thing that is wrong.
type Finding struct {
	Code   builtins.Code `json:"code" doc:"why"`
	Path   string        `json:"path" doc:"where, from the chart's root"`
	Reason string        `json:"reason" doc:"what was found and what was wanted"`
}

func lockOK(env *builtins.Env, opts LockOKOptions) (builtins.Judge, error) {
	p, err := opts.plan(env)
	if err != nil {
		return nil, err
	}
	return p.judge, nil
}

// Concluded gives every rejection and outage as a finding too, so that a policy
// that lists findings never has none to list.
func (l Locked) Concluded(code builtins.Code, reason string) any {
	if code != builtins.OK && len(l.Findings) == 0 {
		l.Findings = []Finding{{Code: code, Reason: reason}}
	}
	return l
}

// judge reads the chart and judges locks, contents and bytes of the whole tree.
func (p *plan) judge(ctx context.Context, ref chartref.Ref, rep *builtins.Report) error {
	artifact, err := p.env.Source.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	defer artifact.Close()
	t, err := p.read(ctx, artifact, rep)
	if rep.Step("chart", err) != nil {
		return err
	}
	if err := p.asked(ref, t.chart); err != nil {
		return rep.Step("requested chart", err)
	}
	if err := t.descend(ctx, branch{chart: t.chart, ignored: t.ignored}); err != nil {
		return err
	}
	return t.report(rep)
}

// PinDependencies judges the chart that ref names, without its present
// chartseal.lock, and pins each dependency as it lies in charts/. Bytes are
// judged only by the evidence that opts ask for, see [LockOKOptions.proving].
// What is wrong is in the findings; then err is not nil and nothing is pinned.
func PinDependencies(ctx context.Context, env *builtins.Env, ref chartref.Ref, opts LockOKOptions) (pins Pins, locked Locked, err error) {
	opts.Content = opts.proving()
	p, err := opts.plan(env)
	if err != nil {
		return Pins{}, Locked{}, builtins.Errorf(builtins.InvalidOptions, "%w", err)
	}
	artifact, err := env.Source.Resolve(ctx, ref)
	if err != nil {
		return Pins{}, Locked{}, err
	}
	defer artifact.Close()
	var rep builtins.Report
	t, err := p.read(ctx, artifact, &rep)
	if err != nil {
		return Pins{}, Locked{}, err
	}
	if err := p.asked(ref, t.chart); err != nil {
		return Pins{}, Locked{}, err
	}
	t.chart = withoutPins(t.chart)
	if err := t.descend(ctx, branch{chart: t.chart, ignored: t.ignored}); err != nil {
		return Pins{}, Locked{}, err
	}
	if err := t.report(&rep); err != nil {
		return Pins{}, rep.Evidence.(Locked), err
	}
	pins, err = newPins(t.top)
	return pins, rep.Evidence.(Locked), err
}

// proving are the kinds of evidence that bytes must have before they are pinned:
// those of content, or those whose options are given, and never the pins.
func (o LockOKOptions) proving() []string {
	kinds := slices.Clone(o.Content)
	if o.Content == nil {
		for _, s := range signers {
			if s.given(o) != nil {
				kinds = append(kinds, s.kind)
			}
		}
	}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == byLock.name })
	return append([]string{}, kinds...)
}

// withoutPins is c as it is before it is pinned.
func withoutPins(c *archive.Chart) *archive.Chart {
	unpinned := *c
	unpinned.Raw = maps.Clone(c.Raw)
	delete(unpinned.Raw, pinFile)
	return &unpinned
}

// asked holds the chart against the name and version that were asked for.
func (p *plan) asked(ref chartref.Ref, c *archive.Chart) error {
	name, version := p.chart.Of(ref)
	switch {
	case name != "" && name != c.Metadata.Name:
		return builtins.Errorf(builtins.NameMismatch, "%s was asked for, the chart is %s", quoted(name), quoted(c.Metadata.Name))
	case version != "" && !chartref.SameVersion(c.Metadata.Version, version):
		return builtins.Errorf(builtins.VersionMismatch, "version %s was asked for, the chart is %s", quoted(version), quoted(c.Metadata.Version))
	}
	return nil
}
