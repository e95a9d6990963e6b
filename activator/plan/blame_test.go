package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// twoSlots gives a planner of two slots of 8 GPUs, and of one model for which a request waits.
func twoSlots(t *testing.T) *Planner {
	t.Helper()
	m := &fleet.Model{ID: "m", GPUs: 1, Pool: "p", MaxConcurrency: 4, IdleAfter: time.Minute, Instances: fleet.Range{Max: 4}}
	p := New(Config{Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: []*fleet.Model{m}, Term: 1, Epoch: time.Unix(0, 0)})
	p.Observe(0, &fleet.Observation{Source: "s", Complete: true, Slots: []fleet.Slot{
		{ID: "a", Pool: "p", Node: "node-a", GPUs: 8}, {ID: "b", Pool: "p", Node: "node-b", GPUs: 8},
	}})
	p.Hear(0, &protocol.Report{From: "d", Incarnation: 1, Seq: 1})
	p.Step(0)
	table := p.TakeTables()[0]
	p.Hear(0, &protocol.Report{
		From: "d", Incarnation: 1, Seq: 2, AckTerm: table.Term, AckSeq: table.Seq,
		Demands: []protocol.Demand{{Model: "m", Waiting: 1, Arrivals: 1}},
	})
	p.Step(0)
	return p
}

// launched takes the one launch that is ordered.
func launched(t *testing.T, p *Planner) fleet.Act {
	t.Helper()
	for _, act := range p.TakeActs() {
		if act.Kind == fleet.ActLaunch {
			return act
		}
	}
	t.Fatal("nothing was launched")
	return fleet.Act{}
}

func TestBlame_ThePlaceFirst(t *testing.T) {
	p := twoSlots(t)
	first := launched(t, p)
	p.Accepted(0, &first, fmt.Errorf("dialing: %w", fleet.ErrUnreachable))
	p.Step(0)
	if m := p.modelOf["m"]; m.failures != 0 || m.retryAt > 0 {
		t.Errorf("the model backs off: %d failures", m.failures)
	}
	second := launched(t, p)
	if second.Slot == first.Slot {
		t.Errorf("it is started again on %s, which cannot be reached", second.Slot)
	}
	if troubled := p.TakeTroubled(); len(troubled) != 1 || troubled[0].Node != "node-"+first.Slot {
		t.Errorf("the operator is told of %+v, want node-%s", troubled, first.Slot)
	}
	e, err := p.Explain(0, "m")
	if err != nil || !strings.Contains(strings.Join(e.Actions, "\n"), "place nothing on "+first.Slot) {
		t.Errorf("explain says %q, %v", e.Actions, err)
	}
}

func TestBlame_TheModelWhenAnotherPlaceFailsToo(t *testing.T) {
	p := twoSlots(t)
	for k := range 2 {
		act := launched(t, p)
		p.Accepted(0, &act, errors.New("exit status 1"))
		p.Step(0)
		if m := p.modelOf["m"]; m.failures != k {
			t.Errorf("after %d failed starts the model is to blame for %d, want %d", k+1, m.failures, k)
		}
	}
	for _, act := range p.TakeActs() {
		if act.Kind == fleet.ActLaunch {
			t.Errorf("it is started a third time at once")
		}
	}
	e, _ := p.Explain(0, "m")
	if said := strings.Join(e.Actions, "\n"); !strings.Contains(said, "exit status 1 (so far, by cause: unknown 2)") {
		t.Errorf("explain says %q, want the reason and the causes", said)
	}
}

// TestBlame_ExplainGivesTheLastFailure with the engine's last words and where it was, for as long as the server lives.
func TestBlame_ExplainGivesTheLastFailure(t *testing.T) {
	p := twoSlots(t)
	explained := func(now time.Duration) fleet.Failure {
		e, err := p.Explain(now, "m")
		if err != nil {
			t.Fatal(err)
		}
		return e.Failure
	}
	if f := explained(0); f.Reason != "" {
		t.Errorf("before any failure: got %+v", f)
	}
	act := launched(t, p)
	const words = "exit status 1; its log ends: CUDA out of memory"
	p.Accepted(3*time.Second, &act, errors.New(words))
	p.Step(3 * time.Second)
	want := fleet.Failure{At: time.Unix(3, 0), Instance: act.Instance, Slot: act.Slot, Node: "node-" + act.Slot}
	got := explained(time.Hour)
	if !strings.Contains(got.Reason, words) {
		t.Errorf("got the reason %q, want the engine's words in it", got.Reason)
	}
	if got.Reason = ""; !got.At.Equal(want.At) {
		t.Errorf("got at %v, want %v", got.At, want.At)
	}
	if got.At = want.At; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestBlame_TheModelWhereNoPlaceIsKnown: one that an earlier life has launched, and that no node had room for, has ended nowhere: no other place is known to be better.
func TestBlame_TheModelWhereNoPlaceIsKnown(t *testing.T) {
	m := &fleet.Model{ID: "m", GPUs: 1, MaxConcurrency: 4, IdleAfter: time.Minute, Instances: fleet.Range{Max: 4}}
	p := New(Config{Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: []*fleet.Model{m}, Term: 2, Epoch: time.Unix(0, 0)})
	listed := fleet.Observation{Source: "s", Complete: true, Nodes: []fleet.Node{{ID: "n0", GPUs: 8, Used: 8}}, Instances: []fleet.Sighting{
		{Instance: fleet.Instance{ID: "1-1", Model: "m", State: fleet.Starting, GPUs: 1}, Phase: fleet.PhaseSubmitted},
	}}
	p.Observe(0, &listed)
	p.Hear(0, &protocol.Report{From: "d", Incarnation: 1, Seq: 1, Demands: []protocol.Demand{{Model: "m", Waiting: 1, Arrivals: 1}}})
	p.Step(0)
	if i := p.instanceOf["1-1"]; i == nil || i.State != fleet.Starting {
		t.Fatalf("it was not adopted: %+v", i)
	}
	listed.Instances, listed.Nodes = nil, []fleet.Node{{ID: "n0", GPUs: 8}, {ID: "n1", GPUs: 8}}
	p.Observe(time.Second, &listed)
	p.Step(time.Second)
	if m := p.modelOf["m"]; m.failures != 1 || m.retryAt <= time.Second || p.instanceOf["1-1"] != nil {
		t.Errorf("got %d failures and another try at %s, want one and that it waits", m.failures, m.retryAt)
	}
	for _, act := range p.TakeActs() {
		if act.Kind == fleet.ActLaunch {
			t.Error("it is started again at once")
		}
	}
}
