package activator

import (
	"context"
	"fmt"
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
