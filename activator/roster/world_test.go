package roster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a roster with what it has told of.
type world struct {
	*testing.T
	r     *roster.Roster
	now   time.Duration
	slots map[string]*roster.Slot
	ended []string // instances, slots and nodes that are gone, in order
}

func newWorld(t *testing.T) *world {
	r := roster.New(roster.Config{Epoch: epoch, Term: 7, Prefix: "7-"})
	return &world{T: t, r: r, now: time.Second, slots: make(map[string]*roster.Slot)}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.now += d
	w.r.Tick(w.now)
	w.take()
}

// hears has the roster take an observation of this moment.
func (w *world) hears(o fleet.Observation) bool {
	w.Helper()
	if o.At.IsZero() {
		o.At = epoch.Add(w.now)
	}
	taken := w.r.Observe(w.now, &o)
	w.take()
	return taken
}

func (w *world) take() {
	for _, c := range w.r.TakeChanges() {
		switch c.Kind {
		case roster.SlotSeen:
			w.slots[c.Slot.ID] = c.Slot
		case roster.SlotGone:
			w.ended = append(w.ended, c.Slot.ID)
		case roster.NodeGone:
			w.ended = append(w.ended, c.Node.ID)
		case roster.InstanceGone:
			w.ended = append(w.ended, c.Instance.ID)
		}
	}
}

// launched enters a launch of this life in a slot, or ("") on a node.
func (w *world) launched(id, slot string) *roster.Instance {
	i := w.r.Expect(id, "m", slot)
	w.take()
	return i
}

func (w *world) wantThere(ids ...string) {
	w.Helper()
	for _, id := range ids {
		if w.r.Instance(id) == nil {
			w.Errorf("%s is not known, want it there", id)
		}
	}
}

func (w *world) wantUnknown(ids ...string) {
	w.Helper()
	for _, id := range ids {
		if w.r.Instance(id) != nil {
			w.Errorf("%s is known, want it not to be", id)
		}
	}
}

// wantEnded holds what is gone since the last call, in any order.
func (w *world) wantEnded(want ...string) {
	w.Helper()
	got := w.ended
	w.ended = nil
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("got %q gone, want %q", got, want)
	}
}

func (w *world) wantSources(want ...string) {
	w.Helper()
	var got []string
	for _, s := range w.r.Sources() {
		got = append(got, s.Name)
	}
	if !slices.Equal(got, want) {
		w.Errorf("got the sources %q, want %q", got, want)
	}
}

// list is a complete list of a source, of nodes, slots and instances.
func list(source string, things ...any) fleet.Observation {
	o := some(source, things...)
	o.Complete = true
	return o
}

// some is what a source has to say that says nothing of the rest.
func some(source string, things ...any) fleet.Observation {
	o := fleet.Observation{Source: source}
	for _, x := range things {
		switch x := x.(type) {
		case fleet.Node:
			o.Nodes = append(o.Nodes, x)
		case fleet.Slot:
			o.Slots = append(o.Slots, x)
		case fleet.Sighting:
			o.Instances = append(o.Instances, x)
		}
	}
	return o
}

func lost(source string) fleet.Observation {
	return fleet.Observation{Source: source, Lost: fleet.ErrUnreachable}
}

func node(id string) fleet.Node { return fleet.Node{ID: id, GPUs: 8} }

// listed is a slot that runs, as Nomad lists it.
func listed(id string) fleet.Slot {
	return fleet.Slot{ID: id, Pool: "p", GPUs: 8, Node: "n", Supervisor: "slot/" + id}
}

func in(slot fleet.Slot, c fleet.Condition) fleet.Slot {
	slot.Condition = c
	return slot
}

// engine is one in a slot, or ("") on a node.
func engine(id, slot string) fleet.Sighting {
	return fleet.Sighting{
		Instance: fleet.Instance{ID: id, Model: "m", Slot: slot, GPUs: 1, State: fleet.Ready, Addr: id + ":1"}, Phase: fleet.PhaseReady, Running: -1,
	}
}

func health(id string, h fleet.Health) fleet.Sighting {
	s := engine(id, "")
	s.Phase, s.Health = "", h
	return s
}

func failing(id, why string) fleet.Sighting {
	s := engine(id, "")
	s.Phase, s.Failure = fleet.PhaseLoading, why
	return s
}
