package plan

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
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

// BenchmarkExchange_IdleBusyIdle takes both reports of a request on an idle fleet of 40 models through a planner.
func BenchmarkExchange_IdleBusyIdle(b *testing.B) {
	models := benchModels(40)
	p := New(Config{Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: models, Term: 1, Epoch: time.Unix(0, 0)})
	d := dispatch.New(dispatch.Config{ID: "self", Incarnation: 1, Models: models})
	r := &protocol.Report{}
	now := time.Duration(1)
	exchange := func() {
		d.Report(now, r)
		if p.Hear(now, r) {
			d.Heard(r.Seq)
		}
		p.Step(now)
		for _, t := range p.tables {
			d.Receive(now, t)
		}
		p.tables = p.tables[:0]
		p.Next(now)
	}
	o := &fleet.Observation{Source: "local", Complete: true}
	for k := range 5 {
		o.Slots = append(o.Slots, fleet.Slot{ID: fmt.Sprint("s", k), Pool: "local", GPUs: 8})
	}
	p.Observe(now, o)
	exchange()
	for _, m := range models {
		if err := p.Hold(now, m.ID, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	exchange()
	o.Complete = false
	for _, act := range p.TakeActs() {
		p.Accepted(now, &act, nil)
		o.Instances = append(o.Instances, fleet.Sighting{Phase: fleet.PhaseReady, Instance: fleet.Instance{ID: act.Instance, Model: act.Model, Slot: act.Slot}})
	}
	p.Observe(now, o)
	exchange()
	exchange()
	ask, l := &dispatch.Ask{Model: "org/model-7", Org: "acme"}, &dispatch.Lease{}
	b.ReportAllocs()
	for range b.N {
		now += time.Millisecond
		if !d.Acquire(now, ask, l) {
			b.Fatal("not granted")
		}
		exchange()
		now += time.Millisecond
		d.Release(now, l)
		exchange()
	}
}
