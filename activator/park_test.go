package activator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

// hour keeps an instance hot for longer than any test.
func hour(m *fleet.Model) { m.IdleAfter = time.Hour }

func TestParking_IdleOnesAreParkedAndThePolicySaysHowMany(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4), model("b", 4)}, func(w *world) {
		w.serve("a", time.Second)
		if w.reserved != 16<<30 {
			t.Errorf("a launch leaves %d bytes a GPU to parked ones, want 4 of 4 GiB", w.reserved)
		}
		time.Sleep(40 * time.Second)
		w.wantState("a", "parked")
		c := w.serve("a", time.Second)
		if c.took != w.wakeTime || c.lease.Start != fleet.Parked || c.lease.Activating == 0 {
			t.Errorf("got an answer after %s from %s, want after %s from parked", c.took, c.lease.Start, w.wakeTime)
		}
		w.wantLaunches("a", 1)
	}, parking())
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.serve("a", time.Second)
		time.Sleep(40 * time.Second)
		w.wantState("a", "cold") // the fixed policy wishes nothing parked
	}, parking(), func(cfg *activator.Config) { cfg.Policy = autoscaler.NewFixed(autoscaler.FixedConfig{}) })
}

func TestParking_WhereItIsNotOfferedOnesAreStopped(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8, hour), model("b", 8, hour)}, func(w *world) {
		w.noParking = true
		w.serve("a", time.Second)
		if c := w.serve("b", time.Second); c.took != w.stopTime+w.startTime || c.lease.Start != fleet.Cold {
			t.Errorf("waited %s from %s, want a stop and a start", c.took, c.lease.Start)
		}
		w.wantState("a", "cold")
	}, parking())
}

func TestParking_RequestDuringAParkIsServedByAResume(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8)}, func(w *world) {
		w.serve("a", time.Second)
		time.Sleep(30*time.Second + w.parkTime/2) // idle_after is over
		c := w.serve("a", time.Second)
		if c.took > w.parkTime+w.wakeTime || c.lease.Start != fleet.Parked {
			t.Errorf("waited %s from %s, want the rest of the park and a resume", c.took, c.lease.Start)
		}
		w.wantLaunches("a", 1)
	}, parking())
}

func TestParking_TheCheapestToLoseGoesWhenAGPUIsFull(t *testing.T) {
	models := []*fleet.Model{model("a", 8, hour), model("b", 8, hour), model("c", 8, hour), model("d", 8, hour)}
	inWorld(t, models, func(w *world) {
		for _, id := range []string{"a", "b", "c"} {
			w.serve(id, time.Second)
		}
		w.wantState("a", "parked")
		w.wantState("b", "parked")
		w.serve("d", time.Second) // c must go, and two are parked already
		w.wantState("a", "parked")
		w.wantState("b", "cold")
		w.wantState("c", "parked")
		w.serve("a", time.Second) // a swap needs no third bed
		w.wantState("c", "parked")
		w.wantState("d", "parked")
		w.serve("b", time.Second) // a is worth more than c and d
		w.wantState("a", "parked")
	}, parking(func(q *fleet.Pool, k keeper) {
		q.MaxParkedPerGPU = 2
		k.worth["a"], k.worth["b"], k.worth["c"], k.worth["d"] = 9, 1, 5, 3
	}))
}

func TestParking_HostMemoryIsKept(t *testing.T) {
	memory := func(n fleet.Bytes) func(*fleet.Model) {
		return func(m *fleet.Model) { m.ParkedMemory, m.IdleAfter = n, time.Hour }
	}
	inWorld(t, []*fleet.Model{model("a", 8, memory(6)), model("b", 8, memory(6)), model("c", 8, memory(11))}, func(w *world) {
		w.serve("a", time.Second)
		w.serve("b", time.Second)
		w.wantState("a", "parked")
		w.serve("c", time.Second) // both do not fit
		w.wantState("a", "cold")
		w.wantState("b", "parked")
		w.serve("b", time.Second) // c never fits: it is stopped
		w.wantState("c", "cold")
	}, parking(func(q *fleet.Pool, k keeper) { q.HostMemory = 10 }))
}

