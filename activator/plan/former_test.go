package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// newTerm is a stage whose planner follows one that gave the dispatcher so many slots of instance 6-1 of model m, which takes 4, for 10 s.
func newTerm(t *testing.T, pools []fleet.Pool, slots int) *stage {
	pool := ""
	if pools != nil {
		pool = pools[0].Name
	}
	g := newStage(t, pools, stageModel("m", pool, 1, 1))
	g.p.cfg.TTL, g.p.cfg.Self = 12*time.Second, "self"
	g.nodes = []fleet.Node{{ID: "n", GPUs: 8}}
	if slots == 0 {
		return g
	}
	shares := []protocol.Share{{Instance: "6-1", Model: "m", Addr: "n:1", Slots: slots, GPUs: 1}}
	g.d.Receive(g.now, &protocol.Table{To: "self", Incarnation: 1, Term: 6, Seq: 1, Stamp: g.now, TTL: 10 * time.Second, Shares: shares})
	return g
}

// foundOnNode is what Nomad says of the instance.
func foundOnNode() fleet.Sighting {
	return fleet.Sighting{Running: -1, Phase: fleet.PhaseStarting, Instance: fleet.Instance{ID: "6-1", Model: "m", Node: "n", GPUs: 1, State: fleet.Starting, Addr: "n:1"}}
}

// held gives the slots that the dispatcher has of the instance.
func (g *stage) held() int {
	i, _ := g.d.Instance("6-1")
	return i.Slots
}

// TestFormer_SharesStayUntilItIsKnownWhatRuns: what is hot serves while a new leader finds it.
func TestFormer_SharesStayUntilItIsKnownWhatRuns(t *testing.T) {
	g := newTerm(t, nil, 3)
	for range 15 {
		g.pass(100 * time.Millisecond)
		if n := g.held(); n != 3 {
			t.Fatalf("at %s: %d slots are left before anybody has said what runs, want 3", g.now, n)
		}
	}
	g.is(foundOnNode())
	g.pass(5 * time.Second)
	if n := g.held(); n != 3 {
		t.Errorf("%d slots are left of one that was found, want 3", n)
	}
}

// TestFormer_NobodyIsWaitedForLong: a new leader tells what it knows before all that was promised expires.
func TestFormer_NobodyIsWaitedForLong(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.pass(2 * time.Second)
	if n := g.held(); n != 0 {
		t.Errorf("%d slots are left of one that nobody has found, want none", n)
	}
}

// TestFormer_SharesStayUntilTheProbeHasAnswered: on a busy engine that takes a while.
func TestFormer_SharesStayUntilTheProbeHasAnswered(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.is(foundOnNode())
	for range 20 { // past all that the former leader has promised
		g.pass(time.Second)
		if n := g.held(); n != 3 {
			t.Fatalf("at %s: %d slots are left of one whose probe has not answered, want 3", g.now, n)
		}
	}
	missed := foundOnNode()
	missed.Failure = "no answer"
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{missed}})
	if n := g.held(); n != 0 {
		t.Errorf("%d slots are left of one whose probe has failed, want none", n)
	}
}

// TestFormer_LeasesOnWhatIsFoundLateAreKnown: an instance is not stopped while it serves, though its leases were reported before it was found.
func TestFormer_LeasesOnWhatIsFoundLateAreKnown(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.wantServed(g.asks("m"))
	g.pass(5 * time.Second) // its share is gone
	g.is(foundOnNode())
	if err := g.p.StopModel(g.now, "m"); err != nil {
		t.Fatal(err)
	}
	g.pass(15 * time.Second)
	idle := foundOnNode()
	idle.Running = 0
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{idle}})
	g.pass(time.Second)
	g.wantNo(fleet.ActStop)
}

// probed has the probe say something of the instance.
func (g *stage) probed(s fleet.Sighting) {
	g.hears(&fleet.Observation{Source: "probe", Instances: []fleet.Sighting{s}})
}

