package whatif_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

// machine is a back end with one slot of eight GPUs, whose engines are timers, and a meter of what their GPUs are held for.
type machine struct {
	begins map[fleet.Tier]time.Duration // what a start takes, a resume, and, from hot, a park
	stop   time.Duration

	speaking sync.Mutex // held while the planner is told, so that nothing older comes behind
	mu       sync.Mutex // guards what follows
	tell     func(fleet.Observation)
	engines  map[string]*fleet.Sighting
	since    map[string]time.Time // awake since
	held     time.Duration        // GPU time
	news     []fleet.Observation  // to be told, in order
	seq      uint64
	starts   int
	resumes  int
}

func (m *machine) Fence(context.Context, uint64) error { return nil }

func (m *machine) slot() []fleet.Slot {
	return []fleet.Slot{{ID: "local-0", Pool: fleet.LocalPool, Node: "local", GPUs: 8, Host: 1 << 40}}
}

// Watch tells what is there, and then whatever changes.
func (m *machine) Watch(ctx context.Context, f func(fleet.Observation)) error {
	m.mu.Lock()
	m.tell = f
	m.mu.Unlock()
	f(fleet.Observation{Source: "local", At: time.Now(), Complete: true, Slots: m.slot()})
	<-ctx.Done()
	return context.Cause(ctx)
}

// Do begins a move, which ends by itself.
func (m *machine) Do(_ context.Context, act fleet.Act) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.engines[act.Instance]
	switch {
	case act.Kind == fleet.ActLaunch:
		m.starts++
		e = &fleet.Sighting{Instance: fleet.Instance{ID: act.Instance, Model: act.Model, Slot: act.Slot, GPU: act.GPU, GPUs: act.GPUs, Addr: "addr"}, Running: -1, Parks: true}
		m.engines[act.Instance] = e
		m.wake(e)
		m.move(e, act.Seq, fleet.Starting, fleet.Ready, m.begins[fleet.Cold])
	case e == nil:
		return errors.New("there is no such engine")
	case act.Kind == fleet.ActResume:
		m.resumes++
		m.wake(e)
		m.move(e, act.Seq, fleet.Resuming, fleet.Ready, m.begins[fleet.Parked])
	case act.Kind == fleet.ActPark:
		m.move(e, act.Seq, fleet.Parking, fleet.Asleep, m.begins[fleet.Hot])
	case act.Kind == fleet.ActStop:
		m.move(e, act.Seq, fleet.Stopping, "", m.stop)
	default:
		return fmt.Errorf("%s is not for this machine", act.Kind)
	}
	return nil
}

// move has an engine be in one state for a time, and then in another; "" = gone. The caller holds mu.
func (m *machine) move(e *fleet.Sighting, act uint64, by, to fleet.State, takes time.Duration) {
	e.State, e.Act = by, act
	m.report(*e)
	time.AfterFunc(takes, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if e.State != by || e.Act != act {
			return
		}
		e.State, e.Gone = to, to == ""
		if to == fleet.Ready {
			e.Phase = fleet.PhaseReady
		} else {
			m.sleep(e)
		}
		m.report(*e)
	})
}

func (m *machine) wake(e *fleet.Sighting) { m.since[e.ID] = time.Now() }

func (m *machine) sleep(e *fleet.Sighting) {
	if since, awake := m.since[e.ID]; awake {
		m.held += time.Duration(e.GPUs) * time.Since(since)
		delete(m.since, e.ID)
	}
}

// report tells the planner of one engine, outside of whatever is locked, and in order.
func (m *machine) report(e fleet.Sighting) {
	m.seq++
	m.news = append(m.news, fleet.Observation{Source: "local", Seq: m.seq, At: time.Now(), Slots: m.slot(), Instances: []fleet.Sighting{e}})
	time.AfterFunc(0, func() {
		m.speaking.Lock()
		defer m.speaking.Unlock()
		m.mu.Lock()
		o, f := m.news[0], m.tell
		m.news = m.news[1:]
		m.mu.Unlock()
		f(o)
	})
}

// heldNow gives the GPU time that was held until now.
func (m *machine) heldNow() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.engines {
		if _, awake := m.since[e.ID]; awake {
			m.sleep(e)
			m.wake(e)
		}
	}
	return m.held
}

// recorder keeps what a ledger would.
type recorder struct {
	mu       sync.Mutex // guards arrivals
	arrivals []ledger.Arrival
}

func (r *recorder) Arrivals(_ context.Context, _, _ time.Time, f func(ledger.Arrival)) error {
	for _, a := range r.arrivals {
		f(a)
	}
	return nil
}

