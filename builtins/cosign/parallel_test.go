// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"fmt"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/chartseal/chartseal/builtins"
	"github.com/chartseal/chartseal/builtins/chartref"
	"github.com/chartseal/chartseal/builtins/cosign"
	"github.com/chartseal/chartseal/builtins/source"
	"github.com/chartseal/chartseal/test/forge"
	"github.com/chartseal/chartseal/test/registry"
	"github.com/chartseal/chartseal/test/vsig"
)

// A question is one call.
type question struct {
	ref  string
	opts []byte
}

// mixed fills the world with charts that are signed by different keys and
// identities, in every form, and gives all questions that can be asked about
// them.
func (w *world) mixed() (questions []question) {
	w.trustStranger()
	w.trust.roots["foreign"] = vsig.New(at).Root()
	refs := []string{w.url}
	for i, sign := range []func(){
		func() { w.sign(1, 1) },
		func() {
			w.attach(w.keyless().Statement(w.digest, vsig.SignPredicate, nil).Log(w.vs.Rekor, at).Bundle("0.3"))
			w.storeLayers(repo, layerOf(stranger.Simple("x", w.digest, nil)))
		},
		func() {
			w.attach(w.keyless().Statement(w.digest, vsig.SignPredicate, nil).LogV2(w.vs.RekorV2).Stamp(w.vs, at).Bundle("0.3"))
			w.sign(1, 0)
			w.storeLayers(repo, layerOf(w.keyless().Simple("x", w.digest, nil).Log(w.vs.Rekor, at)), layerOf(stranger.Simple("x", w.digest, nil)))
		},
		func() {},
		func() { w.sign(0, 1) },
	} {
		version := fmt.Sprintf("1.0.%d", i)
		w.digest = w.srv.PushChart(repo, version, forge.Archive(forge.Chart("web", version)...), nil, func(p *registry.Push) {
			if i == 4 {
				p.Manifest.Config.MediaType = ocispec.MediaTypeImageConfig
			}
		})
		sign()
		at := "oci://" + w.srv.Host() + "/" + repo
		refs = append(refs, at+":"+version, at+"@"+w.digest)
	}
	w.srv.AddFile("files/web-1.2.3.tgz.sigstore.json", w.key.Blob(archive).Bundle("0.3"))
	whoever := func(root, subject string) object {
		return object{"identities": []object{{"issuer": issuer, "subject": subject}}, "trusted_root": root}
	}
	for _, ask := range []object{
		byRelease, twoKeys, {"public_keys": []string{"second"}}, {"public_key": string(w.key.PublicKey()), "annotations": object{"n": "0"}},
		byIdentityOf, whoever("foreign", subject), whoever("ours", "nobody"),
		{"public_keys": []string{"release"}, "trusted_root": "ours", "transparency_log": "required"},
	} {
		for _, ref := range refs {
			questions = append(questions, question{ref, marshal(ask)})
		}
	}
	return questions
}

// TestC33Parallel has 200 goroutines ask about mixed charts with mixed keys and
// roots: each gets the report that he would get alone, whether what the
// registry says is remembered or not.
func TestC33Parallel(t *testing.T) {
	w := newWorld(t)
	questions := w.mixed()
	w.env.Trust = w.trust
	call := func(env *builtins.Env, q question) string {
		return string(marshal(cosign.Verify.Call(t.Context(), env, chartref.Parse(q.ref), q.opts)))
	}
	alone, verified := map[string]string{}, 0
	for _, q := range questions {
		rep := cosign.Verify.Call(t.Context(), w.env, chartref.Parse(q.ref), q.opts)
		alone[q.ref+string(q.opts)] = string(marshal(rep))
		if rep.Verified {
			verified++
		}
		if rep.Outcome == builtins.Undecided {
			t.Errorf("%s %s: %s", q.ref, q.opts, rep.Reason)
		}
	}
	if verified < len(questions)/8 || verified > len(questions)/2 {
		t.Errorf("%d of %d questions are verified: too much alike", verified, len(questions))
	}
	for name, env := range map[string]*builtins.Env{"asking each time": w.env, "remembering": w.newEnv(listings)} {
		t.Run(name, func(t *testing.T) {
			var group sync.WaitGroup
			for i := range 200 {
				group.Go(func() {
					for n := range 3 {
						q := questions[(i+n*67)%len(questions)]
						if got, want := call(env, q), alone[q.ref+string(q.opts)]; got != want {
							t.Errorf("in parallel %s\nalone %s", got, want)
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// TestOneRequestAtATime has a host answer one request at once: no question
// holds one while it waits for another.
func TestOneRequestAtATime(t *testing.T) {
	w := newWorld(t)
	questions := w.mixed()
	limits := builtins.DefaultLimits()
	limits.HostRequests = 1
	client, err := source.New(source.Config{
		Registries: func(string) (source.Registry, bool) { return source.Registry{Insecure: true}, true },
		Limits:     limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	narrow := *w.env
	narrow.Source, narrow.Facts = client, nil
	for _, q := range questions {
		rep := cosign.Verify.Call(t.Context(), &narrow, chartref.Parse(q.ref), q.opts)
		if want := cosign.Verify.Call(t.Context(), w.env, chartref.Parse(q.ref), q.opts); rep.Code != want.Code {
			t.Errorf("%s: %s (%s), want %s", q.ref, rep.Code, rep.Reason, want.Code)
		}
	}
}
