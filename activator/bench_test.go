package activator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func benchModels(n int) []*fleet.Model {
	var ms []*fleet.Model
	for i := range n {
		ms = append(ms, &fleet.Model{
			ID: fmt.Sprintf("org/model-%d", i), GPUs: 1, MaxConcurrency: 64, IdleAfter: time.Hour, Instances: fleet.Range{Max: 4},
		})
	}
	return ms
}

func BenchmarkActivator_HotAcquireRelease(b *testing.B) {
	models := benchModels(40)
	a := hotActivator(b, autoscaler.NewFixed(autoscaler.FixedConfig{}), models)
	b.ReportAllocs()
	for range b.N {
		l, _, err := a.Acquire(Ask{Model: models[0].ID, Org: "acme"})
		if err != nil || l == nil {
			b.Fatal("not granted", err)
		}
		l.Release(Succeeded)
	}
}

// nowhere is a back end that accepts everything and does nothing.
type nowhere struct{}

func (nowhere) Do(context.Context, fleet.Act) error { return nil }

func (nowhere) Fence(context.Context, uint64) error { return nil }

// BenchmarkActivator_HotAcquireWhileDeciding acquires and releases while the planner of 500 models never rests, and gives the time that the slowest of
// a hundred took.
func BenchmarkActivator_HotAcquireWhileDeciding(b *testing.B) {
	models := benchModels(500)
	a, err := New(Config{Backend: nowhere{}, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: models})
	if err != nil {
		b.Fatal(err)
	}
	o := fleet.Observation{Source: "local", Complete: true}
	for k := range 64 {
		o.Slots = append(o.Slots, fleet.Slot{ID: fmt.Sprint("s", k), Pool: "local", GPUs: 8})
	}
	tell(a, o)
	for _, m := range models {
		if err := a.Hold(m.ID, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	for _, i := range a.Snapshot().Instances {
		i.Addr = "addr"
		s := fleet.Sighting{Phase: fleet.PhaseReady, Instance: i.Instance, Running: -1}
		o.Instances = append(o.Instances, s)
	}
	tell(a, o)
	ctx, stop := context.WithCancel(b.Context())
	var g sync.WaitGroup
	g.Go(func() {
		for ctx.Err() == nil {
			tell(a, o)
		}
	})
	took := make([]time.Duration, 0, b.N)
	for k := range b.N {
		began := time.Now()
		l, _, err := a.Acquire(Ask{Model: models[k%len(models)].ID, Org: "acme"})
		if err != nil || l == nil {
			b.Fatal("not granted", err)
		}
		l.Release(Succeeded)
		took = append(took, time.Since(began))
	}
	stop()
	g.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), "max-ns")
}
