package activator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// keeper is the fixed policy that wishes everything parked, worth what the test says.
type keeper struct {
	activator.Policy
	worth map[string]float64 // model -> its ParkedValue; 1 where it says nothing
}

func (k keeper) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := k.Policy.Decide(now, v)
	d.Parked, d.ParkedValue = 8, 1
	if w, ok := k.worth[v.Model.ID]; ok {
		d.ParkedValue = w
	}
	return d
}

// parking makes the local pool one that parks.
func parking(change ...func(*fleet.Pool, keeper)) func(*activator.Config) {
	return func(cfg *activator.Config) {
		k := keeper{autoscaler.NewFixed(autoscaler.FixedConfig{}), make(map[string]float64)}
		pool := fleet.Pool{Name: fleet.LocalPool, GPUsPerSlot: 8, MaxParkedPerGPU: 4, ParkedGPUMemory: 4 << 30}
		for _, f := range change {
			f(&pool, k)
		}
		cfg.Policy, cfg.Pools = k, []fleet.Pool{pool}
	}
}

func eightModels() []*fleet.Model {
	var models []*fleet.Model
	for i, gpus := range []int{8, 2, 2, 4, 1, 1, 4, 8} {
		models = append(models, model(fmt.Sprint("m", i), gpus, func(m *fleet.Model) { m.IdleAfter = time.Hour }))
	}
	return models
}

func TestParking_EightModelsInTurnStartOnce(t *testing.T) {
	models := eightModels()
	inWorld(t, models, func(w *world) {
		for i := range models {
			w.serve(fmt.Sprint("m", i), time.Second)
		}
		for range 3 {
			for i := range models {
				id := fmt.Sprint("m", i)
				c := w.serve(id, time.Second)
				if c.took > w.parkTime+w.wakeTime {
					t.Errorf("%s waited %s, want at most one park and one resume", id, c.took)
				}
				if c.took > 0 && c.lease.Start != fleet.Parked {
					t.Errorf("%s was started from %s, want from parked", id, c.lease.Start)
				}
			}
		}
		for i := range models {
			w.wantLaunches(fmt.Sprint("m", i), 1)
		}
		time.Sleep(2 * time.Hour)
		for i := range models {
			w.wantState(fmt.Sprint("m", i), "parked")
		}
	}, parking())
}
