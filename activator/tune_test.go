package activator_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// parkedABC is a world in which a, b and c are parked on the same GPUs, a being worth most and b least.
func parkedABC(t *testing.T, body func(w *world, pool fleet.Pool)) {
	t.Helper()
	var pool fleet.Pool
	memory := func(m *fleet.Model) { m.ParkedMemory = 10 }
	inWorld(t, []*fleet.Model{model("a", 8, memory), model("b", 8, memory), model("c", 8, memory)}, func(w *world) {
		for _, id := range []string{"a", "b", "c"} {
			w.serve(id, time.Second)
			time.Sleep(time.Minute)
			w.wantState(id, "parked")
		}
		body(w, pool)
	}, parking(func(q *fleet.Pool, k keeper) {
		q.HostMemory = 100
		k.worth["a"], k.worth["b"], k.worth["c"] = 9, 1, 5
		pool = *q
	}))
}

func (w *world) tune(pool fleet.Pool) {
	w.T.Helper()
	if err := w.a.TunePool(pool); err != nil {
		w.T.Fatal(err)
	}
	time.Sleep(2 * w.stopTime)
}

func TestTune_WhatIsOverALowerLimitGoesAtOnce(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*fleet.Pool)
		states []string // of a, b and c afterwards
	}{
		"two a GPU":           {func(q *fleet.Pool) { q.MaxParkedPerGPU = 2 }, []string{"parked", "cold", "parked"}},
		"none":                {func(q *fleet.Pool) { q.MaxParkedPerGPU = 0 }, []string{"cold", "cold", "cold"}},
		"host memory for one": {func(q *fleet.Pool) { q.HostMemory = 19 }, []string{"parked", "cold", "cold"}},
		"nothing lower":       {func(q *fleet.Pool) { q.MaxParkedPerGPU, q.HostMemory = 3, 30 }, []string{"parked", "parked", "parked"}},
	} {
		t.Run(name, func(t *testing.T) {
			parkedABC(t, func(w *world, pool fleet.Pool) {
				row.change(&pool)
				w.tune(pool)
				for i, id := range []string{"a", "b", "c"} {
					w.wantState(id, row.states[i])
				}
			})
		})
	}
}

// TestTune_EnginesKeepTheRoomThatTheyWereLaunchedWith has engines that were launched beside two parked ones at most. A third one beside them
// would take memory that they hold.
func TestTune_EnginesKeepTheRoomThatTheyWereLaunchedWith(t *testing.T) {
	var pool fleet.Pool
	models := []*fleet.Model{model("a", 8, hour), model("b", 8, hour), model("c", 8, hour), model("d", 8, hour)}
	inWorld(t, models, func(w *world) {
		for _, id := range []string{"a", "b", "c"} {
			w.serve(id, time.Second)
		}
		pool.MaxParkedPerGPU = 4
		w.tune(pool)
		w.serve("d", time.Second) // with room for four
		w.wantState("b", "parked")
		w.serve("a", time.Second) // with room for two: of b, c and d, b must go
		w.wantState("a", "hot")
		w.wantState("b", "cold")
		w.wantState("c", "parked")
		w.wantState("d", "parked")
		w.wantLaunches("a", 1)
	}, parking(func(q *fleet.Pool, k keeper) {
		q.MaxParkedPerGPU = 2
		k.worth["a"], k.worth["b"], k.worth["c"], k.worth["d"] = 9, 1, 5, 7
		pool = *q
	}))
}
