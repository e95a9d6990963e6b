package main

import (
	"context"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// heardWithin is how long slots that run are waited for at the start.
const heardWithin = 5 * time.Second

// formerSlots tells the planner of slots as it knows them: each by a source of its own, which lists it as pending until its supervisor speaks. Nomad's first word
// waits for those that run. It goes with a planner that takes slots from Nomad's own list.
type formerSlots struct {
	mu    sync.Mutex      // guards heard and spoke
	heard map[string]bool // the sources that have spoken
	spoke chan struct{}   // closed, and made anew, when one speaks
}

func newFormerSlots() *formerSlots {
	return &formerSlots{heard: make(map[string]bool), spoke: make(chan struct{})}
}

// observerFunc is an observer that is a function.
type observerFunc func(context.Context, func(fleet.Observation)) error

// Watch calls the function.
func (f observerFunc) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	return f(ctx, tell)
}

// overSlots notes which supervisors have spoken.
func (f *formerSlots) overSlots(o activator.Observer) activator.Observer {
	return observerFunc(func(ctx context.Context, tell func(fleet.Observation)) error {
		return o.Watch(ctx, func(o fleet.Observation) {
			if o.Lost != nil {
				return
			}
			tell(o)
			f.mu.Lock()
			defer f.mu.Unlock()
			if !f.heard[o.Source] {
				f.heard[o.Source] = true
				close(f.spoke)
				f.spoke = make(chan struct{})
			}
		})
	})
}

// overNomad takes the slots out of Nomad's word.
func (f *formerSlots) overNomad(o activator.Observer) activator.Observer {
	return observerFunc(func(ctx context.Context, tell func(fleet.Observation)) error {
		known, first := make(map[string]bool), true
		return o.Watch(ctx, func(o fleet.Observation) {
			listed := make(map[string]bool)
			for _, s := range o.Slots {
				listed[s.Supervisor], known[s.Supervisor] = true, true
				if s.Pending && !f.hasHeard(s.Supervisor) {
					tell(fleet.Observation{Source: s.Supervisor, At: o.At, Complete: true, Slots: []fleet.Slot{s}})
				}
			}
			for source := range known {
				if o.Complete && !listed[source] {
					delete(known, source)
					tell(fleet.Observation{Source: source, At: o.At, Complete: true, Slots: []fleet.Slot{}})
				}
			}
			if first {
				first = false
				f.await(ctx, o.Slots, tell)
			}
			if o.Slots = nil; o.Complete || len(o.Nodes)+len(o.Instances) > 0 {
				tell(o)
			}
		})
	})
}

func (f *formerSlots) hasHeard(source string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard[source]
}

// await waits until the slots that run have spoken; those that do not soon are pending for now.
func (f *formerSlots) await(ctx context.Context, slots []fleet.Slot, tell func(fleet.Observation)) {
	enough := time.After(heardWithin)
	for _, s := range slots {
		for waiting := !s.Pending; waiting; {
			f.mu.Lock()
			heard, spoke := f.heard[s.Supervisor], f.spoke
			f.mu.Unlock()
			if heard || ctx.Err() != nil {
				break
			}
			select {
			case <-ctx.Done():
			case <-spoke:
			case <-enough:
				closed := make(chan time.Time)
				close(closed)
				enough, waiting = closed, false
				s.Pending = true
				tell(fleet.Observation{Source: s.Supervisor, At: time.Now(), Complete: true, Slots: []fleet.Slot{s}})
			}
		}
	}
}