// live has a real activator serve an hour of requests to models that do not fit at once, and gives what was recorded.
func live(t *testing.T, m *machine, models []*fleet.Model, pool fleet.Pool, policy activator.Policy, seed uint64) (r *recorder, waited []time.Duration, until time.Time) {
	t.Helper()
	a, err := activator.New(activator.Config{Backend: m, Observers: []activator.Observer{m}, Models: models, Pools: []fleet.Pool{pool}, Policy: policy, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running, asking sync.WaitGroup
	running.Go(func() { _ = a.Run(ctx) })
	synctest.Wait()
	r = &recorder{}
	rng := rand.New(rand.NewPCG(seed, 1))
	for began := time.Now(); time.Since(began) < time.Hour; {
		model, takes := models[rng.IntN(len(models))].ID, time.Duration(rng.IntN(4000)+200)*time.Millisecond
		asking.Go(func() {
			at := time.Now()
			l, w, err := a.Acquire(activator.Ask{Model: model, Org: "acme"})
			if w != nil {
				<-w.Ready()
				l, err = w.Answer()
			}
			if err != nil {
				t.Errorf("asking for %s: %v", model, err)
				return
			}
			wait := time.Since(at)
			time.Sleep(takes)
			l.Release(activator.Succeeded)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.arrivals = append(r.arrivals, ledger.Arrival{Model: []byte(model), At: at, Waited: wait, Took: takes})
			waited = append(waited, wait)
		})
		time.Sleep(time.Duration(rng.ExpFloat64() * float64(40*time.Second)))
	}
	asking.Wait()
	until = time.Now()
	stop()
	running.Wait()
	return r, waited, until
}

// TestAgreement has the simulation of what was recorded of a real activator's hour come to what was really held and waited: within 2 per cent, and as many
// cold starts and resumes but for one.
func TestAgreement_WithWhatARealActivatorHeld(t *testing.T) {
	models := []*fleet.Model{
		{ID: "large", GPUs: 8, MaxConcurrency: 4, IdleAfter: 30 * time.Second, Instances: fleet.Range{Max: 1}, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM}},
		{ID: "middle", GPUs: 4, MaxConcurrency: 4, IdleAfter: 30 * time.Second, Instances: fleet.Range{Max: 2}, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM}},
		{ID: "small", GPUs: 1, MaxConcurrency: 4, IdleAfter: 30 * time.Second, Instances: fleet.Range{Max: 4}, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM}},
	}
	for _, m := range models {
		m.Pool, m.ParkedMemory = fleet.LocalPool, 1<<30
		m.Queue, m.Timeouts = fleet.QueueLimits{Limit: 2048, PerOrg: 1024, MaxWait: time.Hour}, fleet.Timeouts{Start: time.Hour}
	}
	policies := map[string]func() activator.Policy{
		"fixed":    func() activator.Policy { return autoscaler.NewFixed(autoscaler.FixedConfig{Park: true}) },
		"adaptive": func() activator.Policy { return autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{LatencyWeight: 10}) },
	}
	for name, policy := range policies {
		for _, parked := range []int{0, 4} {
			t.Run(fmt.Sprintf("%s, %d parked", name, parked), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pool := fleet.Pool{Name: fleet.LocalPool, GPUsPerSlot: 8, MaxParkedPerGPU: parked, ParkedGPUMemory: 1 << 30}
					m := &machine{
						begins: map[fleet.Tier]time.Duration{fleet.Cold: 45 * time.Second, fleet.Parked: 2 * time.Second, fleet.Hot: time.Second}, stop: 2 * time.Second,
						engines: map[string]*fleet.Sighting{}, since: map[string]time.Time{},
					}
					r, waited, until := live(t, m, models, pool, policy(), 7)
					held := m.heldNow()
					var moves []fleet.Learned
					for _, model := range models {
						for from, takes := range m.begins {
							moves = append(moves, fleet.Learned{Model: model.ID, From: from, Durations: []time.Duration{takes}})
						}
					}
					s := newSimulator(t, r, func(c *whatif.Config) {
						c.Now = func() time.Time { return until }
						c.Moves = func(context.Context) ([]fleet.Learned, error) { return moves, nil }
					})
					same := whatif.Setting{Pool: pool, GPUs: 8, Always: true, Models: models, Policy: policy}
					a := ask(t, s, &whatif.Question{Now: same, Then: same})
					if a.Now != a.Then {
						t.Errorf("two simulations of the same differ:\n%+v\n%+v", a.Now, a.Then)
					}
					if off := float64(a.Now.AwakeGPUUS)/float64(held.Microseconds()) - 1; math.Abs(off) > 0.02 {
						t.Errorf("simulated %.1f GPU-minutes, really held were %.1f: off by %.1f %%", float64(a.Now.AwakeGPUUS)/60e6, held.Minutes(), 100*off)
					}
					if d := a.Now.ColdStarts - m.starts; d > 1 || d < -1 {
						t.Errorf("simulated %d cold starts, really there were %d", a.Now.ColdStarts, m.starts)
					}
					if d := a.Now.Resumes - m.resumes; d > 1 || d < -1 {
						t.Errorf("simulated %d resumes, really there were %d", a.Now.Resumes, m.resumes)
					}
					if off := a.Now.WaitP99 - a.WaitedP99; math.Abs(float64(off)) > 0.02*float64(a.WaitedP99) {
						t.Errorf("simulated a p99 of %d us, really it was %d", a.Now.WaitP99, a.WaitedP99)
					}
					t.Logf("%d requests; GPU-minutes simulated %.1f, held %.1f; p99 %.1f s and %.1f s; %d and %d starts, %d and %d resumes", len(waited),
						float64(a.Now.AwakeGPUUS)/60e6, held.Minutes(), float64(a.Now.WaitP99)/1e6, float64(a.WaitedP99)/1e6, a.Now.ColdStarts, m.starts, a.Now.Resumes, m.resumes)
				})
			})
		}
	}
}
