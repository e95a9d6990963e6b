package nomad

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

const (
	slotSource   = "slot/" // and the slot's ID: the source of what a supervisor tells
	slotsSource  = "slots" // says that there is nothing more to know of
	connectAgain = time.Second
	heardWithin  = 5 * time.Second // those that run already speak within this, or are told of as pending
)

// Slots is the observer of the pools' slots. It tells, as source "slot/<id>", of each slot that Nomad has a job for: as pending, then what its
// supervisor says, and in the end that it is no more. It goes on while the Nomad servers do not answer.
type Slots struct{ n *Nomad }

// Slots gives the observer of the slots that Watch of n finds: both are to be watched.
func (n *Nomad) Slots() *Slots { return &Slots{n} }

// slots is what is known of the slots, from the acts and from Nomad.
type slots struct {
	mu      sync.Mutex // guards all below, and what the entries hold
	known   map[string]*entry
	read    chan struct{} // closed once Nomad's list was read
	changed chan struct{} // closed, and made anew, at each change
}

// entry is one slot.
type entry struct {
	fleet.Slot
	addr   string       // of its supervisor; "" = it does not run yet
	client *slot.Client // nil = there was no address or no key yet
	listed bool         // Nomad has it
	given  bool         // it is given back: that its supervisor falls silent is no news
	gone   bool
	heard  bool // its supervisor has spoken
}

func newSlots() *slots {
	return &slots{known: make(map[string]*entry), read: make(chan struct{}), changed: make(chan struct{})}
}

// enter gives the slot's entry, made where there is none.
func (s *slots) enter(o fleet.Slot) *entry {
	e := s.known[o.ID]
	if e == nil {
		o.Pending = true
		e = &entry{Slot: o}
		s.known[o.ID] = e
	}
	return e
}

// change wakes those who watch; it needs mu.
func (s *slots) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Watch tells how the slots stand until ctx is done; then it returns nil.
func (s *Slots) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	w := &slotsWatch{n: s.n, slots: s.n.slots, tell: tell, following: make(map[string]*follower)}
	defer w.wait.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-ctx.Done():
		return nil
	case <-s.n.slots.read:
	}
	for first := true; ; first = false {
		next := w.look(ctx)
		if first {
			w.say(fleet.Observation{Source: slotsSource, At: time.Now(), Complete: true, Slots: []fleet.Slot{}})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next:
		}
	}
}

// slotsWatch is the state of one Watch.
type slotsWatch struct {
	n         *Nomad
	slots     *slots
	following map[string]*follower
	wait      sync.WaitGroup

	speech sync.Mutex // has one speak at a time
	tell   func(fleet.Observation)
}

// follower is one slot that is followed.
type follower struct {
	last   fleet.Slot // as it was told to be, while pending
	cancel context.CancelFunc
	done   chan struct{}
}

func (w *slotsWatch) say(o fleet.Observation) {
	w.speech.Lock()
	defer w.speech.Unlock()
	w.tell(o)
}

// look tells of what Nomad says, begins to follow the slots that run, and ends with those that are gone. The channel is closed at the next change.
func (w *slotsWatch) look(ctx context.Context) <-chan struct{} {
	w.slots.mu.Lock()
	next := w.slots.changed
	var now []entry
	for id, e := range w.slots.known {
		now = append(now, *e)
		if e.gone {
			delete(w.slots.known, id)
		}
	}
	w.slots.mu.Unlock()
	for _, e := range now {
		w.see(ctx, e)
	}
	return next
}

func (w *slotsWatch) see(ctx context.Context, e entry) {
	f := w.following[e.ID]
	if f == nil {
		f = &follower{}
		w.following[e.ID] = f
	}
	if e.gone && f.cancel != nil {
		f.cancel()
		<-f.done // what it said is older than its end
	}
	// One that runs may have engines: what it says itself comes first.
	if !e.heard && (e.addr == "" || e.gone) && f.last != e.Slot {
		f.last = e.Slot
		w.say(w.list(e.ID, []fleet.Slot{e.Slot}))
	}
	if e.gone {
		delete(w.following, e.ID)
		w.say(w.list(e.ID, []fleet.Slot{}))
		return
	}
	if e.addr != "" && f.cancel == nil {
		var following context.Context
		following, f.cancel = context.WithCancel(ctx)
		f.done = make(chan struct{})
		w.wait.Go(func() {
			defer close(f.done)
			w.follow(following, e)
		})
	}
}

func (w *slotsWatch) list(id string, slots []fleet.Slot) fleet.Observation {
	return fleet.Observation{Source: slotSource + id, At: time.Now(), Complete: true, Slots: slots}
}

// follow tells what a supervisor says, again and again where it is lost. What is wrong for long is logged once.
func (w *slotsWatch) follow(ctx context.Context, e entry) {
	began, said := time.Now(), ""
	for pending := !e.heard; ctx.Err() == nil; {
		err := w.followOnce(ctx, e)
		if ctx.Err() != nil {
			return
		}
		heard, given := w.slots.stands(e.ID)
		if pending && !heard && time.Since(began) > heardWithin {
			pending = false
			w.say(w.list(e.ID, []fleet.Slot{e.Slot}))
		}
		if now := err.Error(); now != said && !given && (heard || time.Since(began) > heardWithin) {
			said = now
			w.n.log.Warn("the slot's supervisor is not heard", "slot", e.ID, "reason", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(connectAgain):
		}
	}
}

func (w *slotsWatch) followOnce(ctx context.Context, e entry) error {
	client, err := w.n.slotClient(ctx, e.ID)
	if err != nil {
		return err
	}
	err = client.Watch(ctx, func(o fleet.Observation) {
		o.Source = slotSource + e.ID
		for k := range o.Slots {
			if o.Slots[k].Host == 0 {
				o.Slots[k].Host = e.Host
			}
		}
		w.say(o)
		w.slots.hear(e.ID)
	})
	if err == nil {
		err = errors.New("the stream has ended")
	}
	return err
}

func (s *slots) hear(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.known[id]; e != nil && !e.heard {
		e.heard = true
		s.change()
	}
}

// stands reports whether the slot's supervisor has spoken, and whether the slot is given back.
func (s *slots) stands(id string) (heard, given bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[id]
	return e != nil && e.heard, e == nil || e.given
}

// silent reports whether a slot that runs has not spoken; the channel is closed when that may have changed.
func (s *slots) silent() (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.known {
		if e.addr != "" && !e.heard && !e.gone {
			return true, s.changed
		}
	}
	return false, nil
}

// settle waits until the slots that run have spoken, but not for long: whoever hears of everything at once takes no GPUs for free that are in use.
func (s *slots) settle(ctx context.Context) {
	enough := time.After(heardWithin)
	for {
		silent, changed := s.silent()
		if !silent {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-enough:
			return
		case <-changed:
		}
	}
}
