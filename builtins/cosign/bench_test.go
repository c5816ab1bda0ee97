// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"testing"
	"time"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// BenchmarkVerify is one signature without a registry.
func BenchmarkVerify(b *testing.B) {
	keyless := shared.vs.Keyless(vsig.Leaf{Subject: subject, Issuer: issuer})
	all := policies(b)
	payload, annotations := keyless.Simple(fuzzed.Repository, fuzzed.Digest, nil).Log(shared.vs.Rekor, at).Layer()
	byKey, byKeyAnnotations := shared.key.Simple(fuzzed.Repository, fuzzed.Digest, nil).Layer()
	bundle := func(s *vsig.Signature) func(p *cosign.Policy) error {
		raw := s.Bundle("0.3")
		return func(p *cosign.Policy) error { _, err := p.VerifyBundle(raw, fuzzed); return err }
	}
	for _, bb := range []struct {
		name   string
		policy *cosign.Policy
		run    func(p *cosign.Policy) error
	}{
		{"key, bundle", all[0], bundle(shared.key.Statement(fuzzed.Digest, vsig.SignPredicate, nil))},
		{"key, simple signing", all[0], func(p *cosign.Policy) error {
			_, err := p.VerifySimpleSigning(b.Context(), byKey, byKeyAnnotations, fuzzed)
			return err
		}},
		{"identity, bundle", all[1], bundle(keyless.Statement(fuzzed.Digest, vsig.SignPredicate, nil).Log(shared.vs.Rekor, at))},
		{"identity, bundle, log v2", all[1], bundle(keyless.Statement(fuzzed.Digest, vsig.SignPredicate, nil).LogV2(shared.vs.RekorV2).Stamp(shared.vs, at))},
		{"identity, simple signing", all[1], func(p *cosign.Policy) error {
			_, err := p.VerifySimpleSigning(b.Context(), payload, annotations, fuzzed)
			return err
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bb.run(bb.policy); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRegistry is the whole check, ten bundles, with the delay before
// each answer that a registry further away has.
func BenchmarkRegistry(b *testing.B) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond} {
		b.Run(delay.String(), func(b *testing.B) {
			w := newWorld(b)
			w.sign(10, 0)
			w.srv.Rule(registry.Rule{Delay: delay})
			for b.Loop() {
				expect(b, w.callOnce(w.ref(), byRelease), builtins.OK)
			}
		})
	}
}

// BenchmarkWarm is the whole check of what the registry was asked for before:
// with the verdict of a moment ago, and with a verdict anew.
func BenchmarkWarm(b *testing.B) {
	for name, ask := range map[string]object{"key": byRelease, "identity": byIdentityOf} {
		w := newWorld(b)
		w.env = w.newEnv(time.Hour)
		w.sign(1, 0)
		w.attach(w.keyless().Statement(w.digest, vsig.SignPredicate, nil).LogV2(w.vs.RekorV2).Stamp(w.vs, at).Bundle("0.3"))
		expect(b, w.callOnce(w.ref(), ask), builtins.OK)
		ref, opts := chartref.Parse(w.ref()), marshal(ask)
		for kept, apart := range map[string]time.Duration{"verdict kept": 0, "verdict anew": time.Hour} {
			b.Run(name+", "+kept, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.env.Now = w.env.Now.Add(apart)
					if rep := cosign.Verify.Call(b.Context(), w.env, ref, opts); !rep.Verified {
						b.Fatal(rep.Reason)
					}
				}
			})
		}
	}
}
