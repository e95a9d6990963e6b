package plan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// server is one dispatcher of a history, with the clients that ask it.
type server struct {
	h      *history
	n      int
	id     string
	life   uint64
	offset time.Duration // of its clock
	d      *dispatch.Dispatcher
	asked  []*asked
	leases []*dispatch.Lease
	orders int
	told   uint64 // the last report that the planner in this process has heard
}

// asked is one request that waits or has waited.
type asked struct {
	w      dispatch.Waiter
	lease  dispatch.Lease
	ask    dispatch.Ask
	order  int
	first  bool           // no other of its org waited when it came
	passed map[string]int // org -> grants since
	over   bool           // answered or left
	asked  int64          // moment
}

func (s *server) now() time.Duration { return s.h.now + s.offset }

// restart begins a new life: leases and waiters die with the old one.
func (s *server) restart() {
	s.life++
	for _, l := range s.leases {
		s.h.did(leaseReleased, l.Instance, 0, s.h.tick())
	}
	s.d = dispatch.New(dispatch.Config{ID: s.id, Incarnation: s.life, Models: s.h.models, Heartbeat: 2 * time.Second})
	s.asked, s.leases, s.told = nil, nil, 0
}

func (s *server) waiting() []*asked {
	var ws []*asked
	for _, a := range s.asked {
		if !a.over {
			ws = append(ws, a)
		}
	}
	return ws
}

// step does what is due and reports.
func (s *server) step() {
	s.d.Tick(s.now())
	s.collect()
	if !s.d.ReportDue(s.now()) {
		return
	}
	r := &protocol.Report{}
	if s.h.near(s) {
		s.d.Heard(s.told)
		s.d.Report(s.now(), r)
		if _, taken := s.h.tellLeader(s, r); taken {
			s.told = r.Seq
		}
		return
	}
	s.d.Report(s.now(), r)
	s.h.send(s.n, "report", func() {
		if heard, taken := s.h.tellLeader(s, r); taken {
			s.h.send(s.n, "answer", heard)
		}
	})
}

func (s *server) receive(t *protocol.Table) {
	s.d.Receive(s.now(), t)
	s.collect()
}

func (s *server) ask() { s.askFor(pick(s.h, s.h.models).ID) }

func (s *server) askFor(model string) {
	h := s.h
	ask := dispatch.Ask{Model: model, Org: pick(h, []string{"a", "a", "b", "c"})}
	switch h.choose(8) {
	case 0:
		ask.OnlyHot = true
	case 1:
		ask.Retry = true
		if held := s.d.Instances(); len(held) > 0 {
			ask.Avoid = pick(h, held).ID
		}
	case 2:
		ask.MaxWait = time.Duration(1+h.choose(20)) * time.Second
	case 3:
		ask.Affinity = pick(h, []string{"x", "y"})
	}
	h.note("%s asks %+v", s.id, ask)
	l, began := &dispatch.Lease{}, h.tick()
	if s.d.Acquire(s.now(), &ask, l) {
		s.granted(&ask, l, nil)
		return
	}
	s.orders++
	ofOrg := s.d.WaitingOf(ask.Model, ask.Org)
	a := &asked{asked: began, ask: ask, order: s.orders, passed: make(map[string]int), first: ofOrg == 0}
	limits := h.planner.modelOf[ask.Model].Queue
	full := limits.Limit > 0 && s.d.Queue(ask.Model).Waiting >= limits.Limit || limits.PerOrg > 0 && ofOrg >= limits.PerOrg
	a.w.Value = a
	err := s.d.Enqueue(s.now(), &ask, &a.w, &a.lease)
	if refused := errors.Is(err, dispatch.ErrQueueFull) || errors.Is(err, dispatch.ErrOrgQueueFull); refused && (!full || ask.Retry) {
		h.fail("%s: refused %+v with room in the queue", s.id, ask)
	} else if full && !ask.Retry && err == nil {
		h.fail("%s: took %+v beyond the queue's bound", s.id, ask)
	}
	if err == nil {
		s.asked = append(s.asked, a)
	}
	s.collect()
}

// collect takes the answers.
func (s *server) collect() {
	for _, w := range s.d.TakeAnswered() {
		a := w.Value.(*asked)
		if !slices.Contains(s.asked, a) {
			s.h.fail("%s: an answer for nobody", s.id)
			return
		}
		l, err := w.Answer()
		if a.over || (l == nil) == (err == nil) {
			s.h.fail("%s: %+v answered with %v, %v; over %v", s.id, a.ask, l, err, a.over)
			return
		}
		a.over = true
		if l != nil {
			s.granted(&a.ask, l, a)
		} else {
			s.noteRefusal(err)
		}
	}
	s.asked = s.waiting()
}

