package activator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// configure has the activator take other models, in the pools as they are.
func (w *world) configure(models ...*fleet.Model) {
	w.Helper()
	if err := w.a.Configure(models, nil); err != nil {
		w.Fatal(err)
	}
}

func TestConfigure_AnAddedModelIsServedAndItsSeriesAreThere(t *testing.T) {
	a := model("a", 1)
	inWorld(t, []*fleet.Model{a}, func(w *world) {
		if _, _, err := w.a.Acquire(activator.Ask{Model: "b"}); !errors.Is(err, activator.ErrUnknownModel) {
			t.Errorf("before: got %v", err)
		}
		w.configure(a, model("b", 2))
		var text strings.Builder
		w.a.Metrics().WritePrometheus(&text)
		for _, series := range []string{`pilotlight_queue_seconds_count{model="b"} 0`, `pilotlight_activation_seconds_count{model="b",from="cold"} 0`, `pilotlight_queue_depth{model="b"} 0`} {
			if !strings.Contains(text.String(), series) {
				t.Errorf("no %s in\n%s", series, &text)
			}
		}
		if c := w.serve("b", time.Second); c.took != w.startTime {
			t.Errorf("waited %s, want a start", c.took)
		}
	})
}

// TestConfigure_WhoWaitsForARemovedModelIsServed has one wait while it is being started, and one be served.
func TestConfigure_WhoWaitsForARemovedModelIsServed(t *testing.T) {
	a, served, awaited := model("a", 1), model("served", 1), model("awaited", 1)
	inWorld(t, []*fleet.Model{a, served, awaited}, func(w *world) {
		stream := w.ask(activator.Ask{Model: "served"})
		w.wait(stream)
		waiting := w.ask(activator.Ask{Model: "awaited"})
		time.Sleep(5 * time.Second)
		w.configure(a)
		for _, id := range []string{"served", "awaited"} {
			if _, _, err := w.a.Acquire(activator.Ask{Model: id}); !errors.Is(err, activator.ErrUnknownModel) {
				t.Errorf("%s afterwards: got %v, want an unknown model", id, err)
			}
		}
		w.wait(waiting)
		if waiting.err != nil {
			t.Fatalf("who waited was refused: %v", waiting.err)
		}
		time.Sleep(time.Minute)
		w.wantState("served", "hot") // the stream is not cut
		stream.release(activator.Succeeded)
		waiting.release(activator.Succeeded)
		time.Sleep(5 * time.Second)
		w.wantState("served", "cold")
		w.wantState("awaited", "cold")
		for _, m := range w.a.Snapshot().Models {
			if m.Model.ID != "a" {
				t.Errorf("%s is still listed", m.Model.ID)
			}
		}
	})
}

// TestConfigure_AChangedModelDrains has one request be served, and asks again: only another instance is launched as the config has it now.
func TestConfigure_AChangedModelDrains(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 1, hour)}, func(w *world) {
		stream := w.ask(activator.Ask{Model: "a"})
		w.wait(stream)
		changed := model("a", 4, hour)
		w.configure(changed)
		next := w.ask(activator.Ask{Model: "a"})
		w.wait(next)
		if next.err != nil || next.lease.Instance == stream.lease.Instance || next.lease.Model != changed || next.lease.GPUs != 4 {
			t.Errorf("got %+v, %v, want another instance, of the changed model", next.lease, next.err)
		}
		stream.release(activator.Succeeded)
		next.release(activator.Succeeded)
		time.Sleep(5 * time.Second)
		if got := w.a.Snapshot().Instances; len(got) != 1 || got[0].GPUs != 4 {
			t.Errorf("got instances %+v, want the one of 4 GPUs", got)
		}
		limits := model("a", 4, hour)
		limits.Queue.MaxWait = time.Minute
		w.configure(limits)
		time.Sleep(time.Minute)
		w.wantLaunches("a", 2)
		w.wantState("a", "hot") // what is no part of a launch leaves it alone
	})
}

func TestConfigure_RemovedAndBackAgain(t *testing.T) {
	a, b := model("a", 1), model("b", 1)
	inWorld(t, []*fleet.Model{a, b}, func(w *world) {
		stream := w.ask(activator.Ask{Model: "b"})
		w.wait(stream)
		w.configure(a)
		w.configure(a, b)
		if c := w.serve("b", time.Second); c.err != nil {
			t.Errorf("got %v", c.err)
		}
		stream.release(activator.Succeeded)
	})
}

func TestConfigure_RefusesWhatHasNoIDOfItsOwnAndChangesNothing(t *testing.T) {
	a := model("a", 1)
	inWorld(t, []*fleet.Model{a}, func(w *world) {
		if err := w.a.Configure([]*fleet.Model{model("b", 1), model("b", 2)}, nil); err == nil {
			t.Error("two models of one ID were taken")
		}
		w.serve("a", time.Second)
		if _, _, err := w.a.Acquire(activator.Ask{Model: "b"}); !errors.Is(err, activator.ErrUnknownModel) {
			t.Errorf("got %v, want nothing changed", err)
		}
	})
}

func TestConfigure_ARemovedPoolGivesItsSlotsBack(t *testing.T) {
	inGrowing(t, []*fleet.Model{model("a", 8)}, fleet.Range{Min: 1, Max: 2}, func(w *world) {
		stream := w.ask(activator.Ask{Model: "a"})
		w.wait(stream)
		w.wantSlots(1)
		if err := w.a.Configure(nil, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.wantSlots(1) // the stream goes on
		stream.release(activator.Succeeded)
		time.Sleep(time.Minute)
		w.wantSlots(0)
		if pools := w.a.Snapshot().Pools; len(pools) != 0 {
			t.Errorf("got pools %+v, want none", pools)
		}
	})
}
