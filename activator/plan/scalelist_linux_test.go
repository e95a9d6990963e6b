package plan

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// listed is a planner with so many engines on jobs of their own, or so many slots, eight to a machine, and what Nomad says of them.
func listed(count int, slots bool) (*crowd, *fleet.Observation) {
	c := &crowd{leases: make(map[string][]*dispatch.Lease), apart: eventsApart}
	for k := range count / copiesEach {
		m := &fleet.Model{ID: fmt.Sprintf("org/model-%d", k), GPUs: 1, MaxConcurrency: leasesEach, IdleAfter: time.Hour, Instances: fleet.Range{Min: copiesEach, Max: copiesEach}}
		if slots {
			m.Pool, m.Instances.Min = "pool", 0
		}
		c.models = append(c.models, m)
	}
	c.p = New(Config{
		Policy: autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}), Models: c.models, Term: 1, Epoch: time.Unix(1e9, 0),
		Pools: []fleet.Pool{{Name: "pool", GPUsPerSlot: 1, Slots: fleet.Range{Min: count, Max: count}, SlotIdle: time.Hour}},
	})
	c.d = dispatch.New(dispatch.Config{ID: "self", Incarnation: 1, Models: c.models})
	o := &fleet.Observation{Source: "nomad", Complete: true, Nodes: []fleet.Node{}, Slots: []fleet.Slot{}}
	for k := range count {
		node := fmt.Sprint("n", k/slotGPUs)
		if k%slotGPUs == 0 {
			n := fleet.Node{ID: node, Name: node, GPUs: slotGPUs}
			if slots {
				n.Used = slotGPUs
			}
			o.Nodes = append(o.Nodes, n)
		}
		if slots {
			o.Slots = append(o.Slots, fleet.Slot{ID: fmt.Sprint("s", k), Pool: "pool", Node: node, GPUs: 1, Supervisor: fleet.SlotSource + fmt.Sprint("s", k)})
			continue
		}
		spec := &fleet.Spec{GPUs: 1, MaxConcurrency: leasesEach}
		o.Instances = append(o.Instances, fleet.Sighting{Phase: fleet.PhaseProbing, Running: -1, Instance: fleet.Instance{
			ID: fmt.Sprint("before-", k), Model: c.models[k/copiesEach].ID, Node: node, GPUs: 1, Addr: "10.0.0.1:8000", State: fleet.Starting, Spec: spec,
		}})
	}
	c.take(o)
	for k := range o.Slots {
		told := o.Slots[k]
		told.Supervisor = ""
		c.p.Observe(c.now, &fleet.Observation{Source: o.Slots[k].Supervisor, Complete: true, Slots: []fleet.Slot{told}})
	}
	ready := &fleet.Observation{Source: "probe", At: c.p.at(1)}
	for k := range o.Instances {
		s := fleet.Sighting{Phase: fleet.PhaseReady, Running: -1, Instance: o.Instances[k].Instance}
		ready.Instances = append(ready.Instances, s)
	}
	c.p.Observe(c.now, ready)
	c.exchange()
	c.exchange()
	return c, o
}

// take has the planner take a list as Nomad's watch makes it anew each time.
func (c *crowd) take(o *fleet.Observation) {
	o.Seq++
	o.At = c.p.at(c.now)
	c.p.Observe(c.now, o)
	c.exchange()
}

// BenchmarkScale_List is what a complete list of Nomad's costs the planner, with nothing changed in it and with one machine or engine that stands otherwise.
func BenchmarkScale_List(b *testing.B) {
	for _, kind := range []string{"dedicated", "slots"} {
		for _, change := range []string{"nothing", "one"} {
			for _, count := range []int{100, 1000, 10000} {
				b.Run(fmt.Sprintf("%s/changed=%s/%d", kind, change, count), func(b *testing.B) {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					c, o := listed(count, kind == "slots")
					c.b = b
					c.p.TakeActs()
					for k := 0; b.Loop(); k++ {
						switch {
						case change == "one" && kind == "slots":
							o.Nodes[k%len(o.Nodes)].Used--
						case change == "one":
							o.Instances[k%count].Addr += "0"
						}
						c.timed(func() { c.take(o) })
						if acts := c.p.TakeActs(); len(acts) > 0 {
							b.Fatalf("got %v to do, want nothing", acts[0])
						}
					}
					c.metrics(b)
				})
			}
		}
	}
}

// BenchmarkScale_Memory gives the heap of a planner, its roster and a dispatcher, with the config and a request's lease for each of four places of an instance.
func BenchmarkScale_Memory(b *testing.B) {
	for _, count := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			heap := 0.0
			for b.Loop() {
				before := heapInUse()
				c := newCrowd(b, count, 30, false)
				heap = heapInUse() - before
				runtime.KeepAlive(c)
			}
			b.ReportMetric(heap/1e6, "MB")
		})
	}
}

func heapInUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
