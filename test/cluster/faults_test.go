// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/chartseal/chartseal/test/pki"
	"github.com/chartseal/chartseal/test/registry"
)

// A tally counts what was asked of the API server while something was wrong,
// and what it admitted that nobody could have verified.
type tally struct {
	asked, verified, unverified atomic.Int64
}

// TestFaults breaks one thing after the other, in the order of an installation,
// and counts unverified charts that are admitted.
func TestFaults(t *testing.T) {
	f := &faults{world: newWorld(t, "--audit-interval=60"), total: new(tally)}
	f.dana = f.tenant()
	f.Apply(t, f.charts.real(shop))
	for _, run := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"installed in parts", f.installedInParts},
		{"the provider is stopped and started", f.providerStopped},
		{"the provider hangs", f.providerHangs},
		{"the registry is down", f.registryDown},
		{"the registry is slow", f.registrySlow},
		{"certificates are rotated", f.rotated},
		{"trust is removed", f.trustRemoved},
		{"the Provider is deleted", f.providerDeleted},
		{"Gatekeeper is stopped", f.gatekeeperStopped},
		{"Gatekeeper is restarted", f.gatekeeperRestarted},
		{"answers are cached", f.cached},
	} {
		t.Run(run.name, run.run)
	}
	t.Logf("asked %d times; verified charts admitted: %d", f.total.asked.Load(), f.total.verified.Load())
	t.Logf("unverified charts admitted: %d", f.total.unverified.Load())
	if f.total.unverified.Load() > 0 {
		t.Error("an unverified chart was admitted")
	}
}

type faults struct {
	*world
	dana    *user
	total   *tally
	created atomic.Int64
	fresh   int
}

// attempt creates an object with the chart. What nobody can verify counts as
// unverified if it is admitted.
func (f *faults) attempt(t *testing.T, repo, tag string, verifiable bool) error {
	name := fmt.Sprintf("attempt-%d", f.created.Add(1))
	err := f.dana.create(t.Context(), f.artifact(t, name, repo, tag))
	f.total.asked.Add(1)
	switch {
	case err == nil && verifiable:
		f.total.verified.Add(1)
	case err == nil:
		f.total.unverified.Add(1)
		t.Errorf("admitted: %s:%s", repo, tag)
	}
	return err
}

// another publishes a version of the signed chart that nobody has asked for yet.
func (f *faults) another() (tag string) {
	f.fresh++
	tag = fmt.Sprintf("2.0.%d", f.fresh)
	f.charts.publish("platform/web", tag, f.charts.platform)
	return tag
}

// refuses wants every kind of chart denied, also those that are signed and could
// be verified in better times, several at once.
func (f *faults) refuses(t *testing.T, says string) {
	t.Helper()
	type question struct{ repo, tag string }
	questions := []question{{"platform/unsigned", "1.2.3"}, {"platform/foreign", "1.2.3"}}
	for range 3 {
		questions = append(questions, question{"platform/web", f.another()})
	}
	said, wait := make([]error, len(questions)), sync.WaitGroup{}
	began := time.Now()
	for i, q := range questions {
		wait.Go(func() { said[i] = f.attempt(t, q.repo, q.tag, false) })
	}
	wait.Wait()
	t.Logf("CREATE of %d objects at once: all denied after %s; the API server said: %v", len(questions), time.Since(began).Round(time.Millisecond), said[2])
	for _, err := range said {
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("the API server said: %v, want %q in it", err, says)
		}
	}
}

// works wants a signed chart admitted and an unsigned one denied.
func (f *faults) works(t *testing.T) {
	t.Helper()
	tag := f.another()
	eventually(t, "a signed chart to be admitted", func() error { return f.attempt(t, "platform/web", tag, true) })
	err := f.attempt(t, "platform/unsigned", "1.2.3", false)
	denied(t, "CREATE of an unsigned chart", err, change{By: []string{"trusted"}, Says: "no signature is stored anywhere"})
	t.Logf("CREATE of a signed chart: admitted")
}

