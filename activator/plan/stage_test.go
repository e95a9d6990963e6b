package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// stage is a planner and one dispatcher, on which a test plays the back end and all sources by hand.
type stage struct {
	*testing.T
	p     *Planner
	d     *dispatch.Dispatcher
	now   time.Duration
	epoch time.Time
	r     protocol.Report
	acts  []fleet.Act // not yet taken by the test
	slots []fleet.Slot
	nodes []fleet.Node
	own   map[string]fleet.Condition           // of slots, as their supervisors say
	on    map[string]map[string]fleet.Sighting // slot ID, or "" -> instance ID -> what is there
}

var h100 = fleet.Pool{Name: "h100", GPUsPerSlot: 8, SlotIdle: time.Hour, Slots: fleet.Range{Max: 2}}

func stageModel(id, pool string, gpus, most int) *fleet.Model {
	return &fleet.Model{
		ID: id, GPUs: gpus, Pool: pool, MaxConcurrency: 4, IdleAfter: time.Minute, Instances: fleet.Range{Max: most},
		Queue: fleet.QueueLimits{Limit: 100}, Timeouts: fleet.Timeouts{Start: 10 * time.Minute},
	}
}

func newStage(t *testing.T, pools []fleet.Pool, models ...*fleet.Model) *stage {
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &stage{
		T: t, now: time.Second, epoch: epoch, on: make(map[string]map[string]fleet.Sighting), own: make(map[string]fleet.Condition),
		p: New(Config{Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: models, Pools: pools, Term: 7, Epoch: epoch, Seed: 1}),
		d: dispatch.New(dispatch.Config{ID: "self", Incarnation: 1, Models: models}),
	}
}

// step has both decide until nothing is left to do.
func (g *stage) step() {
	for range 16 {
		g.d.Tick(g.now)
		g.d.Report(g.now, &g.r)
		if g.p.Hear(g.now, &g.r) {
			g.d.Heard(g.r.Seq)
		}
		g.p.Step(g.now)
		tables := g.p.TakeTables()
		for _, t := range tables {
			g.d.Receive(g.now, t)
		}
		if len(tables) == 0 {
			break
		}
	}
	g.acts = append(g.acts, g.p.TakeActs()...)
	g.p.TakeNotices()
}

// pass lets time go by; the planner is called when it wants to be.
func (g *stage) pass(d time.Duration) {
	g.Helper()
	until := g.now + d
	for range 10_000 {
		g.step()
		if g.now >= until {
			return
		}
		next := until
		if at, ok := g.p.Next(g.now); ok {
			next = min(next, max(at, g.now+time.Millisecond))
		}
		g.now = next
	}
	g.Fatal("timers without end")
}

func (g *stage) hears(o *fleet.Observation) {
	if o.At.IsZero() {
		o.At = g.epoch.Add(g.now)
	}
	g.p.Observe(g.now, o)
	g.step()
}

// lists has Nomad give a complete list.
func (g *stage) lists() {
	o := &fleet.Observation{Source: "nomad", Complete: true, Nodes: slices.Clone(g.nodes), Slots: append([]fleet.Slot{}, g.slots...)}
	for _, s := range g.on[""] {
		o.Instances = append(o.Instances, s)
	}
	g.hears(o)
}

// speaks has the supervisor of a slot give one.
func (g *stage) speaks(slot string) {
	o := &fleet.Observation{Source: "slot/" + slot, Complete: true}
	for _, s := range g.slots {
		if s.ID == slot {
			s.Supervisor, s.Condition, s.Pending = o.Source, g.own[slot], false
			o.Slots = append(o.Slots, s)
		}
	}
	for _, s := range g.on[slot] {
		o.Instances = append(o.Instances, s)
	}
	g.hears(o)
}

// withSlots has slots of 8 GPUs that are all heard.
func (g *stage) withSlots(ids ...string) {
	for _, id := range ids {
		g.slots = append(g.slots, fleet.Slot{ID: id, Pool: "h100", GPUs: 8, Node: "node-" + id, Supervisor: "slot/" + id})
	}
	g.lists()
	for _, id := range ids {
		g.speaks(id)
	}
}

