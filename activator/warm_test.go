package activator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A model that is alone on its GPUs stays hot between requests that come sooner than idle_after, and through a run of many.
func TestAdaptive_StaysWarmBetweenRequests(t *testing.T) {
	for _, cost := range []float64{0, 1} {
		t.Run(fmt.Sprint("idle cost ", cost), func(t *testing.T) {
			inWarmWorld(t, cost, func(w *world) {
				w.serve("few", time.Second)
				for _, gap := range []time.Duration{9 * time.Second, 14 * time.Second, 20 * time.Second} {
					time.Sleep(gap)
					w.serveHot("few", time.Second)
				}
				for range 60 {
					time.Sleep(400 * time.Millisecond)
					w.serveHot("few", 100*time.Millisecond)
				}
				w.wantLaunches("few", 1)
				if w.resumes["few"] > 0 {
					t.Errorf("got %d resumes, want none", w.resumes["few"])
				}
			})
		})
	}
}

func TestAdaptive_IsWarmUntilIdleAfterWhereThatCostsNothing(t *testing.T) {
	inWarmWorld(t, 0, func(w *world) {
		for range 30 { // its arrivals are known well, and it would be let go soon if that saved anything
			w.serve("few", time.Second)
			time.Sleep(5 * time.Minute)
		}
		w.serve("few", time.Second)
		time.Sleep(29 * time.Second)
		w.wantState("few", "hot")
		time.Sleep(2 * time.Second)
		w.wantState("few", "parked")
	})
}

func TestAdaptive_WarmOnesMakeRoomAtOnce(t *testing.T) {
	inWarmWorld(t, 0, func(w *world) {
		w.serve("few", time.Second)
		if took, want := w.serve("big", time.Second).took, w.parkTime+w.startTime; took > want+time.Second {
			t.Errorf("whoever needs its GPUs waited %s, want %s: a park and a start", took, want)
		}
	})
}

// inWarmWorld runs a test where the adaptive policy has been at work for an hour, and two models may share 8 GPUs.
func inWarmWorld(t *testing.T, idleCost float64, test func(*world)) {
	t.Helper()
	models := []*fleet.Model{model("few", 1), model("big", 8), model("first", 1)}
	inWorld(t, models, func(w *world) {
		w.serve("first", time.Second)
		time.Sleep(time.Hour)
		test(w)
	}, func(cfg *activator.Config) {
		cfg.IdleCost, cfg.Policy = idleCost, autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{})
		cfg.Pools = []fleet.Pool{{Name: fleet.LocalPool, GPUsPerSlot: 8, MaxParkedPerGPU: 4}}
	})
}

// serveHot is serve for a model that must be hot.
func (w *world) serveHot(model string, d time.Duration) {
	w.Helper()
	if c := w.serve(model, d); c.took > 0 {
		w.Errorf("at %s: a request waited %s, want it hot", time.Now().Format("15:04:05"), c.took)
	}
}
