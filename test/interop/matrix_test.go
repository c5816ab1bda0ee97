// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/chartseal/chartseal/builtins"
)

// signedCharts is every chart signed by every key, with both Helms where Helm
// can sign, with gpg where only it can: by a subkey.
var signedCharts = shared(func(t testing.TB) []signed {
	tools := helms(t) // before keys are made in vain
	byHelm := []key{
		newKey(t, "RSA 3072", "rsa3072", "sign"),
		newKey(t, "RSA 4096", "rsa4096", "sign"),
		newKey(t, "Ed25519", "ed25519", "sign"),
	}
	subkey := newKey(t, "subkey", "ed25519", "cert")
	var all []signed
	for _, s := range sources(t) {
		for _, by := range byHelm {
			for _, h := range tools {
				all = append(all, h.sign(t, s, by))
			}
		}
		all = append(all, all[len(all)-1].resign(t, subkey))
	}
	return all
})

// shared makes something once for all tests. A test that cannot make it skips
// or fails, and so does each that asks again.
func shared[T any](make func(testing.TB) T) func(testing.TB) T {
	var mu sync.Mutex
	var made *T
	return func(t testing.TB) T {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if made == nil {
			value := make(t)
			made = &value
		}
		return *made
	}
}

// A matter is a question about an archive on disk that Helm can be asked too.
type matter struct {
	question
	path string
	helm acceptance
}

// An acceptance says which real Helm accepts.
type acceptance struct{ v3, v4 bool }

var (
	both    = acceptance{true, true}
	onlyV4  = acceptance{false, true}
	neither = acceptance{}
)

// newMatter stores the chart and asks about it.
func newMatter(t testing.TB, s signed, q question, helm acceptance) matter {
	t.Helper()
	path := s.save(t)
	q.name = s.label + ": " + q.name
	q.ref = path
	return matter{q, path, helm}
}

// accepted is every signed chart with every form of ring.
var accepted = shared(func(t testing.TB) []matter {
	var all []matter
	for _, s := range signedCharts(t) {
		for _, r := range s.by.rings(t) {
			q := question{name: r.name + " ring", ring: r.content, want: builtins.OK, signers: []string{s.by.fingerprint}}
			all = append(all, newMatter(t, s, q, r.helm))
		}
	}
	return all
})

// refused is every signed chart with every mutation.
var refused = shared(func(t testing.TB) []matter {
	charts := signedCharts(t)
	stranger := newKey(t, "stranger", "ed25519", "sign")
	var all []matter
	for i, s := range charts {
		for _, m := range mutations(another(charts, i), stranger) {
			mutant := s
			m.change(&mutant)
			q := question{name: m.name, ring: s.by.public, opts: m.opts, want: m.want}
			all = append(all, newMatter(t, mutant, q, m.helm))
		}
		q := question{name: "P4 key not in the ring", ring: stranger.public, want: builtins.UntrustedSigner}
		all = append(all, newMatter(t, s, q, neither))
	}
	return all
})

// another is a chart by the same key and of another name.
func another(all []signed, i int) signed {
	for _, s := range all {
		if s.by.name == all[i].by.name && s.source.name != all[i].source.name {
			return s
		}
	}
	panic("a key signed one chart only")
}

func matters(t testing.TB) []matter {
	all := append([]matter(nil), accepted(t)...)
	return append(append(all, refused(t)...), awkward(t)...)
}

// TestInProcess calls the built-in for each.
func TestInProcess(t *testing.T) {
	all := matters(t)
	env := newEnv(t) // afterwards, so that its now is after every revocation
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) { m.check(t, m.call(t, env)) })
	}
}

// TestCommandLine asks the built command for all in one evaluation.
func TestCommandLine(t *testing.T) {
	all := matters(t)
	var questions []question
	for _, m := range all {
		questions = append(questions, m.question)
	}
	for i, got := range evaluate(t, questions) {
		t.Run(all[i].name, func(t *testing.T) { all[i].check(t, got) })
	}
}

// TestHelmAgrees runs real helm verify: on all that we accept, and on every
// mutation of one chart. What we accept Helm accepts; what we refuse and Helm
// does not is written down beside the mutation.
func TestHelmAgrees(t *testing.T) {
	all := append(append([]matter(nil), accepted(t)...), awkward(t)...)
	all = append(all, refused(t)[:len(refused(t))/len(signedCharts(t))]...)
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			ring := write(t, filepath.Join(folder(t), "ring.gpg"), m.ring)
			v3, v4 := helms(t)[0], helms(t)[1]
			got := acceptance{v3.accepts(t, m.path, ring), v4.accepts(t, m.path, ring)}
			if got != m.helm {
				t.Errorf("Helm's acceptance is %+v, want %+v", got, m.helm)
			}
		})
	}
}
