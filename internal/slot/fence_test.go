//go:build linux

package slot_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// actor is a slot, or a slot at a distance.
type actor interface {
	Do(context.Context, fleet.Act) error
	Fence(context.Context, uint64) error
}

// actors gives a slot with one ready engine, i1 of term 1, and each way to give it orders.
func actors(t *testing.T) (*world, map[string]actor) {
	w := start(t, options{gpus: 2}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	return w, map[string]actor{"slot": w.Slot, "client": offer(t, w.Slot, "127.0.0.1:0", fake("m", 1)).Client}
}

func TestFence_RefusesActsOfOlderTerms(t *testing.T) {
	w, both := actors(t)
	for name, a := range both {
		for range 2 { // a fence may be put up again
			if err := a.Fence(t.Context(), 7); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, kind := range []fleet.ActKind{fleet.ActStop, fleet.ActPark, fleet.ActLaunch} {
			old := fleet.Act{Kind: kind, Term: 6, Seq: 100, Instance: "i1", Model: "m", GPUs: 1}
			if err := a.Do(t.Context(), old); !errors.Is(err, fleet.ErrFenced) || !errors.Is(err, slot.ErrOldTerm) {
				t.Errorf("%s: %s of an older term: got %v, want %v", name, kind, err, fleet.ErrFenced)
			}
		}
		if err := a.Fence(t.Context(), 6); !errors.Is(err, fleet.ErrFenced) {
			t.Errorf("%s: an older fence: got %v, want %v", name, err, fleet.ErrFenced)
		}
	}
	must(t, w.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: 7, Seq: 1, Instance: "i1"}))
	w.until("i1", gone)
}

func TestFence_IsToldToWatchers(t *testing.T) {
	w, _ := actors(t)
	must(t, w.Fence(t.Context(), 7))
	w.untilTold("a list of term 7", func(o fleet.Observation) bool { return o.Term == 7 && o.Complete && len(o.Instances) == 1 })
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActPark, Term: 8, Seq: 1, Instance: "nobody"}); !errors.Is(err, slot.ErrUnknown) {
		t.Errorf("got %v, want %v", err, slot.ErrUnknown)
	}
	w.untilTold("a list of term 8, though its act was refused", func(o fleet.Observation) bool { return o.Term == 8 })
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: 7, Seq: 9, Instance: "i1"}); !errors.Is(err, fleet.ErrFenced) {
		t.Errorf("got %v, want %v: an act of a newer term raises the fence", err, fleet.ErrFenced)
	}
}

func TestClient_TellsThatItsSupervisorIsOutOfReach(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ln.Close()
	c, err := slot.NewClient(slot.ClientConfig{Addr: ln.Addr().String(), Key: slotKey, Models: []*fleet.Model{fake("m", 1)}})
	must(t, err)
	defer c.Close()
	for what, err := range map[string]error{
		"Do": c.Do(t.Context(), launch("i1", "m", 0, 1)), "Fence": c.Fence(t.Context(), 1), "Watch": c.Watch(t.Context(), nil),
	} {
		if !errors.Is(err, fleet.ErrUnreachable) {
			t.Errorf("%s: got %v, want %v", what, err, fleet.ErrUnreachable)
		}
	}
}

func TestLaunch_IsOfTheModelThatItBringsAlong(t *testing.T) {
	for _, way := range []string{"slot", "client"} {
		w := start(t, options{gpus: 4}, fake("m", 1))
		a := map[string]actor{"slot": w.Slot, "client": offer(t, w.Slot, "127.0.0.1:0", fake("m", 1)).Client}[way]
		now := fake("m", 2)
		now.MaxConcurrency, now.ParkedMemory, now.Engine.Args = 16, 1<<30, nil
		act := launch("i1", "m", 2, 2)
		act.Config, act.Parked = now, 5<<30
		must(t, a.Do(t.Context(), act))
		i, _ := w.until("i1", ready)
		want := fleet.Spec{GPUs: 2, MaxConcurrency: 16, ParkedMemory: 1 << 30, ParkedRoom: 5 << 30, Kind: fleet.EngineOpenAI}
		if i.Spec == nil || i.Spec.GPUs != want.GPUs || i.Spec.MaxConcurrency != want.MaxConcurrency ||
			i.Spec.ParkedMemory != want.ParkedMemory || i.Spec.ParkedRoom != want.ParkedRoom || i.Spec.Kind != want.Kind {
			t.Errorf("%s: got %+v, want %+v", way, i.Spec, want)
		}
		act = launch("i2", "other", 0, 2)
		act.Config = now
		if err := a.Do(t.Context(), act); !errors.Is(err, slot.ErrUnknownModel) {
			t.Errorf("%s: a model that is not the act's: got %v, want %v", way, err, slot.ErrUnknownModel)
		}
	}
}

func TestConfigure_ReplacesTheModels(t *testing.T) {
	w := start(t, options{gpus: 2}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	w.Configure([]*fleet.Model{fake("other", 1)})
	w.launch("i2", "other", 1, 1)
	w.until("i2", ready)
	if o := w.latest(); len(o.Instances) != 2 {
		t.Errorf("got %+v, want what runs to go on", o.Instances)
	}
	if err := w.Do(t.Context(), launch("i3", "m", 0, 1)); !errors.Is(err, slot.ErrUnknownModel) {
		t.Errorf("got %v, want %v", err, slot.ErrUnknownModel)
	}
}

func TestClosing_IsToldWhileEnginesEnd(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 2, grace: time.Second}, fake("deaf", 1, "deaf"))
	w.launch("i1", "deaf", 0, 1)
	w.until("i1", ready)
	if o := w.latest(); o.Slots[0].Condition != fleet.PlaceHealthy {
		t.Errorf("got %q, want it healthy", o.Slots[0].Condition)
	}
	ended := make(chan struct{})
	go func() { w.stop(); close(ended) }()
	o := w.untilTold("that the slot closes", func(o fleet.Observation) bool { return o.Slots[0].Condition == fleet.PlaceClosing })
	if at := slices.IndexFunc(o.Instances, func(i fleet.Sighting) bool { return i.ID == "i1" }); at < 0 || o.Instances[at].State != fleet.Stopping || o.Instances[at].Gone {
		t.Errorf("got %+v, want i1 stopping", o.Instances)
	}
	act := launch("i2", "deaf", 1, 1)
	act.Seq = 50
	if err := w.Do(t.Context(), act); !errors.Is(err, slot.ErrShuttingDown) || !errors.Is(err, fleet.ErrPlaceClosed) {
		t.Errorf("got %v, want %v", err, fleet.ErrPlaceClosed)
	}
	<-ended
}
