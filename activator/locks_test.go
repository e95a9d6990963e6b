package activator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// slowPolicy is a policy that takes its time to decide while gate is not nil.
type slowPolicy struct {
	Policy
	gate atomic.Pointer[gate]
}

type gate struct {
	once    sync.Once
	entered chan struct{} // closed when a decision is under way
	open    chan struct{}
}

func (p *slowPolicy) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	if g := p.gate.Load(); g != nil {
		g.once.Do(func() { close(g.entered) })
		<-g.open
	}
	return p.Policy.Decide(now, v)
}

// tell lets the activator observe something.
func tell(a *Activator, o fleet.Observation) {
	a.planning.Lock()
	a.see(&o)
}

// hotActivator has one ready instance of the first model, and no Run.
func hotActivator(t testing.TB, policy Policy, models []*fleet.Model) *Activator {
	t.Helper()
	a, err := New(Config{Backend: nowhere{}, Policy: policy, Models: models})
	if err != nil {
		t.Fatal(err)
	}
	tell(a, fleet.Observation{Source: "local", Complete: true, Slots: []fleet.Slot{{ID: "s", Pool: "local", GPUs: 8}}})
	if err := a.Hold(models[0].ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, i := range a.Snapshot().Instances {
		i.Addr = "addr"
		s := fleet.Sighting{Phase: fleet.PhaseReady, Instance: i.Instance, Running: -1}
		tell(a, fleet.Observation{Source: "local", Instances: []fleet.Sighting{s}})
	}
	return a
}

func TestLocks_HotRequestDoesNotWaitForADecision(t *testing.T) {
	policy := &slowPolicy{Policy: autoscaler.NewFixed(autoscaler.FixedConfig{})}
	models := benchModels(2)
	a := hotActivator(t, policy, models)
	g := &gate{entered: make(chan struct{}), open: make(chan struct{})}
	policy.gate.Store(g)
	decided := make(chan struct{})
	go func() {
		defer close(decided)
		if err := a.Hold(models[1].ID, time.Hour); err != nil {
			t.Error(err)
		}
	}()
	<-g.entered
	served := make(chan struct{})
	go func() {
		defer close(served)
		l, _, err := a.Acquire(Ask{Model: models[0].ID})
		if err != nil || l == nil {
			t.Errorf("got %v, %v, want a lease", l, err)
			return
		}
		l.Release(Succeeded)
		_, w, err := a.Acquire(Ask{Model: models[1].ID})
		if err != nil || w == nil {
			t.Errorf("got %v, %v, want a place in the queue", w, err)
			return
		}
		w.Outlook()
		w.Leave()
	}()
	select {
	case <-served:
	case <-time.After(10 * time.Second):
		t.Error("a hot request waits for a decision")
	}
	close(g.open)
	<-served
	<-decided
}

// TestLocks_ManyAtOnce is for the race detector.
func TestLocks_ManyAtOnce(t *testing.T) {
	models := benchModels(4)
	a := hotActivator(t, autoscaler.NewFixed(autoscaler.FixedConfig{}), models)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	var g sync.WaitGroup
	for k := range 8 {
		g.Go(func() {
			for n := range 200 {
				l, w, err := a.Acquire(Ask{Model: models[(k+n)%4].ID, Org: fmt.Sprint(k)})
				switch {
				case err != nil:
					t.Errorf("got %v, want a lease or a place", err)
				case l != nil:
					l.Release(Outcome(n % 3))
				default:
					w.Outlook()
					w.Leave()
				}
			}
		})
	}
	g.Go(func() {
		for range 100 {
			a.Snapshot()
			tell(a, fleet.Observation{Source: "local"})
			if _, err := a.Explain(models[1].ID); err != nil {
				t.Error(err)
			}
			a.ModelState(models[0].ID)
			readLevels(a)
		}
	})
	g.Wait()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLocks_WaitersAreAnsweredWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models := benchModels(2)
		a := hotActivator(t, autoscaler.NewFixed(autoscaler.FixedConfig{}), models)
		_, w, err := a.Acquire(Ask{Model: models[1].ID})
		if err != nil {
			t.Fatal(err)
		}
		a.Drain()
		<-w.Ready()
		if _, err := w.Answer(); !errors.Is(err, ErrShuttingDown) {
			t.Errorf("got %v, want shutting down", err)
		}
		if _, _, err := a.Acquire(Ask{Model: models[1].ID}); !errors.Is(err, ErrShuttingDown) {
			t.Errorf("got %v, want shutting down", err)
		}
	})
}

// gatedBackend lets nothing finish until its gate opens or the call ends, and counts.
type gatedBackend struct {
	open  chan struct{}
	now   atomic.Int32
	most  atomic.Int32
	calls sync.Map // instance ID -> calls
	total atomic.Int32
}

func (b *gatedBackend) Fence(context.Context, uint64) error { return nil }

func (b *gatedBackend) Do(ctx context.Context, act fleet.Act) error {
	n := b.now.Add(1)
	defer b.now.Add(-1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	b.total.Add(1)
	if _, twice := b.calls.LoadOrStore(act.Instance, true); twice {
		return errors.New("twice")
	}
	select {
	case <-b.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// orderMany runs an activator whose planner orders 100 launches at once.
func orderMany(t *testing.T, test func(b *gatedBackend, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		models := benchModels(n)
		b := &gatedBackend{open: make(chan struct{})}
		a, err := New(Config{Backend: b, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: models})
		if err != nil {
			t.Fatal(err)
		}
		tell(a, fleet.Observation{Source: "local", Complete: true, Slots: []fleet.Slot{{ID: "s", Pool: "local", GPUs: 128}}})
		for _, m := range models {
			if err := a.Hold(m.ID, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		synctest.Wait()
		if got := b.now.Load(); got != actsAtOnce {
			t.Errorf("got %d acts at once, want %d", got, actsAtOnce)
		}
		test(b, cancel)
		if got := b.total.Load(); got != n {
			t.Errorf("got %d acts in all, want %d", got, n)
		}
		if got := b.most.Load(); got != actsAtOnce {
			t.Errorf("got %d acts at once at the most, want %d", got, actsAtOnce)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestActs_WaitForAWorker(t *testing.T) {
	orderMany(t, func(b *gatedBackend, _ func()) {
		close(b.open)
		synctest.Wait()
	})
}

func TestActs_NoneIsLostAtShutdown(t *testing.T) {
	orderMany(t, func(_ *gatedBackend, stop func()) {
		stop()
		synctest.Wait()
	})
}
