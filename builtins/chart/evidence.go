// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/archive"
	"github.com/chartseal/chartseal/builtins/chartref"
)

// A kind of evidence is one way to prove the bytes of a dependency. prove
// gives nil if they are proven and DependencyTampered if they are contradicted.
// Any other rejection says why this kind has nothing to say; an undecided error
// that it could not be asked.
type kind struct {
	name  string
	prove func(context.Context, *prover, *subject) error
}

// The kinds that need nothing but the chart and its repositories.
var (
	byLock       = kind{"lock", pinned}
	byRepository = kind{"repository", published}
)

// A subject is a dependency whose bytes are in question.
type subject struct {
	*vendored
	repository string
	ref        chartref.Ref     // in its repository
	archive    string           // digest that the lock pins
	pin        *Pin             // of chartseal.lock
	hiddenPins bool             // .helmignore hides the chartseal.lock
	ignored    *archive.Ignored // in it

	files  FileSet // once asked for
	unpack string  // digest that a pin demands of the archive it was unpacked from
}

// A question is what there is to find out about a chart in charts/. Two locked
// dependencies may be one chart, of two repositories.
type question struct {
	*vendored
	repository, archive string
}

// A proof is what came of the search for evidence.
type proof struct {
	kind   string // that proved it; "" if none did
	detail string
	err    error
}

// A prover looks for evidence. All archives that it reads, and those that checks
// of ours read for it, are on env's budget.
type prover struct {
	env   *builtins.Env
	kinds []kind
	known map[question]proof
	found findings
	trust []string // digests of the trust material that decided
}

// prove asks one kind after the other. The first that proves or contradicts
// ends the search. Without either the bytes are unverified, unless one that
// could not be asked leaves it open, or one would have been too much to read.
func (p *prover) prove(ctx context.Context, s *subject) proof {
	q := question{s.vendored, s.repository, s.archive}
	if found, ok := p.known[q]; ok {
		return found
	}
	found := p.search(ctx, s)
	if s.Refused != nil && builtins.CodeOf(found.err) != builtins.DependencyTampered {
		found = proof{err: s.Refused}
	}
	p.known[q] = found
	p.found.add(s.at, found.err)
	return found
}

func (p *prover) search(ctx context.Context, s *subject) proof {
	if len(p.kinds) == 0 {
		return proof{}
	}
	var open, excess error
	var silent []string
	for _, k := range p.kinds {
		err := k.prove(ctx, p, s)
		switch code := builtins.CodeOf(err); {
		case err == nil:
			return proof{kind: k.name, detail: s.how()}
		case code == builtins.DependencyTampered:
			return proof{err: err}
		case code.Outcome() == builtins.Undecided && open == nil:
			open = builtins.Errorf(code, "%s: %w", k.name, err)
		case builtins.Exceeds(err) && excess == nil:
			excess = builtins.Errorf(code, "%s: %w", k.name, err)
		}
		silent = append(silent, k.name+": "+err.Error())
	}
	if err := cmp.Or(open, excess); err != nil {
		return proof{err: err}
	}
	return proof{err: builtins.Errorf(builtins.ContentUnverified, "nothing proves it: %s", strings.Join(silent, "; "))}
}

// how says what was compared, if it was not the archive's bytes.
func (s *subject) how() string {
	if s.packed() {
		return ""
	}
	return "as a set of files"
}

func tampered(format string, args ...any) error {
	return builtins.Errorf(builtins.DependencyTampered, format, args...)
}

func unproven(format string, args ...any) error {
	return builtins.Errorf(builtins.ContentUnverified, format, args...)
}

// pinned is the evidence of Chart.lock and chartseal.lock. Where both speak,
// both have to agree.
func pinned(_ context.Context, _ *prover, s *subject) error {
	if err := s.holdArchive(s.archive, "the lock"); err != nil {
		return err
	}
	if s.pin != nil {
		return s.holdPin()
	}
	switch {
	case s.archive == "" && s.hiddenPins:
		return unproven(".helmignore hides %s, which is not packed and does not count", pinFile)
	case s.archive == "":
		return unproven("it is not pinned")
	case !s.packed():
		return s.demand(s.archive, "the lock")
	}
	return nil
}

// demand keeps a pinned digest of an archive whose bytes are gone, for the
// evidence that comes after: it has to be of that archive.
func (s *subject) demand(digest, by string) error {
	s.unpack = digest
	return unproven("%s pins an archive, %s, which is unpacked here", by, digest)
}

// holdArchive compares the archive, if there is one and something to compare it with.
func (s *subject) holdArchive(digest, by string) error {
	if digest == "" || !s.packed() || digest == s.Digest {
		return nil
	}
	return tampered("it is %s, %s says %s", s.Digest, by, digest)
}