// installedInParts goes through every state between nothing and all of it.
// Nothing is demanded before there is a constraint.
func (f *faults) installedInParts(t *testing.T) {
	f.applyWebhook(f.gatekeeper.ClientCA)
	trusted := f.constraints()["trusted"]
	_, err := f.TryKubectl(t, manifest(t, trusted), "apply", "--server-side", "-f", "-")
	t.Logf("applied a constraint before its template: %v", err)
	if err == nil {
		t.Fatal("a constraint is accepted of which nobody knows")
	}
	f.applyTemplates("trusted_charts")
	f.constrain(trusted)
	f.refuses(t, "the provider gave no verdict") // there is no Provider
	f.Apply(t, f.provider.resource(f.gatekeeper.ClientCA))
	t.Log("applied Provider chartseal with another authority's caBundle")
	f.refuses(t, "the provider gave no verdict")
	f.applyProvider()
	f.works(t)
	f.templates(t)
}

// templates has the template replaced by what does not compile, and asks for a
// check that there is none of.
func (f *faults) templates(t *testing.T) {
	broken := strings.Replace(template(t, "trusted_charts"), "package policies.trusted_charts", "package policies.trusted_charts\n\n              violation contains nothing.here", 1)
	_, err := f.TryKubectl(t, broken, "apply", "--server-side", "-f", "-")
	t.Logf("applied a template that does not compile: %v", err)
	f.works(t)
	if err == nil {
		f.Apply(t, template(t, "trusted_charts"))
	}
	unknown := read(t, strings.ReplaceAll(manifest(t, f.constraints()["trusted"]), "cosign.verify", "cosign.verify_next"))[0]
	f.constrain(unknown)
	f.refuses(t, "must be one of the following")
	f.constrain(f.constraints()["trusted"])
	f.works(t)
}

// providerStopped goes on admitting meanwhile: whatever comes when, nothing
// unverified gets in.
func (f *faults) providerStopped(t *testing.T) {
	stop := f.load(t)
	for range 3 {
		f.provider.Stop(t)
		t.Log("stopped chartseal-provider")
		f.refuses(t, "the provider gave no verdict")
		f.provider.start(f.binary)
		t.Log("started chartseal-provider")
		f.works(t)
	}
	stop()
}

// load creates objects all the time, signed and unsigned in turn, until it is
// told to stop. It gives how often a signed one was denied.
func (f *faults) load(t *testing.T) (stop func() (denied int64)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var asked, refused atomic.Int64
	for n := range 2 {
		wait.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				asked.Add(1)
				if i%2 == 0 {
					_ = f.attempt(t, "platform/unsigned", "1.2.3", false)
				} else if err := f.attempt(t, "platform/web", "1.2.3", true); err != nil {
					if refused.Add(1) == 1 {
						t.Logf("while all this goes on, a signed chart is denied: %v", err)
					}
				}
			}
		})
	}
	return func() int64 {
		cancel()
		wait.Wait()
		t.Logf("meanwhile %d objects were created; %d times a signed chart was denied", asked.Load(), refused.Load())
		return refused.Load()
	}
}

// providerHangs stops it without ending it: the API server's patience must be
// longer than Gatekeeper's.
func (f *faults) providerHangs(t *testing.T) {
	f.provider.Signal(t, syscall.SIGSTOP)
	t.Log("chartseal-provider hangs")
	f.refuses(t, "the provider gave no verdict")
	f.provider.Signal(t, syscall.SIGCONT)
	f.works(t)
}

func (f *faults) registryDown(t *testing.T) {
	for name, rule := range map[string]registry.Rule{
		"answers 503":          {Status: http.StatusServiceUnavailable},
		"resets connections":   {Reset: true},
		"answers 401":          {Status: http.StatusUnauthorized},
		"answers with rubbish": {Body: []byte("<html>")},
	} {
		remove := f.registry.Rule(rule)
		t.Logf("the registry %s", name)
		f.refuses(t, "[trusted] spec: ")
		remove()
	}
	f.works(t)
}

