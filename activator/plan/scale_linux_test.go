package plan

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	copiesEach  = 10 // instances of a model
	leasesEach  = 4  // of an instance
	slotGPUs    = 8
	eventsApart = 2 * time.Millisecond
)

// crowd is a fleet of hot instances of one GPU each in slots of eight, with its planner and its dispatcher in one process. Its cluster is full.
type crowd struct {
	b      testing.TB
	nodes  bool // the instances are on machines that the back end chooses, not in slots
	p      *Planner
	d      *dispatch.Dispatcher
	report protocol.Report
	now    time.Duration
	models []*fleet.Model
	hot    []fleet.Sighting             // by number
	leases map[string][]*dispatch.Lease // by instance
	random *rand.Rand
	took   []time.Duration // of the clock
	spent  []time.Duration // of a CPU
	apart  time.Duration   // between events
	turns  []int           // the numbers of the instances in the order in which they are replaced
	next   int
	post   func(*protocol.Table) // takes tables for other servers; nil = there are none
}

// newCrowd makes a fleet of so many instances. Where models wait for room, which need two GPUs or more, every instance is busy; else one in two is.
func newCrowd(b *testing.B, count, waiting int, nodes bool) *crowd {
	c := &crowd{b: b, nodes: nodes, leases: make(map[string][]*dispatch.Lease), apart: eventsApart, random: rand.New(rand.NewPCG(7, 7))}
	var learned []fleet.Learned
	for k := range count/copiesEach + waiting {
		m := &fleet.Model{
			ID: fmt.Sprintf("org/model-%d", k), GPUs: 1, Pool: "pool", MaxConcurrency: leasesEach, IdleAfter: time.Hour, Instances: fleet.Range{Max: copiesEach},
		}
		if nodes {
			m.Pool = ""
		}
		switch {
		case k >= count/copiesEach:
			m.GPUs = 2 << (k % 3)
		case waiting == 0:
			m.Instances.Min = copiesEach
		}
		c.models = append(c.models, m)
		learned = append(learned, fleet.Learned{Model: m.ID, From: fleet.Cold, Durations: slices.Repeat([]time.Duration{30 * time.Second}, pastKept)}) // those that follow take no time
	}
	c.p = New(Config{
		Policy: autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}), Models: c.models, Learned: learned, Term: 1, Epoch: time.Unix(1e9, 0),
		Patience: 1000 * time.Hour, Pools: []fleet.Pool{{Name: "pool", GPUsPerSlot: slotGPUs, Slots: fleet.Range{Max: (count + slotGPUs - 1) / slotGPUs}, SlotIdle: time.Hour}},
	})
	c.d = dispatch.New(dispatch.Config{ID: "self", Incarnation: 1, Models: c.models})
	c.furnish(count)
	for k := range count / copiesEach {
		for n := 0; n < copiesEach*leasesEach && (waiting > 0 || k%2 == 0); n++ {
			c.acquire(c.models[k].ID)
		}
	}
	c.now += settled
	c.exchange()
	for k := range waiting {
		ask := &dispatch.Ask{Model: c.models[count/copiesEach+k].ID, Org: "acme"}
		if err := c.d.Enqueue(c.now, ask, &dispatch.Waiter{}, &dispatch.Lease{}); err != nil {
			b.Fatal(err)
		}
	}
	c.exchange()
	if acts := c.p.TakeActs(); len(acts) > 0 || len(c.p.short) != waiting {
		b.Fatalf("got %v to do and %d models that wait for room, want nothing and %d", acts, len(c.p.short), waiting)
	}
	return c
}

// furnish shows the planner the slots or machines, as a back end lists them, and what runs there.
func (c *crowd) furnish(count int) {
	list := &fleet.Observation{Source: "nomad", Complete: true, At: c.p.at(0), Nodes: []fleet.Node{}, Slots: []fleet.Slot{}}
	for k := range count {
		switch room := min(slotGPUs, count-k); {
		case k%slotGPUs > 0:
		case c.nodes:
			list.Nodes = append(list.Nodes, fleet.Node{ID: nodeOf(k), Name: nodeOf(k), GPUs: room})
		default:
			list.Slots = append(list.Slots, fleet.Slot{ID: slotOf(k), Pool: "pool", Node: nodeOf(k), GPUs: room, Supervisor: c.sourceOf(k)})
		}
		c.hot = append(c.hot, c.sighting(k, fmt.Sprint("before-", k)))
		if c.nodes {
			list.Instances = append(list.Instances, c.hot[k])
		}
	}
	c.p.Observe(c.now, list)
	for n, s := range list.Slots {
		s.Supervisor = ""
		first := n * slotGPUs
		c.p.Observe(c.now, &fleet.Observation{
			Source: c.sourceOf(first), Complete: true, At: c.p.at(0), Slots: []fleet.Slot{s}, Instances: c.hot[first:min(first+slotGPUs, count)],
		})
	}
	if c.nodes {
		c.p.Observe(c.now, c.ready(c.hot...))
	}
	c.exchange()
	c.exchange()
}

