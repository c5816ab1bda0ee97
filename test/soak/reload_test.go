// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chartseal/chartseal/test/forge"
)

// successful says whether what the files hold is what is used.
func (r *process) successful() bool {
	return r.metrics()["chartseal_config_last_reload_successful"] == 1
}

// refused waits until the provider has said that it keeps what it had.
func (r *process) refused(t testing.TB, before int, why string) {
	t.Helper()
	eventually(t, "a refusal", func() bool {
		return len(r.refusals()) > before && !r.successful()
	})
	last := r.refusals()[len(r.refusals())-1]
	if text, _ := last["error"].(string); !strings.Contains(text, why) || last["level"] != "ERROR" {
		t.Errorf("the journal says %v, want %q", last, why)
	}
}

func (r *process) refusals() []map[string]any {
	return r.journal.entries("what has changed cannot be used; what was there before stays in use")
}

// A certificate without its key is not used, and the one before stays (S2).
func TestBadCertificate(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	r := p.start()
	o := &rotation{place: p, r: r, g: p.gatekeeper(r)}
	present := p.certify()
	eventually(t, "the certificate", func() bool { return o.shows(present) })
	for name, content := range map[string]struct{ cert, key []byte }{
		"of another key": {p.servers.issue(t, "127.0.0.1").cert, p.servers.issue(t, "127.0.0.1").key},
		"half a file":    {present.cert[:len(present.cert)/2], present.key},
		"empty":          {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.refusals())
			p.tls.exchange(t, map[string][]byte{"ca.crt": p.clients.pem, "tls.crt": content.cert, "tls.key": content.key})
			r.refused(t, before, "serving certificate")
			o.g.use(p.client) // for new connections
			if !o.shows(present) || o.g.ask(keys[0]).code() != "ok" {
				t.Error("the old certificate does not serve")
			}
			present = p.certify()
			eventually(t, "a good one", func() bool { return o.shows(present) && r.successful() })
		})
	}
}

// A configuration that cannot be used is not: the one before stays, a metric and
// the journal say so, and a start with it ends with 2 (S16).
func TestBadConfiguration(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	good := p.configuration()
	r := p.start()
	g := p.gatekeeper(r)
	for name, c := range map[string]struct{ text, says string }{
		"bad YAML":      {"registries: [", "yaml"},
		"unknown field": {good + "registires: []\n", "registires"},
		"half a file":   {good[:strings.Index(good, "{cert_file")], "server"},
		"empty":         {"", "empty"},
		"twice":         {good + "---\n" + good, "more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.refusals())
			generation := r.metrics()["chartseal_config_generation"]
			replace(t, p.config(), []byte(c.text))
			r.refused(t, before, c.says)
			if g.ask(keys[0]).code() != "ok" || r.metrics()["chartseal_config_generation"] != generation {
				t.Error("the old configuration is not in use")
			}
			fresh := p.launch()
			if code := fresh.code(); code != 2 || !strings.Contains(fresh.journal.text(), c.says) {
				t.Errorf("started with it: %d, %s", code, fresh.journal.text())
			}
			replace(t, p.config(), []byte(good))
			eventually(t, "the good one", r.successful)
		})
	}
	replace(t, p.config(), []byte(good+"cache: {listings: 7s}\n"))
	eventually(t, "another good one", func() bool { return len(r.journal.entries("reloaded")) > 0 })
}

// Trust that cannot be read, or holds no key, is not used: the last good ring
// stays, named by trust, and a start with it ends with 2. Nobody waits for a
// FIFO or reads a device without end (P33).
func TestBadTrust(t *testing.T) {
	p := newPlace(t)
	p.trust = folder{filepath.Join(p.dir, "trust.folder")}
	p.trustKeys(signer)
	good := strings.Replace(p.configuration(), "directory: trust", "directory: trust.folder", 1)
	replace(t, p.config(), []byte(good))
	ring := filepath.Join(p.dir, "trust.folder/keyrings/team.gpg")
	keys := p.registry.push("web", 1)
	r := p.start()
	g := p.gatekeeper(r)
	trusted := g.ask(keys[0]).Response.Items[0].Value.Trust
	for name, put := range map[string]func(path string) error{
		"FIFO":           func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"endless device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"directory":      func(path string) error { return os.Mkdir(path, 0o700) },
		"without keys":   func(path string) error { return os.WriteFile(path, []byte("no keys\n"), 0o600) },
		"empty":          func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"half":           func(path string) error { return os.WriteFile(path, signer.Public()[:40], 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.refusals())
			must(t, put(ring+".new"))
			must(t, os.Rename(ring, ring+".old"))
			must(t, os.Rename(ring+".new", ring))
			must(t, os.Rename(ring+".old", filepath.Join(p.dir, "ring")))
			r.refused(t, before, "team.gpg")
			if a := g.ask(keys[0]); a.code() != "ok" || a.Response.Items[0].Value.Trust != trusted {
				t.Errorf("answer is %s", a.raw)
			}
			if code := p.launch().code(); code != 2 {
				t.Errorf("started with it: %d", code)
			}
			must(t, os.RemoveAll(ring))
			must(t, os.Rename(filepath.Join(p.dir, "ring"), ring))
			eventually(t, "the good ring", r.successful)
		})
	}
}