func TestParking_ALongStreamIsNotCut(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8, hour), model("b", 8, hour)}, func(w *world) {
		s := w.ask(activator.Ask{Model: "a"})
		w.wait(s)
		time.Sleep(2 * time.Minute)
		c := w.ask(activator.Ask{Model: "b"})
		time.Sleep(5 * time.Minute)
		if c.ready {
			t.Fatalf("b was answered while the stream ran: %v", c.err)
		}
		if r := w.a.Snapshot().Pools[0].Slots[0].Reserved; len(r) != 1 || r[0].Model != "b" || r[0].GPU != 0 || r[0].GPUs != 8 {
			t.Errorf("reserved is %+v, want all GPUs for b", r)
		}
		s.release(activator.Succeeded)
		w.wait(c)
		c.release(activator.Succeeded)
		w.wantState("a", "parked")
		if again := w.serve("a", time.Second); again.took != w.parkTime+w.wakeTime {
			t.Errorf("waited %s, want one park and one resume", again.took)
		}
	}, parking())
}

func TestParking_FailedResumes(t *testing.T) {
	rows := []struct {
		how      string
		launches int
		states   map[string]string // of the others afterwards
	}{
		{"lost", 2, map[string]string{"b": "parked", "c": "parked"}},
		{"short", 1, map[string]string{"b": "cold", "c": "parked"}}, // the cheapest beside it made room
		{"short and dead", 2, map[string]string{"b": "cold", "c": "parked"}},
	}
	for _, r := range rows {
		inWorld(t, []*fleet.Model{model("a", 8), model("b", 8), model("c", 8)}, func(w *world) {
			for _, id := range []string{"a", "b", "c"} {
				w.serve(id, time.Second)
				time.Sleep(time.Minute)
			}
			w.failWake["a"] = r.how
			c := w.serve("a", time.Second)
			if c.took > w.startTime+2*w.wakeTime+10*time.Second {
				t.Errorf("%s: waited %s", r.how, c.took)
			}
			w.wantLaunches("a", r.launches)
			for id, want := range r.states {
				w.wantState(id, want)
			}
		}, parking(func(_ *fleet.Pool, k keeper) { k.worth["b"], k.worth["c"] = 1, 2 }))
	}
}

func TestParking_StartThatDiesForMemoryGetsIt(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8), model("b", 8), model("c", 8)}, func(w *world) {
		for _, id := range []string{"a", "b"} {
			w.serve(id, time.Second)
			time.Sleep(time.Minute)
		}
		w.failNext["c"] = 1
		if c := w.serve("c", time.Second); c.err != nil {
			t.Error(c.err)
		}
		w.wantState("a", "parked")
		w.wantState("b", "cold")
	}, parking(func(_ *fleet.Pool, k keeper) { k.worth["a"], k.worth["b"] = 2, 1 }))
}

func TestParking_RestartDuringAResumeThatFails(t *testing.T) {
	models := []*fleet.Model{model("a", 8)}
	inWorld(t, models, func(w *world) {
		w.serve("a", time.Second)
		time.Sleep(time.Minute)
		w.wantState("a", "parked")
		w.failWake["a"] = "short"
		w.ask(activator.Ask{Model: "a"})
		time.Sleep(w.wakeTime / 2)
		w.stop()
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		cfg := activator.Config{Models: models, Seed: 1, Term: 1 << 50}
		parking()(&cfg)
		w.run(cfg)
		if c := w.serve("a", time.Second); c.err != nil || c.took > w.startTime {
			t.Errorf("waited %s, %v, want a second resume", c.took, c.err)
		}
		w.wantLaunches("a", 1)
	}, parking())
}

// TestParking_FailuresAreForgottenAfterAGoodStart has one start and, much later, one resume fail of a model that is never hot for long.
func TestParking_FailuresAreForgottenAfterAGoodStart(t *testing.T) {
	brief := func(m *fleet.Model) { m.IdleAfter = 5 * time.Second }
	inWorld(t, []*fleet.Model{model("a", 8, brief)}, func(w *world) {
		w.failNext["a"] = 1
		w.serve("a", time.Second)
		time.Sleep(time.Hour)
		w.wantState("a", "parked")
		w.failWake["a"] = "lost"
		w.serve("a", time.Second)
	}, parking())
}