// registrySlow is slower than Gatekeeper waits. The check goes on in the
// background, and whoever asks again later gets its verdict.
func (f *faults) registrySlow(t *testing.T) {
	remove := f.registry.Rule(registry.Rule{Path: "/v2/*", Trickle: registry.Trickle{Bytes: 60, Every: 200 * time.Millisecond}})
	t.Log("the registry gives 300 bytes a second")
	f.refuses(t, "[trusted] spec: ")
	tag, began := f.another(), time.Now()
	if err := f.attempt(t, "platform/web", tag, true); err == nil {
		t.Error("the registry is not slow enough for this")
	}
	eventually(t, "the check in the background", func() error { return f.attempt(t, "platform/web", tag, true) })
	t.Logf("CREATE of a signed chart, asked again and again: admitted after %s", time.Since(began).Round(100*time.Millisecond))
	remove()
	remove = f.registry.Rule(registry.Rule{Path: "/v2/*", Hang: true})
	t.Log("the registry hangs")
	f.refuses(t, "[trusted] spec: ")
	remove()
	f.works(t)
}

// rotated exchanges the certificates and authorities of Gatekeeper and of the
// provider while objects are created. No chart that is signed is denied either.
func (f *faults) rotated(t *testing.T) {
	stop := f.load(t)
	f.rotateGatekeeper(t)
	f.rotateProvider(t)
	f.works(t)
	if stop() > 0 {
		t.Error("a rotation stands in the way of signed charts")
	}
}

func (f *faults) rotateGatekeeper(t *testing.T) {
	before, next := f.gatekeeper.ClientCA, f.gatekeeper.NewCertificate(t)
	both := append(append([]byte{}, before...), next.Authority...)
	f.provider.write("clients/ca.crt", both)
	eventually(t, "the provider to answer to the next certificate", func() error { return f.provider.answers(next) })
	f.gatekeeper.Trusted(t, both)
	f.applyWebhook(both)
	f.works(t)
	f.gatekeeper.Use(t, next)
	eventually(t, "Gatekeeper to show its next certificate", f.gatekeeper.Shows)
	t.Log("Gatekeeper has a certificate of another authority")
	f.works(t)
	f.provider.write("clients/ca.crt", next.Authority)
	f.gatekeeper.Trusted(t, next.Authority)
	f.applyWebhook(next.Authority)
}

func (f *faults) rotateProvider(t *testing.T) {
	before := f.provider.authority.PEM()
	next := pki.NewAuthority("provider")
	f.Apply(t, f.provider.resource(append(append([]byte{}, before...), next.PEM()...)))
	f.providerObserved(t)
	f.provider.certify(next)
	eventually(t, "the provider to show its next certificate", f.provider.shows)
	t.Log("chartseal-provider has a certificate of another authority")
	f.works(t)
	f.Apply(t, f.provider.resource(next.PEM()))
	f.providerObserved(t)
}

// providerObserved waits until Gatekeeper has the Provider as it is now.
func (f *faults) providerObserved(t *testing.T) {
	t.Helper()
	eventually(t, "Gatekeeper to take the Provider", func() error {
		said := f.Kubectl(t, "", "get", "provider", "chartseal", "-o", "jsonpath={.metadata.generation} {.status.byPod[0].observedGeneration} {.status.byPod[0].active}")
		if fields := strings.Fields(said); len(fields) != 3 || fields[0] != fields[1] || fields[2] != "true" {
			return fmt.Errorf("generation, observed generation and active are %q", said)
		}
		return nil
	})
}

// trustRemoved has the very next object denied, for Gatekeeper caches nothing here.
func (f *faults) trustRemoved(t *testing.T) {
	must(t, f.attempt(t, "platform/web", "1.2.3", true))
	f.provider.trusts(f.charts.stranger.trust(t))
	err := f.attempt(t, "platform/web", "1.2.3", false)
	t.Logf("removed the platform's keys; CREATE of what was admitted before: the API server said: %v", err)
	f.provider.trusts(f.charts.platform.trust(t))
	f.works(t)
}