func (s *subject) holdPin() error {
	if err := s.holdArchive(s.pin.Archive, pinFile); err != nil {
		return err
	}
	if s.pin.Files == "" {
		if !s.packed() {
			return s.demand(s.pin.Archive, pinFile)
		}
		return nil
	}
	files, err := s.fileSet()
	if err != nil {
		return err
	}
	if got := files.Digest(); got != s.pin.Files {
		return tampered("its files are %s, %s says %s", got, pinFile, s.pin.Files)
	}
	if prov := files.Prov(); prov != "" && !(s.packed() && s.pin.Archive != "") {
		return unproven("it holds %s, of which the pin of its files says nothing", quoted(prov))
	}
	return nil
}

func (s *subject) fileSet() (FileSet, error) {
	var err error
	if s.files == nil {
		s.files, err = newFileSet(s.Chart, s.at, s.ignored)
	}
	return s.files, err
}

// published is the evidence of the repository: of its index or its registry.
func published(ctx context.Context, p *prover, s *subject) error {
	artifact, err := p.resolve(ctx, s)
	if err != nil {
		return err
	}
	defer artifact.Close()
	digest := artifact.Info().ArchiveDigest
	if digest == "" {
		return unproven("its index has no digest")
	}
	return p.hold(ctx, s, artifact, digest, "its repository")
}

func (p *prover) resolve(ctx context.Context, s *subject) (builtins.Artifact, error) {
	if err := s.reachable(); err != nil {
		return nil, err
	}
	return p.env.Source.Resolve(ctx, s.ref)
}

// reachable refuses what no repository can be asked about.
func (s *subject) reachable() error {
	switch err := s.ref.Err(); {
	case s.repository == "":
		return unproven("it has no repository to ask")
	case strings.HasPrefix(s.repository, "file://"):
		return unproven("a folder is no repository to ask")
	case err != nil:
		return unproven("it has no repository to ask: %w", err)
	}
	return nil
}

// attested is the evidence of one of our checks: that somebody trusted has
// signed the archive in the repository. A signature that is good and about
// something else contradicts.
func attested(check *builtins.Builtin, opts []byte) func(context.Context, *prover, *subject) error {
	return func(ctx context.Context, p *prover, s *subject) error {
		if err := s.reachable(); err != nil {
			return err
		}
		rep := check.Call(ctx, p.env, s.ref, opts)
		if rep.Trust != "" {
			p.trust = append(p.trust, rep.Trust)
		}
		switch {
		case slices.Contains(contradictions, rep.Code):
			return tampered("%s: %s", rep.Code, rep.Reason)
		case !rep.Verified:
			return builtins.Errorf(rep.Code, "%s: %s", rep.Code, rep.Reason)
		case rep.Chart.Digest == "":
			return unproven("%s names no archive", check.Name)
		case s.packed():
			return s.holdArchive(rep.Chart.Digest, check.Name)
		}
		artifact, err := p.resolve(ctx, s)
		if err != nil {
			return err
		}
		defer artifact.Close()
		return p.hold(ctx, s, artifact, rep.Chart.Digest, check.Name)
	}
}

var contradictions = []builtins.Code{
	builtins.DigestMismatch, builtins.NameMismatch, builtins.VersionMismatch, builtins.MetadataMismatch, builtins.PayloadMismatch,
}

// hold compares a dependency with the archive of that digest: its own bytes
// or, where it lies unpacked, its files with those of the archive in artifact.
func (p *prover) hold(ctx context.Context, s *subject, artifact builtins.Artifact, digest, by string) error {
	if s.packed() {
		return s.holdArchive(digest, by)
	}
	if s.unpack != "" && s.unpack != digest {
		return tampered("%s says its archive is %s, the pin says %s", by, digest, s.unpack)
	}
	theirs, err := p.filesOf(ctx, artifact, digest)
	if err != nil {
		return err
	}
	ours, err := s.fileSet()
	if err != nil {
		return err
	}
	if path, here, there := ours.Diff(theirs); path != "" {
		return tampered("its file %s is %s, in the archive %s of %s it is %s", quoted(path), here, digest, by, there)
	}
	return nil
}

// codeOf is Timeout for what an ended context leaves undone.
func codeOf(err error) builtins.Code {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return builtins.Timeout
	}
	return builtins.CodeOf(err)
}

// filesOf reads an archive for what is in it.
func (p *prover) filesOf(ctx context.Context, artifact builtins.Artifact, digest string) (FileSet, error) {
	body, err := artifact.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	c, err := archive.ReadContents(ctx, body, p.env.Budget)
	if err != nil {
		return nil, builtins.Errorf(codeOf(err), "the archive to compare it with: %w", err)
	}
	if c.Digest != digest {
		return nil, tampered("the archive to compare it with is %s, %s was expected", c.Digest, digest)
	}
	return NewFileSet(c)
}