// TestFormer_OneThatHadNotServedYetIsSharedOutAtOnce: nobody has a lease on an engine that did not listen when the term had begun.
func TestFormer_OneThatHadNotServedYetIsSharedOutAtOnce(t *testing.T) {
	for _, row := range []struct {
		name     string
		asked    time.Duration // when nobody listened, from the term's beginning
		listened bool          // somebody did, whenever it was asked
		served   bool
	}{
		{name: "nobody listened", asked: time.Second, served: true},
		{name: "somebody listened", listened: true},
		{name: "nobody had listened before the term began", asked: -time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTerm(t, nil, 0)
			w := g.asks("m")
			s := foundOnNode()
			g.is(s)
			g.pass(2 * time.Second)
			if !row.listened {
				s.Phase, s.Refuses = fleet.PhaseLoading, true
				g.hears(&fleet.Observation{Source: "probe", At: g.epoch.Add(time.Second + row.asked), Instances: []fleet.Sighting{s}})
			}
			s.Phase, s.Refuses = fleet.PhaseReady, false
			g.probed(s)
			if row.served {
				g.wantServed(w)
			} else {
				g.wantWaits(w)
			}
		})
	}
}

// TestFormer_OneThatWasWakingIsSharedOutAtOnce: whoever had leases on it gave them back before it was parked.
func TestFormer_OneThatWasWakingIsSharedOutAtOnce(t *testing.T) {
	g := newTerm(t, []fleet.Pool{h100}, 0)
	w := g.asks("m")
	g.withSlots("x")
	s := fleet.Sighting{Running: -1, Instance: fleet.Instance{ID: "6-1", Model: "m", Slot: "x", GPUs: 1, State: fleet.Resuming, Addr: "n:1"}}
	g.is(s)
	g.pass(time.Second)
	s.State, s.Phase = fleet.Ready, fleet.PhaseReady
	g.is(s)
	g.wantServed(w)
}

// TestFormer_EnginesAreAskedForWhatNobodyReports: once all that was promised has expired, and seldom where they count nothing.
func TestFormer_EnginesAreAskedForWhatNobodyReports(t *testing.T) {
	g := newTerm(t, nil, 0)
	w := g.asks("m")
	s := foundOnNode()
	g.is(s)
	s.Phase = fleet.PhaseReady
	g.probed(s)
	asked := func(want bool) {
		t.Helper()
		if got := slices.Contains(g.p.Unsure(), "probe"); got != want {
			t.Errorf("at %s: the probe is to be asked: %v, want %v", g.now, got, want)
		}
	}
	g.pass(11 * time.Second)
	asked(false)
	g.pass(2 * time.Second)
	asked(true)
	s.Running = fleet.Uncounted
	g.probed(s)
	g.pass(2 * time.Second)
	asked(false)
	g.wantWaits(w)
	g.pass(time.Minute)
	asked(true)
	s.Running = 1
	g.probed(s)
	g.wantWaits(w)
	s.Running = 0
	g.probed(s)
	g.wantServed(w)
	g.pass(time.Second)
	asked(false)
}

// TestFormer_ThatServesNobodyIsNotSharedOutWhilePromisesHold: somebody may go by one, and send a request in the next moment.
func TestFormer_ThatServesNobodyIsNotSharedOutWhilePromisesHold(t *testing.T) {
	g := newTerm(t, nil, 0)
	w := g.asks("m")
	s := foundOnNode()
	g.is(s)
	s.Phase, s.Running = fleet.PhaseReady, 0
	for range 11 {
		g.pass(time.Second)
		g.probed(s)
		g.wantWaits(w)
	}
	g.pass(2 * time.Second)
	g.probed(s)
	g.wantServed(w)
}