// listener is a policy that keeps what it is told that moves took.
type listener struct {
	activator.Policy
	took *[]time.Duration
}

func (l listener) Observe(e fleet.Event) {
	if e.Kind == fleet.EventReady || e.Kind == fleet.EventParked {
		*l.took = append(*l.took, e.Took)
	}
	l.Policy.Observe(e)
}

func TestParking_RestartLearnsNothingFromMovesThatItFindsUnderWay(t *testing.T) {
	a, b := model("a", 4, hour), model("b", 4)
	inWorld(t, []*fleet.Model{a, b}, func(w *world) {
		w.serve("b", time.Second)
		time.Sleep(b.IdleAfter - 5*time.Second)
		w.ask(activator.Ask{Model: "a"})
		time.Sleep(5 * time.Second) // a starts, and b is being parked
		w.stop()
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		var took []time.Duration
		cfg := activator.Config{Models: []*fleet.Model{a, b}, Seed: 1, Term: 1 << 50}
		parking()(&cfg)
		cfg.Policy = listener{cfg.Policy, &took}
		w.run(cfg)
		time.Sleep(w.startTime)
		synctest.Wait()
		if want := []time.Duration{0, 0}; !slices.Equal(took, want) {
			t.Errorf("got %v, want %v: not known", took, want)
		}
	}, parking())
}

func TestParking_RestartAdoptsParkedOnes(t *testing.T) {
	models := []*fleet.Model{model("a", 8), model("b", 8)}
	inWorld(t, models, func(w *world) {
		w.serve("a", time.Second)
		w.serve("b", time.Second)
		w.wantState("a", "parked")
		w.stop()
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		cfg := activator.Config{Models: models, Seed: 1, Term: 1 << 50}
		parking()(&cfg)
		w.run(cfg)
		time.Sleep(time.Second)
		w.wantState("a", "parked")
		if c := w.serve("a", time.Second); c.took > time.Minute || c.lease.Start != fleet.Parked {
			t.Errorf("waited %s from %s, want a resume", c.took, c.lease.Start)
		}
		w.wantLaunches("a", 1)
	}, parking())
}

func TestParking_OperatorStopsParkedOnes(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8)}, func(w *world) {
		w.serve("a", time.Second)
		time.Sleep(time.Minute)
		w.wantState("a", "parked")
		if err := w.a.StopModel("a"); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * w.stopTime)
		w.wantState("a", "cold")
	}, parking())
}

func TestParking_EveryMoveIsTold(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4)}, func(w *world) {
		w.serve("a", time.Second)
		time.Sleep(time.Minute)
		w.serve("a", time.Second)
		type move struct {
			from, to fleet.State
			cost     float64       // GPU-seconds
			waited   time.Duration // by requests
		}
		want := []move{
			{"", fleet.Starting, 240, time.Minute},
			{fleet.Starting, fleet.Ready, 80, 20 * time.Second},
			{fleet.Ready, fleet.Draining, 0, 0},
			{fleet.Draining, fleet.Parking, 32, 0},
			{fleet.Parking, fleet.Asleep, 8, 0},
			{fleet.Asleep, fleet.Resuming, 16, 4 * time.Second},
			{fleet.Resuming, fleet.Ready, 12, 3 * time.Second},
		}
		var got []move
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		err := w.a.Follow(ctx, 0, func(n fleet.Notice) error {
			if n.Reason == "" {
				t.Errorf("%s to %s for no reason", n.From, n.To)
			}
			if n.From != n.To {
				got = append(got, move{n.From, n.To, n.GPUSeconds, n.Waited})
			}
			if len(got) == len(want) {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for k, want := range []fleet.Activation{ // newest first
			{From: fleet.Parked, GPUSeconds: 12, Waited: 3 * time.Second}, {From: fleet.Cold, GPUSeconds: 80, Waited: 20 * time.Second},
		} {
			if got := w.a.Snapshot().Activations[k]; got.From != want.From || got.GPUSeconds != want.GPUSeconds || got.Waited != want.Waited {
				t.Errorf("activation %d: got %+v, want it from %s to cost %v and %v", got.ID, got, want.From, want.GPUSeconds, want.Waited)
			}
		}
	}, parking())
}

func TestParking_RefusedActs(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8, hour), model("b", 8, hour)}, func(w *world) {
		w.serve("a", time.Second)
		w.refuseAct[fleet.ActPark] = 1
		if c := w.serve("b", time.Second); c.err != nil || c.took != w.stopTime+w.startTime {
			t.Errorf("waited %s, %v, want a stop where the park was refused", c.took, c.err)
		}
		w.wantState("a", "cold")
		w.serve("a", time.Second)
		w.wantState("b", "parked")
		w.refuseAct[fleet.ActResume] = 2
		if c := w.serve("b", time.Second); c.err != nil || c.took > w.parkTime+w.wakeTime+4*time.Second || c.lease.Start != fleet.Parked {
			t.Errorf("waited %s from %s, want a resume at the third try", c.took, c.lease.Start)
		}
		w.refuseAct[fleet.ActResume] = 3
		if c := w.serve("a", time.Second); c.err != nil || c.lease.Start != fleet.Cold {
			t.Errorf("got %v, want a start where the resume was refused for good", c.err)
		}
	}, parking())
}

