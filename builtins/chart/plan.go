// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/builtins/helm"
)

// A plan is options that are understood.
type plan struct {
	env        *builtins.Env
	kinds      []kind // none turns the bytes off
	aliases    map[string]string
	allowFiles bool
	chart      builtins.Expected
}

// A signer is a check of ours whose verdict is evidence for a dependency.
type signer struct {
	kind, option string
	check        *builtins.Builtin
	given        func(LockOKOptions) map[string]any
	one          []string // options that are about one chart, where dependencies are many
}

// signers are the kinds of evidence that options have to be given for.
var signers = []signer{
	{"provenance", "provenance_options", helm.VerifyProv, func(o LockOKOptions) map[string]any { return o.ProvenanceOptions }, []string{"chart", "provenance"}},
	{"signature", "signature_options", cosign.Verify, func(o LockOKOptions) map[string]any { return o.SignatureOptions }, []string{"chart", "bundle"}},
}

func (o LockOKOptions) plan(env *builtins.Env) (*plan, error) {
	p := &plan{env: env, aliases: o.Repositories, allowFiles: o.AllowFileRepositories, chart: o.Chart}
	for _, name := range slices.Sorted(maps.Keys(o.Repositories)) {
		if err := checkAlias(name, o.Repositories[name]); err != nil {
			return nil, err
		}
	}
	if err := o.Chart.Check(); err != nil {
		return nil, err
	}
	return p, p.weigh(env, o)
}

// weigh puts the kinds of evidence in order.
func (p *plan) weigh(env *builtins.Env, o LockOKOptions) error {
	known := map[string]kind{byLock.name: byLock, byRepository.name: byRepository}
	content := []string{byLock.name}
	for _, s := range signers {
		given := s.given(o)
		if given == nil {
			continue
		}
		k, err := s.ready(env, given)
		if err != nil {
			return err
		}
		known[s.kind] = k
		content = append(content, s.kind)
	}
	if content = append(content, byRepository.name); o.Content != nil {
		content = o.Content
	}
	for i, name := range content {
		k, ok := known[name]
		if !ok {
			return unknownKind(name)
		}
		if slices.Contains(content[:i], name) {
			return fmt.Errorf("content names %s twice", name)
		}
		p.kinds = append(p.kinds, k)
	}
	return nil
}

func unknownKind(name string) error {
	for _, s := range signers {
		if s.kind == name {
			return fmt.Errorf("content names %s, which needs %s", name, s.option)
		}
	}
	return fmt.Errorf("content names %s; known are lock, provenance, signature and repository", quoted(name))
}

// ready makes evidence of a check whose options are right.
func (s signer) ready(env *builtins.Env, given map[string]any) (kind, error) {
	for _, option := range s.one {
		if _, ok := given[option]; ok {
			return kind{}, fmt.Errorf("%s.%s is about one chart, and dependencies are many", s.option, option)
		}
	}
	opts, err := json.Marshal(given)
	if err != nil {
		return kind{}, err
	}
	// A check judges its options before the reference, and this one is none.
	if rep := s.check.Call(context.Background(), env, chartref.Ref{}, opts); rep.Code == builtins.InvalidOptions {
		return kind{}, fmt.Errorf("%s: %s", s.option, rep.Reason)
	}
	return kind{s.kind, attested(s.check, opts)}, nil
}
