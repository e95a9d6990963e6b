package main

import (
	"context"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

const (
	vouchEvery    = time.Second
	vouchAhead    = 5 * time.Second
	vouchedFor    = 3 * time.Second
	vouchedWithin = time.Second // a place answers, or does not vouch
)

// vouch has instances' own places asked about them each second, where no leader's table says any more that they may be leased, until ctx is done.
func (m *member) vouch(ctx context.Context, s *server) {
	tick := time.NewTicker(vouchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := &inquiry{s: s, byModel: m.part.Load().models, slots: map[string]*slotWord{}}
		activator.ServersOf(s.activator).Vouched(ctx, vouchAhead, vouchedFor, func(ctx context.Context, term uint64, i dispatch.Shared) bool {
			ctx, cancel := context.WithTimeout(ctx, vouchedWithin)
			defer cancel()
			return asked.vouches(ctx, term, i)
		})
	}
}

// inquiry is one round of asking: each slot, and Nomad, is asked once.
type inquiry struct {
	s       *server
	byModel map[string]*fleet.Model

	fence sync.Once
	term  uint64 // the highest that has fenced dedicated jobs; 0 = not known

	mu    sync.Mutex // guards slots
	slots map[string]*slotWord
}

// slotWord is what a slot's supervisor has said.
type slotWord struct {
	once sync.Once
	said fleet.Observation
	err  error
}

// vouches reports whether the instance's place says that it is ready, and that nobody of a newer term has been there.
func (q *inquiry) vouches(ctx context.Context, term uint64, i dispatch.Shared) bool {
	if slot := q.s.places.slotOf(i.Instance); slot != "" {
		return q.slotVouches(ctx, slot, term, i.Instance)
	}
	m := q.byModel[i.Model]
	if m == nil || m.Pool != "" { // its slot is not known
		return false
	}
	// Where Nomad cannot be asked, no newer server has stopped a job of its own.
	q.fence.Do(func() { q.term, _ = q.s.backEnd.fencedTerm(ctx) })
	return q.term <= term && engine.Alive(ctx, m.Engine.Kind, i.Addr, vouchedWithin) == nil
}

func (q *inquiry) slotVouches(ctx context.Context, slot string, term uint64, instance string) bool {
	q.mu.Lock()
	w := q.slots[slot]
	if w == nil {
		w = &slotWord{}
		q.slots[slot] = w
	}
	q.mu.Unlock()
	w.once.Do(func() { w.said, w.err = q.s.backEnd.askSlot(ctx, slot) })
	if w.err != nil || w.said.Term > term {
		return false
	}
	for k := range w.said.Instances {
		if i := &w.said.Instances[k]; i.ID == instance {
			return !i.Gone && i.State == fleet.Ready
		}
	}
	return false
}

// places knows in which slot each instance is. It hears what observers tell, whoever watches them.
type places struct {
	mu     sync.Mutex                 // guards inSlot
	inSlot map[string]map[string]bool // slot -> instances in it
}

// heed gives an observer from which the places learn.
func (p *places) heed(o activator.Observer) activator.Observer {
	h := heeded{o, p}
	if asker, can := o.(activator.Asker); can {
		return struct {
			heeded
			activator.Asker
		}{h, asker}
	}
	return h
}

func (p *places) note(o *fleet.Observation) {
	if !o.Complete || len(o.Slots) != 1 || o.Lost != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inSlot == nil {
		p.inSlot = map[string]map[string]bool{}
	}
	in := make(map[string]bool, len(o.Instances))
	for k := range o.Instances {
		if !o.Instances[k].Gone {
			in[o.Instances[k].ID] = true
		}
	}
	p.inSlot[o.Slots[0].ID] = in
}

// slotOf gives the slot of an instance; "" = none that is known.
func (p *places) slotOf(instance string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for slot, in := range p.inSlot {
		if in[instance] {
			return slot
		}
	}
	return ""
}

type heeded struct {
	activator.Observer
	places *places
}

// Watch is the observer's own.
func (h heeded) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	return h.Observer.Watch(ctx, func(o fleet.Observation) {
		h.places.note(&o)
		tell(o)
	})
}

// survey learns where instances are from Nomad and the slots, until ctx is done.
func (s *server) survey(ctx context.Context, n *nomad.Nomad) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, o := range []activator.Observer{n, s.places.heed(n.Slots())} {
		all.Go(func() {
			for ctx.Err() == nil {
				_ = o.Watch(ctx, func(fleet.Observation) {}) // who is not heard is known as before
				select {
				case <-ctx.Done():
				case <-time.After(surveyAgain):
				}
			}
		})
	}
}

const surveyAgain = time.Second
