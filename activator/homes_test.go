package activator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// inTwoSlots runs a test in a world of two slots that park, whose models take a whole slot each.
func inTwoSlots(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slotTime = time.Second
		var models []*fleet.Model
		for _, id := range []string{"one", "two", "late"} {
			models = append(models, model(id, 8, func(m *fleet.Model) { m.Pool = "h100" }))
		}
		cfg := activator.Config{Models: models, Seed: 1}
		parking()(&cfg)
		cfg.Pools = []fleet.Pool{{Name: "h100", GPUsPerSlot: 8, MaxParkedPerGPU: 4, Slots: fleet.Range{Min: 2, Max: 2}}}
		w.run(cfg)
		time.Sleep(time.Minute) // the slots come
		for _, id := range []string{"one", "two"} {
			w.serve(id, time.Second)
		}
		if w.engineOf("one").Slot == w.engineOf("two").Slot {
			t.Error("two models live in one slot, and none in the other")
		}
		test(w)
		w.stop()
		if err := <-w.done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestHomes_ANewOneIsWhereTheOthersAreSeldomAwake(t *testing.T) {
	for _, busy := range []string{"one", "two"} {
		inTwoSlots(t, func(w *world) {
			w.serve(busy, 2*time.Hour)
			time.Sleep(2 * time.Minute) // all are parked
			w.serve("late", time.Second)
			if w.engineOf("late").Slot == w.engineOf(busy).Slot {
				t.Errorf("late lives with %s, which was awake for hours, want it with the other", busy)
			}
		})
	}
}

// A model that has had many instances at once keeps few of them parked when host memory gets short: each further one is worth less.
func TestHomes_TheThirdCopyIsWorthLessThanTheSecond(t *testing.T) {
	models := []*fleet.Model{model("many", 2), model("pair", 2), model("one", 2)}
	for _, m := range models {
		m.ParkedMemory = 100 << 30
	}
	inWorld(t, models, func(w *world) {
		for _, c := range []struct {
			id string
			n  int // 4 fit one instance
		}{{"many", 9}, {"pair", 5}} {
			var all []*client
			for range c.n {
				all = append(all, w.ask(activator.Ask{Model: c.id}))
			}
			for _, x := range all {
				w.wait(x)
			}
			for _, x := range all {
				x.release(activator.Succeeded)
			}
			time.Sleep(2 * time.Minute)
		}
		w.serve("one", time.Second)
		time.Sleep(2 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		left := map[string]int{}
		for _, e := range w.order {
			if !e.gone {
				left[e.Model]++
			}
		}
		if left["many"] != 2 || left["pair"] != 2 || left["one"] != 1 {
			t.Errorf("parked are %v, want two of many, two of pair, and one", left)
		}
	}, parking(func(q *fleet.Pool, k keeper) {
		q.HostMemory = 500 << 30
		k.worth["many"], k.worth["pair"], k.worth["one"] = 3, 2, 9
	}))
}
