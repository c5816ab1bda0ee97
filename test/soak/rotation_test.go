// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartseal/chartseal/test/forge"
)

// Certificate, Gatekeeper's authority and certificate, trust and configuration
// are exchanged under load, as Kubernetes does it and by renaming: no request
// fails, and what was asked after a revocation has arrived is answered by it.
func TestRotation(t *testing.T) {
	for name, at := range map[string]func(dir string) files{
		"mounts":  func(dir string) files { return &mount{dir: dir} },
		"renames": func(dir string) files { return folder{dir} },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.trust, p.tls = at(filepath.Join(p.dir, name, "trust")), at(filepath.Join(p.dir, name, "tls"))
			p.trustKeys(signer)
			p.certify()
			replace(t, p.config(), []byte(p.rotated(name, 0)))
			newRotation(t, p, name).run()
		})
	}
}

// rotated is the configuration with another digest each epoch.
func (p *place) rotated(dir string, epoch int) string {
	text := strings.NewReplacer("directory: trust", "directory: "+dir+"/trust", "tls/", dir+"/tls/").Replace(p.configuration())
	return fmt.Sprintf("# epoch %d\n%s", epoch, text)
}

type rotation struct {
	*place
	dir  string
	keys []string
	r    *process
	g    *gatekeeper

	epoch    atomic.Int64 // that has surely arrived
	failed   atomic.Int64
	requests atomic.Int64

	mu   sync.Mutex
	seen map[sighting]int
}

// A sighting is a verdict, and which epoch had surely arrived when it was asked
// for.
type sighting struct {
	epoch               int64
	outcome, code, from string
}

func newRotation(t *testing.T, p *place, dir string) *rotation {
	keys := p.registry.push("web", 8)
	r := p.start()
	return &rotation{place: p, dir: dir, keys: keys, r: r, g: p.gatekeeper(r), seen: map[sighting]int{}}
}

func (o *rotation) run() {
	trusts := map[string]int64{o.trustNow(): 0}
	stop, wait := make(chan struct{}), sync.WaitGroup{}
	for n := range 4 {
		wait.Go(func() { o.load(n, stop) })
	}
	began := time.Now()
	epoch := int64(0)
	for epoch < 4 || time.Since(began) < soak {
		second := time.After(time.Second)
		epoch++
		o.rotate(epoch)
		digest := o.trustNow()
		if _, before := trusts[digest]; before {
			o.t.Errorf("epoch %d answers with the trust of epoch %d", epoch, trusts[digest])
		}
		trusts[digest] = epoch
		if soak > 0 {
			<-second
		}
	}
	close(stop)
	wait.Wait()
	o.judge(trusts, epoch)
	o.t.Logf("%d epochs in %s: %d requests, %d failed, generation %.0f", epoch, time.Since(began).Round(time.Second), o.requests.Load(), o.failed.Load(), o.r.metrics()["chartseal_config_generation"])
}

// rotate exchanges everything and waits until all of it has arrived. In odd
// epochs the signer is revoked.
func (o *rotation) rotate(epoch int64) {
	trusted := signer
	if epoch%2 == 1 {
		trusted = stranger
	}
	reloads := len(o.r.journal.entries("reloaded"))
	o.trustKeys(trusted, forge.NewKey(forge.KeySpec{}))
	o.clients = newAuthority(o.t)
	serving := o.certify()
	replace(o.t, o.config(), []byte(o.rotated(o.dir, int(epoch))))
	eventually(o.t, "the trust to arrive", func() bool { return o.arrived(reloads) })
	eventually(o.t, "the certificate to arrive", func() bool { return o.shows(serving) })
	o.epoch.Store(epoch)
	o.g.use(o.clients.issue(o.t, gatekeeperName))
}

// arrived is that a basis with another trust than the last is in use.
func (o *rotation) arrived(reloads int) bool {
	all := append(o.r.journal.entries("serving"), o.r.journal.entries("reloaded")...)
	last := all[len(all)-1]
	if all[reloads]["trust_directory"] == last["trust_directory"] {
		return false
	}
	if generation := o.r.metrics()["chartseal_config_generation"]; generation < last["generation"].(float64) {
		o.t.Errorf("metrics have generation %v, the journal %v", generation, last["generation"])
	}
	return true
}

// shows says whether connections get the certificate. The authority was there
// before it.
func (o *rotation) shows(serving pair) bool {
	conn, err := tls.Dial("tcp", o.r.listen, o.clientTLS(o.g.certificate.Load))
	if err != nil {
		return false
	}
	defer conn.Close()
	return bytes.Equal(conn.ConnectionState().PeerCertificates[0].Raw, serving.Leaf.Raw)
}

// trustNow is with which trust a key is answered.
func (o *rotation) trustNow() string {
	var digest string
	eventually(o.t, "a verdict", func() bool {
		a := o.g.ask(o.keys[0])
		if len(a.Response.Items) == 1 {
			digest = a.Response.Items[0].Value.Trust
		}
		return digest != ""
	})
	return digest
}

func (o *rotation) load(n int, stop chan struct{}) {
	for i := n; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		epoch := o.epoch.Load()
		a, err := o.g.try(o.t.Context(), o.keys[i%len(o.keys)], o.keys[(i+3)%len(o.keys)])
		o.requests.Add(1)
		if err != nil {
			o.failed.Add(1)
			o.t.Errorf("request failed: %v", err)
			continue
		}
		o.mu.Lock()
		for _, item := range a.Response.Items {
			o.seen[sighting{epoch, item.Value.Outcome, item.Value.Code, item.Value.Trust}]++
		}
		o.mu.Unlock()
		if len(a.Response.Items) < 2 && a.Response.SystemError == "" {
			o.t.Errorf("a key is lost: %s", a.raw)
		}
	}
}

func (o *rotation) judge(trusts map[string]int64, last int64) {
	epochs := map[int64]int{}
	for s, n := range o.seen {
		of, known := trusts[s.from]
		want := sighting{s.epoch, "verified", "ok", s.from}
		if of%2 == 1 {
			want.outcome, want.code = "rejected", "untrusted_signer"
		}
		switch {
		case !known:
			o.t.Errorf("%d verdicts of a trust that never was: %+v", n, s)
		case of < s.epoch:
			o.t.Errorf("%d stale verdicts: of epoch %d, asked in epoch %d", n, of, s.epoch)
		case s != want:
			o.t.Errorf("%d wrong verdicts in epoch %d: %+v", n, of, s)
		}
		epochs[of] += n
	}
	for epoch := range last {
		if epochs[epoch] == 0 {
			o.t.Logf("no verdict of epoch %d was seen under load", epoch)
		}
	}
}