func (g *stage) slot(id string) *fleet.Slot {
	for k := range g.slots {
		if g.slots[k].ID == id {
			return &g.slots[k]
		}
	}
	g.Fatalf("no slot %s", id)
	return nil
}

func (g *stage) loses(source string) {
	g.hears(&fleet.Observation{Source: source, Lost: fleet.ErrUnreachable})
}

// asks has one request come. It waits if it must.
func (g *stage) asks(model string) *dispatch.Waiter {
	g.Helper()
	w, l, ask := &dispatch.Waiter{}, &dispatch.Lease{}, &dispatch.Ask{Model: model, Org: "o"}
	if err := g.d.Enqueue(g.now, ask, w, l); err != nil {
		g.Fatal(err)
	}
	g.step()
	return w
}

// takes gives the next act of a kind, which must be there, and has it accepted, or refused with an error.
func (g *stage) takes(kind fleet.ActKind, err error) fleet.Act {
	g.Helper()
	act := g.next(kind)
	g.answers(act, err)
	return act
}

// next gives the next act of a kind, which goes unanswered.
func (g *stage) next(kind fleet.ActKind) fleet.Act {
	g.Helper()
	k := slices.IndexFunc(g.acts, func(a fleet.Act) bool { return a.Kind == kind })
	if k < 0 {
		g.Fatalf("at %s: got the acts %+v, want a %s", g.now, g.acts, kind)
	}
	act := g.acts[k]
	g.acts = slices.Delete(g.acts, k, k+1)
	return act
}

func (g *stage) answers(act fleet.Act, err error) {
	g.p.Accepted(g.now, &act, err)
	g.step()
}

func (g *stage) wantNo(kind fleet.ActKind) {
	g.Helper()
	for _, a := range g.acts {
		if a.Kind == kind {
			g.Errorf("at %s: got the act %+v, want no %s", g.now, a, kind)
		}
	}
}

// starts has an engine come up that was launched, on its slot or on a node.
func (g *stage) starts(act fleet.Act, state fleet.State) {
	s := fleet.Sighting{Running: -1, Act: act.Seq, Phase: fleet.PhaseLoading, Instance: fleet.Instance{
		ID: act.Instance, Model: act.Model, Slot: act.Slot, GPU: act.GPU, GPUs: act.GPUs, State: state, Addr: act.Instance + ":1",
	}}
	if state == fleet.Ready {
		s.Phase = fleet.PhaseReady
	}
	g.is(s)
}

// is has what stands at a slot, or on a node, be so, and told.
func (g *stage) is(s fleet.Sighting) {
	if g.on[s.Slot] == nil {
		g.on[s.Slot] = make(map[string]fleet.Sighting)
	}
	if g.on[s.Slot][s.ID] = s; s.Gone {
		delete(g.on[s.Slot], s.ID)
		source := "nomad"
		if s.Slot != "" {
			source = fleet.SlotSource + s.Slot
		}
		g.hears(&fleet.Observation{Source: source, Instances: []fleet.Sighting{s}})
		return
	}
	if s.Slot == "" {
		g.lists()
	} else {
		g.speaks(s.Slot)
	}
}

// hot has a model served from a slot.
func (g *stage) hot(model string) fleet.Act {
	g.Helper()
	w := g.asks(model)
	act := g.takes(fleet.ActLaunch, nil)
	g.starts(act, fleet.Ready)
	g.wantServed(w)
	return act
}

func (g *stage) wantServed(w *dispatch.Waiter) *dispatch.Lease {
	g.Helper()
	g.step()
	l, err := w.Answer()
	if l == nil {
		g.Fatalf("at %s: %s is not served: %v", g.now, w.Model(), err)
	}
	return l
}

func (g *stage) wantWaits(w *dispatch.Waiter) {
	g.Helper()
	if l, err := w.Answer(); l != nil || err != nil {
		g.Errorf("at %s: %s was answered with %v, %v, want it to wait", g.now, w.Model(), l, err)
	}
}

// wantUnblamed holds that a model does not back off.
func (g *stage) wantUnblamed(model string) {
	g.Helper()
	if m := g.p.modelOf[model]; m.failures > 0 || m.retryAt > g.now {
		g.Errorf("%s backs off: %d failures, again in %s", model, m.failures, m.retryAt-g.now)
	}
}
