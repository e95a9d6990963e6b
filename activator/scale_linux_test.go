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

const (
	crowdCopies  = 10 // instances of a model, of one GPU each
	crowdWaiting = 30 // models that wait for room
	sightedEvery = time.Millisecond
)

// crowded is an activator with so many hot instances, all busy, in slots of eight GPUs, and models that wait for room. It runs until the benchmark ends.
func crowded(b *testing.B, count int) (*Activator, []fleet.Observation) {
	var models []*fleet.Model
	for k := range count/crowdCopies + crowdWaiting {
		m := &fleet.Model{ID: fmt.Sprintf("org/model-%d", k), GPUs: 1, MaxConcurrency: 64, IdleAfter: time.Hour, Instances: fleet.Range{Max: crowdCopies}}
		if k >= count/crowdCopies {
			m.GPUs = 8
		}
		models = append(models, m)
	}
	a, err := New(Config{Backend: nowhere{}, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: models})
	if err != nil {
		b.Fatal(err)
	}
	list := fleet.Observation{Source: "local", Complete: true}
	var sightings []fleet.Observation
	for k := range count {
		slot := fmt.Sprint("s", k/8)
		if k%8 == 0 {
			list.Slots = append(list.Slots, fleet.Slot{ID: slot, Pool: fleet.LocalPool, GPUs: 8})
		}
		s := fleet.Sighting{Phase: fleet.PhaseReady, Running: 1, Instance: fleet.Instance{
			ID: fmt.Sprint("before-", k), Model: models[k/crowdCopies].ID, Slot: slot, GPU: k % 8, GPUs: 1, Addr: "10.0.0.1:8000", State: fleet.Ready,
		}}
		list.Instances = append(list.Instances, s)
		sightings = append(sightings, fleet.Observation{Source: "local", Instances: []fleet.Sighting{s}})
	}
	tell(a, list)
	for k := range count {
		if l, _, err := a.Acquire(Ask{Model: models[k/crowdCopies].ID, Org: "acme"}); err != nil || l == nil {
			b.Fatal("not granted", err)
		}
	}
	tell(a, list)
	for _, m := range models[count/crowdCopies:] {
		if _, w, err := a.Acquire(Ask{Model: m.ID, Org: "acme"}); err != nil || w == nil {
			b.Fatal("does not wait", err)
		}
	}
	ctx, stop := context.WithCancel(b.Context())
	var g sync.WaitGroup
	g.Go(func() { a.Run(ctx) })
	b.Cleanup(func() {
		stop()
		g.Wait()
	})
	return a, sightings
}

// BenchmarkScale_Acquire is what a request for a hot model waits for its lease, and for giving it back, while models wait for room and a sighting comes each
// millisecond, by the number of instances.
func BenchmarkScale_Acquire(b *testing.B) {
	for _, count := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			a, sightings := crowded(b, count)
			ctx, stop := context.WithCancel(b.Context())
			var g sync.WaitGroup
			g.Go(func() {
				beat := time.NewTicker(sightedEvery)
				defer beat.Stop()
				for k := 0; ctx.Err() == nil; k++ {
					<-beat.C
					tell(a, sightings[k%len(sightings)])
				}
			})
			var acquired, released []time.Duration
			for k := 0; b.Loop(); k++ {
				began := time.Now()
				l, _, err := a.Acquire(Ask{Model: fmt.Sprintf("org/model-%d", k%(count/crowdCopies)), Org: "acme"})
				acquired = append(acquired, time.Since(began))
				if err != nil || l == nil {
					b.Fatal("not granted", err)
				}
				began = time.Now()
				l.Release(Succeeded)
				released = append(released, time.Since(began))
				time.Sleep(50 * time.Microsecond)
			}
			stop()
			g.Wait()
			for kind, sample := range map[string][]time.Duration{"": acquired, "release-": released} {
				slices.Sort(sample)
				for name, q := range map[string]float64{"p50-": 0.5, "p99-": 0.99} {
					b.ReportMetric(float64(sample[int(q*float64(len(sample)-1))].Nanoseconds())/1e3, name+kind+"us")
				}
			}
		})
	}
}
