package activator_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// cluster is a back end that places instances on nodes by itself, in the order in which it was asked; the probe beside it says who is ready.
type cluster struct {
	w       *world
	nodes   []fleet.Node
	heard   map[string]func(fleet.Observation) // source -> who listens
	out     map[string]bool                    // sources that cannot be reached
	cut     map[string]context.CancelFunc
	forgets bool // Consul has lost everyone
}

// onNodes runs a test with nodes of so many GPUs instead of slots.
func onNodes(t *testing.T, sizes []int, models []*fleet.Model, test func(*world, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &cluster{w: w, heard: make(map[string]func(fleet.Observation)), out: make(map[string]bool), cut: make(map[string]context.CancelFunc)}
		for k, gpus := range sizes {
			c.nodes = append(c.nodes, fleet.Node{ID: ids(k + 1)[k], GPUs: gpus, Condition: fleet.PlaceHealthy})
		}
		c.run(models)
		defer func() { w.stop() }()
		test(w, c)
		w.stop()
		if err := <-w.done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

// run starts a server.
func (c *cluster) run(models []*fleet.Model) {
	a, err := activator.New(activator.Config{
		Models: models, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Seed: 1,
		Backend: c, Observers: []activator.Observer{source{c, "nomad"}, source{c, "probe"}, source{c, "consul"}},
	})
	if err != nil {
		c.w.Fatal(err)
	}
	c.w.a = a
	var ctx context.Context
	ctx, c.w.stop = context.WithCancel(context.Background())
	go func() { c.w.done <- a.Run(ctx) }()
	synctest.Wait()
}

func (c *cluster) Fence(context.Context, uint64) error { return nil }

func (c *cluster) Do(_ context.Context, act fleet.Act) error {
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if act.Kind == fleet.ActStop {
		if n := w.leases[act.Instance]; n > 0 {
			w.Errorf("%s of %s is stopped with %d leases", act.Instance, act.Model, n)
		}
		if e := w.engines[act.Instance]; e != nil {
			e.State = fleet.Stopping
			time.AfterFunc(w.stopTime, func() { c.change(func() { e.gone = true }) })
		}
		return nil
	}
	if act.Slot != "" || act.Pool != "" {
		w.Errorf("%s is launched in slot %q of pool %q, want the back end to choose", act.Instance, act.Slot, act.Pool)
	}
	e := &engine{Instance: fleet.Instance{ID: act.Instance, Model: act.Model, GPUs: act.GPUs, State: fleet.Starting}}
	w.engines[e.ID], w.order = e, append(w.order, e)
	w.launches[act.Model]++
	time.AfterFunc(0, func() { c.change(func() {}) })
	return nil
}

// change does something to the cluster, places what can be placed, and tells everyone.
func (c *cluster) change(f func()) {
	w := c.w
	w.speaking.Lock()
	defer w.speaking.Unlock()
	w.mu.Lock()
	f()
	for _, e := range w.order {
		for _, n := range c.nodes {
			if e.gone || e.Node != "" || e.State != fleet.Starting || !n.Condition.TakesLaunches() || c.free(&n) < e.GPUs {
				continue
			}
			e.Node, e.Addr = n.ID, "addr-"+e.ID
			time.AfterFunc(w.startTime, func() {
				c.change(func() {
					if e.State == fleet.Starting {
						e.State = fleet.Ready
					}
				})
			})
		}
	}
	tell := make(map[string]fleet.Observation)
	for name := range c.heard {
		tell[name] = c.observation(name)
	}
	w.mu.Unlock()
	for _, name := range []string{"nomad", "probe", "consul"} {
		if c.heard[name] != nil && !c.out[name] {
			c.heard[name](tell[name])
		}
	}
}

func (c *cluster) free(n *fleet.Node) int {
	free := n.GPUs - n.Used
	for _, e := range c.w.order {
		if !e.gone && e.Node == n.ID {
			free -= e.GPUs
		}
	}
	return free
}

func (c *cluster) observation(name string) fleet.Observation {
	o := fleet.Observation{Source: name, At: time.Now(), Complete: true}
	if name == "nomad" {
		o.Nodes = slices.Clone(c.nodes)
	}
	for _, e := range c.w.order {
		s := fleet.Sighting{Instance: e.Instance, Phase: fleet.PhaseStarting, Running: -1}
		switch {
		case e.gone || name != "nomad" && e.Addr == "" || name == "consul" && (c.forgets || e.State != fleet.Ready):
			continue
		case name == "nomad" && e.Node == "":
			s.Phase, s.Unplaced = fleet.PhaseQueued, c.whyNot(e)
			if s.Unplaced == fleet.UnplacedImpossible {
				s.Failure = "no node can hold it"
			}
		case name == "consul":
			s.Phase, s.Health = "", fleet.Passing
		case name == "probe" && e.State == fleet.Failed:
			s.Phase, s.Failure = "", "it does not answer"
		case name == "probe" && e.State == fleet.Ready:
			s.Phase = fleet.PhaseReady
		}
		o.Instances = append(o.Instances, s)
	}
	return o
}

func (c *cluster) whyNot(e *engine) fleet.Unplaced {
	for _, n := range c.nodes {
		if n.GPUs >= e.GPUs && c.nodes[0].ID != "cursed" {
			return fleet.UnplacedExhausted
		}
	}
	return fleet.UnplacedImpossible
}

// source is one observer of a cluster.
type source struct {
	c    *cluster
	name string
}

func (s source) Watch(ctx context.Context, f func(fleet.Observation)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.c.listen(s.name, f, cancel) {
		return errors.New("unreachable")
	}
	<-ctx.Done()
	return errors.New("connection lost")
}

// listen connects to a source, which begins with all that it knows. Where that is the back end, the probe speaks after it:
// it asks the instances that the back end has named, and no others.
func (c *cluster) listen(name string, f func(fleet.Observation), cut context.CancelFunc) bool {
	c.w.speaking.Lock()
	defer c.w.speaking.Unlock()
	c.w.mu.Lock()
	if c.out[name] {
		c.w.mu.Unlock()
		return false
	}
	c.heard[name], c.cut[name] = f, cut
	all, probe, probed := c.observation(name), c.heard["probe"], c.observation("probe")
	if name != "nomad" || c.out["probe"] {
		probe = nil
	}
	c.w.mu.Unlock()
	f(all)
	if probe != nil {
		probe(probed)
	}
	return true
}

// outage makes a source unreachable, or reachable again.
func (c *cluster) outage(name string, out bool) {
	c.w.mu.Lock()
	c.out[name] = out
	c.w.mu.Unlock()
	if out {
		c.cut[name]()
	}
	synctest.Wait()
}

func TestNodes_FourAndFourAreNoEight(t *testing.T) {
	models := []*fleet.Model{model("a", 4), model("b", 4), model("large", 8), model("larger", 16)}
	onNodes(t, []int{8, 8}, models, func(w *world, c *cluster) {
		a, b := w.ask(activator.Ask{Model: "a"}), w.ask(activator.Ask{Model: "b"})
		w.wait(a)
		w.wait(b)
		if a.lease.Addr == "" || a.took != w.startTime {
			t.Errorf("got address %q after %s, want one after %s", a.lease.Addr, a.took, w.startTime)
		}
		c.change(func() { c.nodes[1].Used = 4 }) // 4 of others on the second, a and b on the first
		large := w.ask(activator.Ask{Model: "large"})
		synctest.Wait()
		if o := w.a.Snapshot().Models[2].Outlook; o.Answer != fleet.Busy {
			t.Errorf("got %+v, want busy", o)
		}
		w.wantErr(w.ask(activator.Ask{Model: "larger"}), activator.ErrNoCapacity) // at once
		time.Sleep(5 * time.Minute)
		w.wantLaunches("large", 0) // streams are not cut
		a.release(activator.Succeeded)
		b.release(activator.Succeeded)
		w.wait(large)
		if large.err != nil {
			t.Fatal(large.err)
		}
		w.wantLaunches("large", 1)
		large.release(activator.Succeeded)
	})
}

func TestNodes_IdleAreStoppedOnOneNodeOnly(t *testing.T) {
	long := func(m *fleet.Model) { m.IdleAfter = time.Hour }
	models := []*fleet.Model{model("a", 4, long), model("b", 4, long), model("c", 4, long), model("large", 8)}
	onNodes(t, []int{8, 8}, models, func(w *world, _ *cluster) {
		for _, id := range []string{"a", "b", "c"} {
			w.serve(id, time.Second)
		}
		if got := w.serve("large", time.Second); got.took > w.startTime+w.stopTime {
			t.Errorf("waited %s, want at most one stop and one start", got.took)
		}
		hot := 0
		for _, id := range []string{"a", "b", "c"} {
			if w.a.ModelState(id) == "hot" {
				hot++
			}
		}
		if hot < 1 || hot > 2 {
			t.Errorf("got %d hot beside the large one, want those of the other node", hot)
		}
	})
}

func TestNodes_NoGPUNeedsNoRoom(t *testing.T) {
	onNodes(t, []int{1}, []*fleet.Model{model("a", 1), model("remote", 0)}, func(w *world, _ *cluster) {
		a := w.ask(activator.Ask{Model: "a"})
		w.wait(a)
		w.serve("remote", time.Second)
		a.release(activator.Succeeded)
	})
}

func TestNodes_OvertakenLaunchIsBusyThenServed(t *testing.T) {
	onNodes(t, []int{4}, []*fleet.Model{model("a", 4, func(m *fleet.Model) { m.Timeouts.Start = time.Minute })}, func(w *world, c *cluster) {
		w.mu.Lock()
		c.nodes[0].Used = 2 // Nomad has given them to somebody; we have not heard yet
		w.mu.Unlock()
		a := w.ask(activator.Ask{Model: "a"})
		time.Sleep(2 * time.Minute) // not to be placed is no failed start
		if o := w.a.Snapshot().Models[0].Outlook; o.Answer != fleet.Busy || a.ready {
			t.Errorf("got %+v, answered %v %v; want busy", o, a.ready, a.err)
		}
		c.change(func() { c.nodes[0].Used = 0 })
		w.wait(a)
		if a.err != nil {
			t.Fatal(a.err)
		}
		w.wantLaunches("a", 1)
		a.release(activator.Succeeded)
	})
}

func TestNodes_ImpossibleIsToldAtOnce(t *testing.T) {
	onNodes(t, []int{4}, []*fleet.Model{model("a", 4)}, func(w *world, c *cluster) {
		w.mu.Lock()
		c.nodes[0].ID, c.nodes[0].Condition = "cursed", fleet.PlaceIneligible
		w.mu.Unlock()
		a := w.ask(activator.Ask{Model: "a"})
		time.Sleep(time.Second)
		w.wantErr(a, activator.ErrNoCapacity)
		w.wantErr(w.ask(activator.Ask{Model: "a"}), activator.ErrNoCapacity)
		w.wantLaunches("a", 1)
		c.change(func() { c.nodes[0].ID, c.nodes[0].Condition = "m0", fleet.PlaceHealthy })
		w.serve("a", time.Second)
	})
}

func TestNodes_AdoptedServesWithoutSecondStart(t *testing.T) {
	models := []*fleet.Model{model("a", 4)}
	onNodes(t, []int{4}, models, func(w *world, c *cluster) {
		first := w.ask(activator.Ask{Model: "a"})
		w.wait(first)
		first.release(activator.Succeeded)
		w.stop()
		if err := <-w.done; err != nil {
			t.Fatal(err)
		}
		c.run(models)
		again := w.ask(activator.Ask{Model: "a"})
		synctest.Wait()
		if again.lease == nil || again.lease.Instance != first.lease.Instance {
			t.Fatalf("got %+v, %v; want the adopted instance at once", again.lease, again.err)
		}
		again.release(activator.Succeeded)
		time.Sleep(time.Minute)
		w.wantState("a", "cold")
		w.wantLaunches("a", 1)
	})
}

func TestNodes_ForgottenByConsulStillServes(t *testing.T) {
	onNodes(t, []int{4}, []*fleet.Model{model("a", 4)}, func(w *world, c *cluster) {
		first := w.ask(activator.Ask{Model: "a"})
		w.wait(first)
		c.change(func() { c.forgets = true })
		time.Sleep(10 * time.Minute)
		c.change(func() {})
		hot := w.ask(activator.Ask{Model: "a"})
		if hot.lease == nil || hot.lease.Instance != first.lease.Instance {
			t.Fatalf("got %+v, %v; want a lease at once", hot.lease, hot.err)
		}
		hot.release(activator.Succeeded)
		c.change(func() { w.order[0].State = fleet.Failed }) // the probe does not find it either
		w.mu.Lock()
		w.leases[first.lease.Instance]--
		w.mu.Unlock()
		first.lease.Release(activator.EngineFailed)
		time.Sleep(w.stopTime + time.Second)
		w.wantState("a", "cold")
	})
}

func TestNodes_UnseenAreNotStopped(t *testing.T) {
	for _, away := range []string{"nomad", "consul"} {
		t.Run(away, func(t *testing.T) {
			onNodes(t, []int{4}, []*fleet.Model{model("a", 4)}, func(w *world, c *cluster) {
				w.serve("a", time.Second)
				c.outage(away, true)
				time.Sleep(time.Hour)
				w.wantState("a", "hot")
				if got := w.serve("a", time.Second); got.took != 0 {
					t.Errorf("waited %s, want routing to go on", got.took)
				}
				c.outage(away, false)
				time.Sleep(time.Minute)
				w.wantState("a", "cold")
			})
		})
	}
}

func TestNodes_RoomIsMadeWhileConsulIsAway(t *testing.T) {
	onNodes(t, []int{4}, []*fleet.Model{model("a", 4), model("b", 4)}, func(w *world, c *cluster) {
		w.serve("a", time.Second)
		c.outage("consul", true)
		time.Sleep(time.Minute)
		w.wantState("a", "hot")
		w.serve("b", time.Second)
		w.wantState("a", "cold")
	})
}

func TestNodes_DrainedMachineIsNoFailure(t *testing.T) {
	onNodes(t, []int{4, 4}, []*fleet.Model{model("a", 4)}, func(w *world, c *cluster) {
		w.serve("a", time.Second)
		e := w.engineOf("a")
		c.change(func() {
			for k := range c.nodes {
				c.nodes[k].Condition = ineligibleIf(c.nodes[k].ID == e.Node)
			}
			e.State = fleet.Stopping
		})
		if got := w.serve("a", time.Second); got.took != w.startTime {
			t.Errorf("waited %s, want a start on the other machine at once", got.took)
		}
		c.change(func() { e.gone = true })
	})
}

func TestNodes_StartsWaitForALostBackEnd(t *testing.T) {
	onNodes(t, []int{4}, []*fleet.Model{model("a", 4)}, func(w *world, c *cluster) {
		c.outage("nomad", true)
		held := w.ask(activator.Ask{Model: "a"})
		time.Sleep(5 * time.Minute) // of nine
		w.wantLaunches("a", 0)
		if e, err := w.a.Explain("a"); err != nil || e.Outlook.Answer != fleet.Busy || e.Outlook.Reason != "the back end cannot be reached" {
			t.Errorf("who waits is told %+v, %v", e.Outlook, err)
		}
		c.outage("nomad", false)
		w.wait(held)
		w.wantLaunches("a", 1)
		held.release(activator.Succeeded)
	})
}

func ineligibleIf(is bool) fleet.Condition {
	if is {
		return fleet.PlaceIneligible
	}
	return fleet.PlaceHealthy
}