// granted checks what must hold when a lease is granted.
func (s *server) granted(ask *dispatch.Ask, l *dispatch.Lease, a *asked) {
	h := s.h
	s.leases = append(s.leases, l)
	h.note("%s grants %s of %s", s.id, l.Instance, ask.Model)
	e, began := h.backend.find(l.Instance), h.tick()
	if h.noteDeath(e); a != nil {
		began = a.asked
	}
	h.did(leaseAcquired, l.Instance, l.Model.MaxConcurrency, began)
	if e == nil {
		h.fail("%s: a lease on %s, which never was", s.id, l.Instance)
		return
	}
	if n := h.leasesOn(l.Instance); n > l.Model.MaxConcurrency && !e.gone {
		h.fail("%d leases on %s, which takes %d", n, l.Instance, l.Model.MaxConcurrency)
	}
	if e.stopping && e.serves(l) && !e.gone && !e.hangs { // one that hangs serves nobody
		h.fail("%s: a lease on %s, which is being stopped", s.id, l.Instance)
	}
	if l.Addr == "" {
		h.fail("%s: a lease on %s, of which it does not know where it is", s.id, l.Instance)
	}
	s.noteGrant(e, l)
	s.checkBreaker(l)
	s.checkOrder(ask, a)
}

func (s *server) checkBreaker(l *dispatch.Lease) {
	if held, _ := s.d.Instance(l.Instance); held.Breaker != dispatch.BreakerClosed {
		s.h.fail("%s: a lease on %s, whose breaker is %s", s.id, l.Instance, held.Breaker)
	}
}

// checkOrder holds the queue's order against a grant: FIFO per org, orgs in turn, retries first.
func (s *server) checkOrder(ask *dispatch.Ask, a *asked) {
	for _, other := range s.asked {
		if other.over || other == a || other.ask.Model != ask.Model || ask.Retry {
			continue
		}
		o := &other.ask
		switch {
		case o.Retry && o.Avoid == "":
			s.h.fail("%s: %+v was served before a retry", s.id, *ask)
		case o.Retry:
		case o.Org == ask.Org && (a == nil || other.order < a.order):
			s.h.fail("%s: %+v was served before an older one of its org", s.id, *ask)
		case o.Org != ask.Org && other.first:
			if other.passed[ask.Org]++; other.passed[ask.Org] > 1 {
				s.h.fail("%s: org %s was served twice while the first of %s waited", s.id, ask.Org, o.Org)
			}
		}
	}
}

func (s *server) release() {
	if len(s.leases) == 0 {
		return
	}
	k := s.h.choose(len(s.leases))
	l := s.leases[k]
	s.leases = slices.Delete(s.leases, k, k+1)
	s.h.note("%s releases %s", s.id, l.Instance)
	s.h.did(leaseReleased, l.Instance, 0, s.h.tick())
	if !s.d.Release(s.now(), l) || s.d.Release(s.now(), l) {
		s.h.fail("%s: a lease must be released once", s.id)
	}
	s.collect()
}

func (s *server) waitersOf(model string) int {
	q := s.d.Queue(model)
	return q.Waiting + q.Retries
}

func (s *server) leave() {
	ws := s.waiting()
	if len(ws) == 0 {
		return
	}
	a := pick(s.h, ws)
	a.over = true
	before := s.waitersOf(a.ask.Model)
	if !s.d.Leave(s.now(), &a.w) || s.d.Leave(s.now(), &a.w) {
		s.h.fail("%s: a waiter must leave once", s.id)
	}
	if after := s.waitersOf(a.ask.Model); after != before-1 {
		s.h.fail("%s: %d wait after one of %d has left", s.id, after, before)
	}
	s.collect()
}

// trip changes the state of a breaker.
func (s *server) trip() {
	if held := s.d.Instances(); len(held) > 0 {
		s.setBreaker(pick(s.h, held).ID, dispatch.BreakerState(s.h.choose(3)))
	}
}

func (s *server) setBreaker(instance string, b dispatch.BreakerState) {
	s.d.SetBreaker(s.now(), instance, b)
	s.collect()
}

func (s *server) closeBreakers() {
	for _, held := range s.d.Instances() {
		s.setBreaker(held.ID, dispatch.BreakerClosed)
	}
}

// leasesOn counts the leases on what runs now of an instance.
func (h *history) leasesOn(instance string) int {
	n, e := 0, h.backend.find(instance)
	for _, s := range h.servers {
		for _, l := range s.leases {
			if e.serves(l) {
				n++
			}
		}
	}
	return n
}

// hears remembers what the planner was told.
func (h *history) hears(r *protocol.Report) {
	life := fmt.Sprint(r.From)
	if h.heard[life] == nil {
		h.heard[life] = make(map[string]protocol.Demand)
	}
	for _, d := range r.Demands {
		h.heard[life][d.Model] = d
	}
}
