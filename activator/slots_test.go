package activator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// inGrowing runs a test in a world whose pool has slots added and given back; they take a minute.
func inGrowing(t *testing.T, models []*fleet.Model, slots fleet.Range, test func(*world)) {
	t.Helper()
	for _, m := range models {
		m.Pool = "h100"
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slotTime = time.Minute
		cfg := activator.Config{Models: models, Seed: 1}
		parking()(&cfg)
		cfg.Pools = []fleet.Pool{{Name: "h100", GPUsPerSlot: 8, MaxParkedPerGPU: 4, SlotIdle: 15 * time.Minute, Slots: slots}}
		w.run(cfg)
		test(w)
		w.stop()
		if err := <-w.done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func (w *world) wantSlots(want int) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := len(w.added); got != want {
		w.Errorf("at %s: %d slots, want %d", time.Now().Format("15:04:05"), got, want)
	}
}

func TestSlots_FromZeroAndBack(t *testing.T) {
	inGrowing(t, []*fleet.Model{model("a", 4), model("b", 4)}, fleet.Range{Max: 2}, func(w *world) {
		w.wantSlots(0)
		c := w.ask(activator.Ask{Model: "a"})
		b := w.ask(activator.Ask{Model: "b"})
		w.wait(c)
		w.wait(b)
		if want := w.slotTime + w.startTime; c.took != want || b.took != want {
			t.Errorf("waited %s and %s, want %s: one slot for both", c.took, b.took, want)
		}
		w.wantSlots(1)
		c.release(activator.Succeeded)
		b.release(activator.Succeeded)
		time.Sleep(10 * time.Minute)
		w.wantState("a", "parked")
		if again := w.serve("a", time.Second); again.took != w.wakeTime {
			t.Errorf("waited %s, want a resume", again.took)
		}
		time.Sleep(10 * time.Minute)
		w.wantSlots(1)
		time.Sleep(10 * time.Minute)
		w.wantSlots(0) // nothing was awake for a quarter of an hour
		w.wantState("a", "cold")
		w.wantState("b", "cold")
	})
}

// TestSlots_OneThatCannotBeReachedIsLeftForOneToCome has no other slot when the first launch is refused.
func TestSlots_OneThatCannotBeReachedIsLeftForOneToCome(t *testing.T) {
	inGrowing(t, []*fleet.Model{model("a", 4)}, fleet.Range{Min: 1, Max: 2}, func(w *world) {
		time.Sleep(2 * time.Minute)
		w.wantSlots(1)
		w.cutOff = w.added[0].ID
		c := w.ask(activator.Ask{Model: "a"})
		w.wait(c)
		if most := w.slotTime + w.startTime + 15*time.Second; c.err != nil || c.took > most {
			t.Fatalf("got %v after %s, want an instance in another slot, within %s", c.err, c.took, most)
		}
		w.wantSlots(2)
		w.cutOff = ""
		c.release(activator.Succeeded)
	})
}

func TestSlots_MinIsKeptAndMaxNotExceeded(t *testing.T) {
	models := []*fleet.Model{model("a", 8), model("b", 8), model("c", 8), model("d", 16)}
	inGrowing(t, models, fleet.Range{Min: 1, Max: 2}, func(w *world) {
		w.refuseAdd = 2
		time.Sleep(2 * time.Minute)
		w.wantSlots(1)
		var cs []*client
		for _, id := range []string{"a", "b", "c"} {
			cs = append(cs, w.ask(activator.Ask{Model: id}))
		}
		time.Sleep(20 * time.Minute) // nobody gives way
		w.wantSlots(2)
		served := 0
		for _, c := range cs {
			if c.ready && c.err == nil {
				served++
			}
		}
		if served != 2 {
			t.Errorf("%d of 3 were served on two slots", served)
		}
		w.wantErr(w.ask(activator.Ask{Model: "d"}), activator.ErrNoCapacity)
		for _, c := range cs {
			if c.err == nil && c.ready {
				c.release(activator.Succeeded)
			}
		}
		time.Sleep(time.Hour)
		w.wantSlots(1)
	})
}

func TestSlots_DemandThatWouldDrainTheBusyAddsOne(t *testing.T) {
	inGrowing(t, []*fleet.Model{model("a", 8), model("b", 8)}, fleet.Range{Min: 1, Max: 2}, func(w *world) {
		a := w.ask(activator.Ask{Model: "a"})
		w.wait(a)
		time.Sleep(2 * time.Minute)
		b := w.ask(activator.Ask{Model: "b"})
		time.Sleep(5 * time.Second)
		w.wantSlots(1) // patience
		w.wait(b)
		if b.err != nil || b.took > 2*time.Minute {
			t.Errorf("b waited %s, %v", b.took, b.err)
		}
		w.wantSlots(2)
		a.release(activator.Succeeded)
		b.release(activator.Succeeded)
	})
}

func TestSlots_NodeThatHasTheWeightsIsPreferred(t *testing.T) {
	inGrowing(t, []*fleet.Model{model("a", 8), model("b", 8)}, fleet.Range{Min: 2, Max: 2}, func(w *world) {
		time.Sleep(2 * time.Minute)
		b := w.ask(activator.Ask{Model: "b"})
		w.wait(b) // it has the first slot
		w.serve("a", time.Second)
		first := w.engineOf("a").Slot
		b.release(activator.Succeeded)
		for _, id := range []string{"a", "b"} {
			if err := w.a.StopModel(id); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		w.wantState("a", "cold")
		w.serve("a", time.Second)
		if got := w.engineOf("a").Slot; got != first || w.launches["a"] != 2 {
			t.Errorf("start %d was on %s, want the second one on %s as before", w.launches["a"], got, first)
		}
	})
}

func TestSlots_TunedAtRunTime(t *testing.T) {
	inGrowing(t, []*fleet.Model{model("a", 8)}, fleet.Range{Max: 2}, func(w *world) {
		if err := w.a.TunePool(fleet.Pool{Name: "h100", GPUsPerSlot: 8, Slots: fleet.Range{Min: 2, Max: 2}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		w.wantSlots(2)
		if err := w.a.TunePool(fleet.Pool{Name: "none"}); err == nil {
			t.Error("a pool that is not there was tuned")
		}
	})
}

func TestSlots_WhatNoNodeCanHoldIsToldAtOnce(t *testing.T) {
	inGrowing(t, []*fleet.Model{model("a", 8)}, fleet.Range{Max: 2}, func(w *world) {
		w.unplaced = fleet.UnplacedExhausted
		first := w.ask(activator.Ask{Model: "a"})
		time.Sleep(5 * time.Minute)
		if first.ready {
			t.Fatalf("got %v while a node would have room some day, want it to wait", first.err)
		}
		w.setUnplaced(fleet.UnplacedImpossible)
		w.wantErr(first, activator.ErrNoCapacity)
		w.wantErr(w.ask(activator.Ask{Model: "a"}), activator.ErrNoCapacity)
		w.wantSlots(1)
		w.setUnplaced("") // a node that can has joined
		second := w.ask(activator.Ask{Model: "a"})
		w.wait(second)
		if second.took != w.startTime {
			t.Errorf("waited %s, want %s", second.took, w.startTime)
		}
		second.release(activator.Succeeded)
	})
}

// setUnplaced says of all slots why there is no node for them; "" = there is one.
func (w *world) setUnplaced(why fleet.Unplaced) {
	w.mu.Lock()
	w.unplaced = why
	for k := range w.added {
		w.added[k].Unplaced, w.added[k].Pending = why, why != ""
	}
	w.tellAll()
	w.mu.Unlock()
	synctest.Wait()
}
