// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"slices"
	"sync"
	"sync/atomic"
)

// The bounds of what is under way. A host that is slow holds up what is asked
// of it and nothing else; a request with many keys holds up its own.
const (
	atOnce             = 256  // checks in all
	atOncePerHost      = 16   // checks of one host
	mostWaiting        = 4096 // checks that wait for their turn, in all
	mostWaitingPerHost = 1024
	mostBehind         = 64 // checks that go on though their time is over
	mostBehindPerHost  = 16
)

// A schedule gives checks their turns: hosts in turn, and of one host the
// requests in turn, so that neither a slow host nor a large request (an audit
// asks for everything at once) keeps the others waiting.
type schedule struct {
	start  func(*flight)
	giveUp func(*flight) // on one that nobody waits for

	mu      sync.Mutex
	hosts   map[string]*lane
	turns   []*lane // those that have something waiting
	running int
	waiting int
	behind  int
	shed    atomic.Int64
}

// A lane is what is asked of one host.
type lane struct {
	host    string
	running int
	waiting int
	behind  int
	batches []*batch
	late    []*flight // that nobody waits for any more
}

// A batch is what one request asks of one host.
type batch struct {
	request *request
	flights []*flight
}

func newSchedule(start, giveUp func(*flight)) *schedule {
	return &schedule{start: start, giveUp: giveUp, hosts: map[string]*lane{}}
}

// submit lets f wait for its turn, which may be now. It is false, at once, when
// too many wait already that somebody waits for.
func (s *schedule) submit(f *flight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lane(f.question.host())
	if s.full(l) {
		s.shed.Add(1)
		s.forget(l)
	}
	if s.full(l) {
		s.leave(l)
		return false
	}
	l.add(f)
	s.waiting++
	if !slices.Contains(s.turns, l) {
		s.turns = append(s.turns, l)
	}
	s.dispatch()
	return true
}

func (s *schedule) full(l *lane) bool {
	return s.waiting >= mostWaiting || l.waiting >= mostWaitingPerHost
}

// forget gives up what nobody has waited for longest.
func (s *schedule) forget(l *lane) {
	if len(l.late) == 0 {
		return
	}
	f := l.late[0]
	l.late = l.late[1:]
	l.waiting--
	s.waiting--
	s.giveUp(f)
}

func (s *schedule) lane(host string) *lane {
	l, ok := s.hosts[host]
	if !ok {
		l = &lane{host: host}
		s.hosts[host] = l
	}
	return l
}

func (l *lane) add(f *flight) {
	l.waiting++
	i := slices.IndexFunc(l.batches, func(b *batch) bool { return b.request == f.request })
	if i < 0 {
		i = len(l.batches)
		l.batches = append(l.batches, &batch{request: f.request})
	}
	l.batches[i].flights = append(l.batches[i].flights, f)
}

// dispatch starts what may run now.
func (s *schedule) dispatch() {
	for passed := 0; s.running < atOnce && passed < len(s.turns); {
		l := s.turns[0]
		s.turns = append(s.turns[1:], l)
		if l.running >= atOncePerHost {
			passed++
			continue
		}
		f := l.next()
		s.waiting--
		if passed = 0; l.waiting == 0 {
			s.turns = s.turns[:len(s.turns)-1]
		}
		l.running++
		s.running++
		f.lane = l
		s.start(f)
	}
}

// next takes the first of the request whose turn it is; what nobody waits for
// comes after everything else.
func (l *lane) next() *flight {
	l.waiting--
	for len(l.batches) > 0 {
		b := l.batches[0]
		f := b.flights[0]
		l.batches, b.flights = l.batches[1:], b.flights[1:]
		if len(b.flights) > 0 {
			l.batches = append(l.batches, b)
		}
		if f.waiters.Load() > 0 {
			return f
		}
		l.late = append(l.late, f)
	}
	f := l.late[0]
	l.late = l.late[1:]
	return f
}

// done gives the turn of f to others.
func (s *schedule) done(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.lane.running--
	s.running--
	s.leave(f.lane)
	s.dispatch()
}

// again is for a check that somebody asks for anew: if it was passed over since
// nobody waited, it has its turn among what r asks for.
func (s *schedule) again(f *flight, r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.hosts[f.question.host()]
	if l == nil {
		return
	}
	if i := slices.Index(l.late, f); i >= 0 {
		l.late = slices.Delete(l.late, i, i+1)
		l.waiting--
		f.request = r
		l.add(f)
	}
}

// leave forgets a lane that has nothing any more: hosts are named by whoever
// writes references.
func (s *schedule) leave(l *lane) {
	if l.running == 0 && l.waiting == 0 && l.behind == 0 {
		delete(s.hosts, l.host)
	}
}

// goOn lets a check go on without its turn, if not too many do, of all or of
// its host: one that sends a byte now and then holds up no more than itself.
func (s *schedule) goOn(f *flight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.behind >= mostBehind || f.lane.behind >= mostBehindPerHost {
		return false
	}
	s.behind++
	f.lane.behind++
	return true
}

func (s *schedule) ended(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind--
	f.lane.behind--
	s.leave(f.lane)
}

// load is how many checks run, with a turn or beyond it, and how many wait.
func (s *schedule) load() (running, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running + s.behind, s.waiting
}