// A ring that is replaced, and written half in its place, in a loop during
// checks: every verdict is by a ring that was whole, and says by which (P31).
func TestRingReplacedDuringChecks(t *testing.T) {
	p := newPlace(t)
	p.trust = folder{filepath.Join(p.dir, "trust.folder")}
	first, second := signer.Public(), append(forge.NewKey(forge.KeySpec{}).Public(), signer.Public()...)
	ring := func(raw []byte) { p.trust.exchange(t, map[string][]byte{"keyrings/team.gpg": raw}) }
	ring(first)
	replace(t, p.config(), []byte(strings.Replace(p.configuration(), "directory: trust", "directory: trust.folder", 1)))
	keys := p.registry.push("web", 4)
	r := p.start()
	g := p.gatekeeper(r)
	trusts := map[string]int{}
	stop := make(chan struct{})
	done := make(chan struct{})
	noticed := func() int { return len(r.journal.entries("reloaded")) + len(r.refusals()) }
	go func() {
		defer close(done)
		path := filepath.Join(p.dir, "trust.folder/keyrings/team.gpg")
		for i := 0; ; i++ {
			if closed(stop) {
				return
			}
			whole := [][]byte{first, second}[i%2]
			for _, write := range []func(){
				func() { ring(whole) },
				func() { _ = os.WriteFile(path, whole[:len(whole)-30], 0o600) },
			} {
				before, late := noticed(), time.Now().Add(time.Second) // if it is what is in use, nobody says so
				write()
				for i%3 > 0 && noticed() == before && time.Now().Before(late) && !closed(stop) { // else the next write comes at once
					time.Sleep(5 * time.Millisecond)
				}
			}
		}
	}()
	began := time.Now()
	for i := 0; (len(r.journal.entries("reloaded")) < 2 || len(r.refusals()) < 2) && time.Since(began) < patience; i++ {
		a := g.ask(keys[i%len(keys)])
		if a.code() != "ok" {
			t.Fatalf("answer is %s", a.raw)
		}
		trusts[a.Response.Items[0].Value.Trust]++
	}
	close(stop)
	<-done
	if len(trusts) != 2 {
		t.Errorf("verdicts by %d rings, there were two: %v", len(trusts), trusts)
	}
	ring(second)
	eventually(t, "the last ring", r.successful)
	t.Logf("%d rings, %d reloads, %d refusals", len(trusts), len(r.journal.entries("reloaded")), len(r.refusals()))
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Two replicas with different trust differ in what they say about it (S26).
func TestReplicasWithDifferentTrust(t *testing.T) {
	p := newPlace(t)
	keys := p.registry.push("web", 1)
	one, same := p.start(), p.start()
	replace(t, filepath.Join(p.dir, "other.yaml"), []byte(strings.Replace(p.configuration(), "directory: trust", "directory: other", 1)))
	(&mount{dir: filepath.Join(p.dir, "other")}).exchange(t, map[string][]byte{"keyrings/team.gpg": stranger.Public()})
	must(t, os.Rename(filepath.Join(p.dir, "other.yaml"), p.config()))
	other := p.start()
	eventually(t, "all to have taken the other trust", func() bool {
		return len(one.journal.entries("reloaded")) > 0 && len(same.journal.entries("reloaded")) > 0
	})
	a, b := p.gatekeeper(one).ask(keys[0]), p.gatekeeper(other).ask(keys[0])
	if a.raw == nil || string(a.raw) != string(b.raw) || b.code() != "untrusted_signer" {
		t.Errorf("replicas of one configuration say %s and %s", a.raw, b.raw)
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "chartseal.yaml"), []byte(p.configuration()), 0o600))
	eventually(t, "the first trust again", func() bool { return len(one.journal.entries("reloaded")) > 1 })
	other.kill()
	a = p.gatekeeper(one).ask(keys[0])
	if x, y := a.Response.Items[0].Value, b.Response.Items[0].Value; x.Trust == y.Trust || x.Code != "ok" {
		t.Errorf("%s is the trust of %s, %s that of %s", x.Trust, x.Code, y.Trust, y.Code)
	}
}

// What was under way when another configuration came keeps no connection of
// the former one once it is over, though it goes on asking.
func TestReloadKeepsNoConnections(t *testing.T) {
	p := newPlace(t)
	p.configure(patient...)
	keys := p.registry.push("web", 12)
	r := p.start()
	g := p.gatekeeper(r)
	release := p.registry.hold()
	defer release()
	answered := make(chan answer)
	go func() { answered <- g.ask(keys...) }()
	eventually(t, "the checks to be under way", func() bool { return p.registry.inside.Load() == int64(len(keys)) })
	replace(t, p.config(), []byte("# another\n"+p.configuration()))
	eventually(t, "another configuration", func() bool { return len(r.journal.entries("reloaded")) > 0 })
	release()
	if a := <-answered; a.outcomes()["verified"] != len(keys) {
		t.Errorf("answer is %s", a.raw)
	}
	over := time.Now()
	eventually(t, "the connections to be gone", func() bool { return p.registry.open.Load() == 0 })
	if took := time.Since(over); took > 15*time.Second { // and not after 30, when idle ones end anyway
		t.Errorf("the connections are gone after %s", took)
	}
}
