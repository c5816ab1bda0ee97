// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chartseal/chartseal/builtins/chartref"
)

// A bench is a schedule whose checks do nothing until they are told.
type bench struct {
	*schedule
	started []*flight
	givenUp []*flight
}

func newBench() *bench {
	b := new(bench)
	b.schedule = newSchedule(func(f *flight) { b.started = append(b.started, f) }, func(f *flight) { b.givenUp = append(b.givenUp, f) })
	return b
}

func waiting(r *request, host string, n int) *flight {
	ref := chartref.Parse(fmt.Sprintf("oci://%s/charts/web:1.0.%d", host, n))
	f := &flight{request: r, question: question{ref: ref}}
	f.waiters.Add(1)
	return f
}

// fill submits n checks of one request.
func (b *bench) fill(r *request, host string, n int) (all []*flight) {
	for i := range n {
		f := waiting(r, host, i)
		b.submit(f)
		all = append(all, f)
	}
	return all
}

// A check that nobody waited for any more has its turn as soon as any other
// of the request that asks for it again; one that nobody asks for comes last.
func TestLateCheckIsWantedAgain(t *testing.T) {
	t.Parallel()
	b := newBench()
	running := b.fill(new(request), "reg.example.com", atOncePerHost)
	wanted, forgotten := waiting(new(request), "reg.example.com", 100), waiting(new(request), "reg.example.com", 101)
	for _, f := range []*flight{wanted, forgotten} {
		b.submit(f)
		f.waiters.Add(-1)
	}
	audit := b.fill(new(request), "reg.example.com", 50)
	b.done(running[0]) // both are passed over
	wanted.waiters.Add(1)
	b.again(wanted, new(request))
	for _, f := range running[1:4] {
		b.done(f)
	}
	if !slices.Contains(b.started, wanted) {
		t.Error("what is wanted again waits behind an audit")
	}
	for len(b.started) < len(running)+2+len(audit) {
		b.done(b.started[0])
	}
	if last := b.started[len(b.started)-1]; last != forgotten {
		t.Error("what nobody wants was not the last")
	}
	if _, waiting := b.load(); waiting != 0 {
		t.Errorf("%d wait", waiting)
	}
}

// A host that never comes to an end leaves room for the late checks of others.
func TestOneHostIsNotAllThatIsBehind(t *testing.T) {
	t.Parallel()
	b := newBench()
	var slow int
	for _, f := range b.fill(new(request), "slow.example.com", mostBehind) {
		if b.goOn(f) {
			slow++
		}
		b.done(f)
	}
	other := b.fill(new(request), "reg.example.com", 1)[0]
	if slow == 0 || !b.goOn(other) {
		t.Errorf("%d checks of one host go on, and of another none", slow)
	}
}

// Where all places are taken, what nobody waits for makes room, and what
// somebody waits for does not.
func TestForgottenChecksMakeRoom(t *testing.T) {
	t.Parallel()
	b := newBench()
	running := b.fill(new(request), "reg.example.com", atOncePerHost)
	forgotten := b.fill(new(request), "reg.example.com", mostWaitingPerHost)
	if b.submit(waiting(new(request), "reg.example.com", 1)) {
		t.Error("there was room beside those that are waited for")
	}
	for _, f := range forgotten {
		f.waiters.Add(-1)
	}
	b.done(running[0]) // all are passed over, and the first has its turn
	for n := range 3 {
		if !b.submit(waiting(new(request), "reg.example.com", n)) {
			t.Error("no room beside what nobody waits for")
		}
	}
	if len(b.givenUp) != 2 || b.givenUp[0] != forgotten[1] {
		t.Errorf("%d were given up", len(b.givenUp))
	}
	if _, n := b.load(); n != mostWaitingPerHost {
		t.Errorf("%d wait", n)
	}
}