func TestParking_SnapshotShowsWhoSleepsWhere(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 4, hour), model("b", 8, hour)}, func(w *world) {
		w.serve("a", time.Second)
		a := w.engineOf("a").ID
		w.serve("b", time.Second)
		s := w.a.Snapshot()
		slot := s.Pools[0].Slots[0]
		if !slices.Equal(slot.Sleepers, []string{a}) || slot.Occupants[0] != w.engineOf("b").ID {
			t.Errorf("got %v parked and %v awake", slot.Sleepers, slot.Occupants)
		}
		if m := s.Models[0]; m.State != "parked" || m.Parked != 1 || m.Hot != 0 {
			t.Errorf("got a %s, %d parked, %d hot", m.State, m.Parked, m.Hot)
		}
		e, err := w.a.Explain("a")
		if err != nil || len(e.Actions) != 0 {
			t.Errorf("explaining a: %q, %v", e.Actions, err)
		}
		if err := w.a.Hold("a", time.Hour); err != nil {
			t.Error(err)
		}
		if e, _ := w.a.Explain("a"); len(e.Actions) != 1 || !strings.HasSuffix(e.Actions[0], "then resume "+a) {
			t.Errorf("explaining a, held: %q, want a resume", e.Actions)
		}
	}, parking())
}

// TestParking_AllSizesGetTheirTurn: who waits has its turn after all that waited before it. Those that are parked on the same GPUs go one after another, so
// there may be some, of a residence (a minute) and a swap each: three and more come about once in 500 runs.
func TestParking_AllSizesGetTheirTurn(t *testing.T) {
	const most = 6 * time.Minute
	models := []*fleet.Model{model("large", 8, hour)}
	for i, gpus := range []int{1, 1, 1, 1, 2, 2, 2, 4, 4} {
		models = append(models, model(fmt.Sprint("m", i), gpus, hour, func(m *fleet.Model) { m.Queue.MaxWait = time.Hour }))
	}
	inWorld(t, models, func(w *world) {
		over := make(chan struct{})
		var users sync.WaitGroup
		longest := make([]time.Duration, 9)
		for i := range longest {
			users.Go(func() { // somebody always uses each of the small ones
				for {
					select {
					case <-over:
						return
					default:
					}
					c := w.ask(activator.Ask{Model: fmt.Sprint("m", i)})
					<-c.done
					longest[i] = max(longest[i], c.took)
					time.Sleep(7 * time.Second)
					if c.err == nil {
						c.release(activator.Succeeded)
					}
				}
			})
		}
		time.Sleep(10 * time.Minute)
		for range 3 {
			if c := w.serve("large", time.Second); c.took > most {
				t.Errorf("the large model waited %s, want %s at most", c.took, most)
			}
			time.Sleep(3 * time.Minute)
		}
		close(over)
		users.Wait()
		for i, took := range longest {
			if took > most {
				t.Errorf("m%d waited %s, want %s at most", i, took, most)
			}
		}
	}, parking())
}