// TestFormer_ThatCountsNothingIsSharedOutWhenItsLongestRequestMustHaveEnded: and at that moment, though nobody says anything.
func TestFormer_ThatCountsNothingIsSharedOutWhenItsLongestRequestMustHaveEnded(t *testing.T) {
	g := newTerm(t, nil, 0)
	g.p.models[0].Timeouts.Total = 5 * time.Minute
	w := g.asks("m")
	s := foundOnNode()
	g.is(s)
	s.Phase, s.Running = fleet.PhaseReady, fleet.Uncounted
	g.probed(s)
	g.pass(5 * time.Minute)
	g.wantWaits(w)
	g.pass(13 * time.Second)
	g.wantServed(w)
}

// TestFormer_WhatIsConfirmedIsDividedAmongThoseWhoAreHeard: a server that lacks slots gets some of another's before all is over that the former leader had promised; and of what nobody has
// reported, none.
func TestFormer_WhatIsConfirmedIsDividedAmongThoseWhoAreHeard(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.is(foundOnNode())
	s := foundOnNode()
	s.Phase = fleet.PhaseReady
	g.probed(s)
	g.pass(time.Second)
	o := dispatch.New(dispatch.Config{ID: "other", Incarnation: 1, Models: []*fleet.Model{g.p.models[0].Model}})
	w, l := &dispatch.Waiter{}, &dispatch.Lease{}
	if err := o.Enqueue(g.now, &dispatch.Ask{Model: "m", Org: "o"}, w, l); err != nil {
		t.Fatal(err)
	}
	most := 0
	for range 20 {
		r := &protocol.Report{}
		o.Report(g.now, r)
		g.p.Hear(g.now, r)
		g.d.Report(g.now, &g.r)
		g.p.Hear(g.now, &g.r)
		g.p.Step(g.now)
		for _, table := range g.p.TakeTables() {
			o.Receive(g.now, table)
			g.d.Receive(g.now, table)
		}
		i, _ := o.Instance("6-1")
		most = max(most, i.Slots+g.held())
		g.now += 100 * time.Millisecond
	}
	if l, err := w.Answer(); l == nil {
		t.Errorf("a server without slots is not served beside one that has 3 free: %v", err)
	}
	if most != 3 {
		t.Errorf("%d slots were shared out, want the 3 that were confirmed: another server may have the fourth", most)
	}
}

// TestFormer_WhatComesLateIsNotConfirmed: a dispatcher had more when it said so than when it met this planner. Another server may have that by now, heard or not.
func TestFormer_WhatComesLateIsNotConfirmed(t *testing.T) {
	for _, row := range []struct {
		name string
		said []protocol.Report
	}{
		{name: "and then it answers", said: []protocol.Report{{Seq: 5, AckTerm: 6, AckSeq: 8}, {Seq: 9, AckTerm: 7, AckSeq: 1, Held: []protocol.Held{{Instance: "6-1", Slots: 1}}}}},
		{name: "and then it answers in part", said: []protocol.Report{
			{Seq: 5, AckTerm: 6, AckSeq: 8}, {Seq: 9, AckTerm: 6, AckSeq: 9, Held: []protocol.Held{{Instance: "6-1", Slots: 1}}}, {Seq: 10, Partial: true, AckTerm: 7, AckSeq: 1},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTerm(t, nil, 2)
			row.said[0].Held = []protocol.Held{{Instance: "6-1", Slots: 2}}
			s := foundOnNode()
			g.is(s)
			for _, r := range row.said {
				r.From, r.Incarnation = "other", 3
				g.p.Hear(g.now, &r)
				g.step()
			}
			i := g.p.instanceOf["6-1"]
			if got := i.slotsFor(1); got != 1 {
				t.Errorf("%d slots are confirmed to it, want the 1 that it has", got)
			}
			s.Phase = fleet.PhaseReady
			g.probed(s)
			if got := i.shareable(); got != 3 {
				t.Errorf("%d slots may be divided, want the 3 that were confirmed: a server that was not heard may have the fourth", got)
			}
		})
	}
}