// ready is the word of whoever is believed for it that engines can serve.
func (c *crowd) ready(engines ...fleet.Sighting) *fleet.Observation {
	o := &fleet.Observation{Source: "probe", At: c.p.at(c.now), Instances: slices.Clone(engines)}
	for k := range o.Instances {
		o.Instances[k].Phase = fleet.PhaseReady
	}
	return o
}

func (c *crowd) sourceOf(k int) string {
	if c.nodes {
		return "nomad"
	}
	return fleet.SlotSource + slotOf(k)
}

func nodeOf(k int) string { return fmt.Sprint("n", k/slotGPUs) }

func slotOf(k int) string { return fmt.Sprint("s", k/slotGPUs) }

// sighting is what is said of the instance of that number.
func (c *crowd) sighting(k int, id string) fleet.Sighting {
	s := fleet.Sighting{Phase: fleet.PhaseReady, Running: -1, Parks: true, Instance: fleet.Instance{
		ID: id, Model: c.models[k/copiesEach].ID, Slot: slotOf(k), GPU: k % slotGPUs, GPUs: 1, Addr: "10.0.0.1:8000", State: fleet.Ready,
	}}
	if c.nodes {
		s.Slot, s.GPU, s.Node, s.Phase, s.State = "", 0, nodeOf(k), fleet.PhaseProbing, fleet.Starting
	}
	return s
}

// exchange hands messages over until both machines are quiet, as the activator's shell does.
func (c *crowd) exchange() {
	for range 32 {
		c.d.Report(c.now, &c.report)
		if c.p.Hear(c.now, &c.report) {
			c.d.Heard(c.report.Seq)
		}
		c.p.Step(c.now)
		for _, t := range c.p.TakeTables() {
			if !c.d.Receive(c.now, t) && c.post != nil {
				c.post(t)
			}
		}
		if !c.d.ReportDue(c.now) {
			break
		}
	}
	c.p.Next(c.now)
	c.p.TakeNotices()
	c.p.TakeLearned()
	c.p.TakeEnded()
}

// timed measures one event and the step that follows.
func (c *crowd) timed(event func()) {
	c.now += c.apart
	began, before := time.Now(), cpu()
	event()
	c.exchange()
	c.spent, c.took = append(c.spent, cpu()-before), append(c.took, time.Since(began))
}

// cpu gives the time that this thread has been on a CPU: what a step costs, whoever else uses the machine.
func cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

func (c *crowd) acquire(model string) {
	l := &dispatch.Lease{}
	if !c.d.Acquire(c.now, &dispatch.Ask{Model: model, Org: "acme"}, l) {
		c.b.Fatal("not granted")
	}
	c.leases[l.Instance] = append(c.leases[l.Instance], l)
}

func (c *crowd) release(instance string, count int) {
	held := c.leases[instance]
	for _, l := range held[:count] {
		c.d.Release(c.now, l)
	}
	c.leases[instance] = held[count:]
}

// busy gives the number of an instance that is busy.
func (c *crowd) busy() int {
	for {
		if k := c.random.IntN(len(c.hot)); len(c.leases[c.hot[k].ID]) == leasesEach {
			return k
		}
	}
}

func (c *crowd) metrics(b *testing.B) {
	report(b, c.took, "")
	report(b, c.spent, "cpu-")
}

// report gives the median and the 99th percentile of a sample.
func report(b *testing.B, sample []time.Duration, kind string) {
	slices.Sort(sample)
	for name, q := range map[string]float64{"p50-": 0.5, "p99-": 0.99} {
		b.ReportMetric(float64(sample[int(q*float64(len(sample)-1))].Nanoseconds())/1e3, name+kind+"us")
	}
}

// BenchmarkScale_Step is what a step after one event costs, by the number of instances and of models that wait for room.
func BenchmarkScale_Step(b *testing.B) {
	steps(b, false)
}

// BenchmarkScale_NodeStep is the same on machines where the back end places instances.
func BenchmarkScale_NodeStep(b *testing.B) {
	steps(b, true)
}

func steps(b *testing.B, nodes bool) {
	for _, event := range []struct {
		name string
		does func(*crowd)
	}{
		{"lease", (*crowd).leaseChange},
		{"sighting", (*crowd).sighted},
		{"idle", (*crowd).becomesIdle},
		{"replaced", (*crowd).replaced},
	} {
		for _, waiting := range []int{0, 30} {
			for _, count := range []int{100, 1000, 10000} {
				b.Run(fmt.Sprintf("%s/waiting=%d/%d", event.name, waiting, count), func(b *testing.B) {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					c := newCrowd(b, count, waiting, nodes)
					for b.Loop() {
						event.does(c)
					}
					c.metrics(b)
				})
			}
		}
	}
}