func (f *faults) providerDeleted(t *testing.T) {
	f.Kubectl(t, "", "delete", "provider", "chartseal")
	t.Log("deleted Provider chartseal")
	f.refuses(t, "the provider gave no verdict")
	f.applyProvider()
	f.works(t)
}

// gatekeeperStopped is where Gatekeeper's own configuration admits everything.
// Ours refuses charts, and nothing else.
func (f *faults) gatekeeperStopped(t *testing.T) {
	f.gatekeeper.Stop(t)
	t.Log("stopped Gatekeeper")
	f.refuses(t, "failed calling webhook \"charts.chartseal.dev\"")
	if err := f.attempt(t, "platform/web", "1.2.3", false); !apierrors.IsInternalError(err) {
		t.Errorf("the API server said: %v", err)
	}
	secret := read(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: other, namespace: shop}\n")[0]
	must(t, f.dana.create(t.Context(), secret))
	t.Log("CREATE of a Secret: admitted")
	f.Kubectl(t, "", "delete", "validatingwebhookconfiguration", "chartseal-validating-webhook-configuration")
	eventually(t, "Gatekeeper's own configuration to let an unsigned chart pass", func() error {
		return f.dana.try(t.Context(), f.artifact(t, "stock", "platform/unsigned", "1.2.3"))
	})
	t.Log("without our webhook configuration, dry run of an unsigned chart: admitted")
	f.applyWebhook(f.gatekeeper.ClientCA)
	eventually(t, "our webhook configuration to be in force", func() error {
		if err := f.dana.try(t.Context(), f.artifact(t, "stock", "platform/unsigned", "1.2.3")); err == nil {
			return fmt.Errorf("an unsigned chart passes")
		}
		return nil
	})
	f.refuses(t, "failed calling webhook")
}

// gatekeeperRestarted goes on admitting meanwhile. A Gatekeeper that has not read
// all constraints yet is not ready, and is asked nothing.
func (f *faults) gatekeeperRestarted(t *testing.T) {
	stop := f.load(t)
	for range 3 {
		f.gatekeeper.Start(t)
		f.works(t)
		f.gatekeeper.Stop(t)
	}
	stop()
}

// ttl is how long Gatekeeper may go on with an answer.
const ttl = 5 * time.Second

// cached starts Gatekeeper with a cache: what was verified goes on being
// admitted for so long, and no longer.
func (f *faults) cached(t *testing.T) {
	f.gatekeeper.Start(t, "--external-data-provider-response-cache-ttl="+ttl.String())
	f.enforced(f.constraints()["trusted"])
	t.Logf("started Gatekeeper with a cache of %s", ttl)
	f.works(t)
	must(t, f.attempt(t, "platform/web", "1.2.3", true))
	f.provider.trusts(f.charts.stranger.trust(t))
	f.fades(t, "removed the platform's keys")
	f.provider.trusts(f.charts.platform.trust(t))
	f.works(t)
	eventually(t, "the verdict that was cached to go", func() error { return f.attempt(t, "platform/web", "1.2.3", true) })
	f.provider.Stop(t)
	f.fades(t, "stopped chartseal-provider")
	f.provider.start(f.binary)
	f.works(t)
}

// fades wants a chart denied when the answer about it is old, a second more
// being what Gatekeeper rounds by.
func (f *faults) fades(t *testing.T, what string) {
	t.Helper()
	began := time.Now()
	eventually(t, "the cache to forget", func() error {
		if err := f.attempt(t, "platform/web", "1.2.3", time.Since(began) <= ttl+time.Second); err != nil {
			return nil
		}
		return fmt.Errorf("admitted %s after it", time.Since(began))
	})
	t.Logf("%s; CREATE of what was admitted before: denied after %s", what, time.Since(began).Round(100*time.Millisecond))
}
