package nomad_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// terminated is the end of a process.
func terminated(code, signal int, oom bool) *api.TaskEvent {
	return &api.TaskEvent{Type: api.TaskTerminated, DisplayMessage: "Exit Code: " + strconv.Itoa(code), Details: map[string]string{
		"exit_code": strconv.Itoa(code), "signal": strconv.Itoa(signal), "oom_killed": strconv.FormatBool(oom),
	}}
}

// told is the next observation of Nomad that there is.
func (w *world) told() fleet.Observation {
	w.t.Helper()
	select {
	case o := <-w.said:
		w.next(o)
		return o
	case <-time.After(time.Minute):
		w.t.Fatal("nothing is told")
		return fleet.Observation{}
	}
}

// running puts an instance there that runs on n1, and waits until that is told.
func (w *world) running(f *fake, id string, meta ...string) *api.Job {
	w.t.Helper()
	j := engineJob(id, meta...)
	f.put(j)
	f.put(of(j, "a-"+id, "running", "running", "10.0.0.1:20000"))
	w.until(id+" to be placed", id, placed)
	return j
}

func TestWatch_TellsWhatHasChanged(t *testing.T) {
	w, f := pretend(t)
	f.put(machine("n1", 8))
	w.watch(w.Nomad, w.said)
	o := w.told()
	if !o.Complete || len(o.Nodes) != 1 || o.Nodes[0].Name != "name-of-n1" || o.Slots == nil || o.At.IsZero() {
		t.Errorf("the first word: got %+v, want a complete list of one node and no slots", o)
	}
	j := w.running(f, "i1")
	w.running(f, "i2")
	reads := f.read("/v1/allocations")
	a := of(j, "a-i1", "failed", "dead", "10.0.0.1:20000")
	a.TaskStates["engine"].Events = []*api.TaskEvent{terminated(1, 0, false)}
	f.put(a)
	o = w.told()
	if o.Complete || len(o.Instances) != 1 || o.Instances[0].ID != "i1" || !o.Instances[0].Gone || o.Instances[0].Failure != "exited with code 1" || o.Instances[0].Cause != fleet.CauseEngine {
		t.Errorf("got %+v, want i1 alone, gone with its exit code", o)
	}
	if f.read("/v1/allocations") != reads {
		t.Error("all allocations were read again for one event")
	}
	w.eventually("its job to be stopped", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.stopped) == 1 && f.stopped[0] == *j.ID })
}

func TestWatch_OldEventsChangeNothing(t *testing.T) {
	t.Parallel()
	w, f := pretend(t)
	old := engineJob("i0")
	f.put(old)
	f.put(of(old, "a-i0", "running", "running", "10.0.0.1:20000"))
	f.forget(*old.ID)
	f.forget("a-i0")
	f.muted = true
	f.put(machine("n1", 8)) // the list is newer than the events that the stream begins with
	f.muted = false
	w.watch(w.Nomad, w.said)
	w.told()
	j := w.running(f, "i1")
	stopped := *j
	stopped.Stop = pointer(true)
	f.put(&stopped)
	f.put(of(j, "a-i1", "complete", "dead", "10.0.0.1:20000"))
	w.until("i1 to be gone", "i1", gone)
	f.repeat(4) // i0 and i1, as they began
	w.running(f, "i2")
	for _, i := range w.picture[nomad.Source].Instances {
		if i.ID != "i2" && !i.Gone {
			t.Errorf("old events have brought back %+v", i)
		}
	}
	w.AskAgain(nomad.Source)
	w.until("a new list", "i2", func(_ *fleet.Sighting, o fleet.Observation) bool { return o.Complete })
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.stopped) > 0 {
		t.Errorf("%v were stopped again", f.stopped)
	}
}

func TestWatch_WhatNomadForgetsIsMissed(t *testing.T) {
	t.Parallel()
	w, f := pretend(t)
	w.watch(w.Nomad, w.said)
	j := w.running(f, "i1")
	f.forget(*j.ID)
	f.forget("a-i1")
	w.AskAgain("slot/s1") // of another
	w.AskAgain(nomad.Source)
	for o := w.told(); len(o.Instances) > 0; o = w.told() {
		if !o.Complete {
			continue
		}
		t.Fatalf("got %+v, want a complete list without i1", o)
	}
}

func TestWatch_OneEngineAJob(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *fake, j *api.Job)
		scaled bool // else its job is stopped
	}{
		"scaled up": {func(f *fake, j *api.Job) {
			j.TaskGroups[0].Count, j.JobModifyIndex = pointer(2), pointer(*j.JobModifyIndex+1)
			f.put(j)
			f.put(of(j, "a-second", "running", "running", "10.0.0.1:20001"))
		}, true},
		"scaled to none": {func(f *fake, j *api.Job) {
			j.TaskGroups[0].Count = pointer(0)
			f.put(j)
			a := of(j, "a-i1", "running", "running", "10.0.0.1:20000")
			a.DesiredStatus = api.AllocDesiredStatusStop
			f.put(a)
		}, false},
		"restarted": {func(f *fake, j *api.Job) {
			a := of(j, "a-i1", "running", "running", "10.0.0.1:20000")
			a.TaskStates["engine"].Restarts = 1
			f.put(a)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := pretend(t)
			w.watch(w.Nomad, w.said)
			j := w.running(f, "i1")
			c.change(f, j)
			w.eventually("it to be corrected", func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				list := f.stopped
				if c.scaled {
					list = f.scaled
				}
				return len(list) == 1 && list[0] == *j.ID
			})
		})
	}
}

// A job that was scaled while nobody watched is found by its list, which does not say its count.
func TestWatch_ScaledUnseen(t *testing.T) {
	w, f := pretend(t)
	j := engineJob("i1")
	f.put(j)
	f.put(of(j, "a-i1", "running", "running", "10.0.0.1:20000"))
	j.TaskGroups[0].Count, j.JobModifyIndex = pointer(2), pointer(*j.JobModifyIndex+3)
	f.put(j)
	w.watch(w.Nomad, w.said)
	w.eventually("it to be scaled back", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.scaled) == 1 })
}

func TestWatch_SlotsHaveTheConditionOfTheirNode(t *testing.T) {
	w, f := pretend(t)
	n := machine("n1", 8)
	f.put(n)
	j := slotJob("s1")
	f.put(j)
	f.put(of(j, "a1", "running", "running", "127.0.0.1:1"))
	w.watch(w.Nomad, w.said)
	is := func(want fleet.Condition) {
		t.Helper()
		w.until("s1 and its node to be "+string(want), "", func(_ *fleet.Sighting, o fleet.Observation) bool {
			s := slotIn(o, "s1")
			return s != nil && s.Condition == want && len(o.Nodes) == 1 && o.Nodes[0].Condition == want
		})
	}
	is(fleet.PlaceHealthy)
	for _, c := range []struct {
		change func(*api.Node)
		want   fleet.Condition
	}{
		{func(n *api.Node) { n.SchedulingEligibility = api.NodeSchedulingIneligible }, fleet.PlaceIneligible},
		{func(n *api.Node) { n.Drain = true }, fleet.PlaceDraining},
		{func(n *api.Node) { n.Status = api.NodeStatusDown }, fleet.PlaceUnreachable},
	} {
		c.change(n)
		f.put(n)
		is(c.want)
	}
	stopped := *j
	stopped.Stop = pointer(true)
	n.Status, n.Drain, n.SchedulingEligibility = api.NodeStatusReady, false, api.NodeSchedulingEligible
	f.put(n)
	is(fleet.PlaceHealthy)
	f.put(&stopped)
	w.slotIs("s1 to be closing", "s1", func(s *fleet.Slot) bool { return s != nil && s.Condition == fleet.PlaceClosing })
}

func TestWatch_WhatWasLaunchedCountsNotTheConfig(t *testing.T) {
	w, f := pretend(t, &fleet.Model{ID: "org/one", GPUs: 8})
	want := &fleet.Spec{GPUs: 4, MaxConcurrency: 7, Kind: fleet.EngineVLLM}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	f.put(engineJob("i1", "pilotlight_spec", string(text)))
	f.put(engineJob("i2")) // by hand
	w.watch(w.Nomad, w.said)
	o := w.told()
	for _, i := range o.Instances {
		if i.ID == "i1" && (i.GPUs != 4 || !cmp.Equal(i.Spec, want)) {
			t.Errorf("i1 has %d GPUs and %+v, want 4 and %+v", i.GPUs, i.Spec, want)
		}
		if i.ID == "i2" && i.GPUs == 8 {
			t.Error("i2 has the 8 GPUs of the config, which its job does not say")
		}
	}
}

func TestWatch_ANodeThatIsAwayMayHoldIt(t *testing.T) {
	for name, c := range map[string]struct {
		node func(n *api.Node)
		want fleet.Unplaced
	}{
		"down":          {func(n *api.Node) { n.Status = api.NodeStatusDown }, fleet.UnplacedExhausted},
		"ineligible":    {func(n *api.Node) { n.SchedulingEligibility = api.NodeSchedulingIneligible }, fleet.UnplacedExhausted},
		"out of order":  {func(n *api.Node) { n.NodeResources.Devices[0].Instances[0].Healthy = false }, fleet.UnplacedExhausted},
		"too small":     {func(n *api.Node) { *n = *machine("n1", 1); n.Status = api.NodeStatusDown }, fleet.UnplacedImpossible},
		"of other GPUs": {func(*api.Node) {}, fleet.UnplacedImpossible},
		"elsewhere":     {func(n *api.Node) { n.NodePool, n.Status = "other", api.NodeStatusDown }, fleet.UnplacedImpossible},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := pretend(t)
			n := machine("n1", 2)
			c.node(n)
			f.put(n)
			j := engineJob("i1")
			f.put(j)
			f.put(&api.Evaluation{ID: "e1", JobID: *j.ID, Namespace: "default", FailedTGAllocs: map[string]*api.AllocationMetric{
				"engine": {NodesFiltered: 1, ConstraintFiltered: map[string]int{"missing devices": 1}},
			}})
			w.watch(w.Nomad, w.said)
			s := w.until("i1 to wait", "i1", func(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil && s.Unplaced != "" })
			if s.Unplaced != c.want {
				t.Errorf("got %q with %q, want %q", s.Unplaced, s.Failure, c.want)
			}
		})
	}
}

// A node that has just come back was not asked yet by the last try to place.
func TestWatch_ANodeThatCameBackIsAskedFirst(t *testing.T) {
	t.Parallel()
	w, f := pretend(t)
	n := machine("n1", 2)
	n.Status = api.NodeStatusDown
	f.put(n)
	j := engineJob("i1")
	f.put(j)
	f.put(&api.Evaluation{ID: "e1", JobID: *j.ID, Namespace: "default", FailedTGAllocs: map[string]*api.AllocationMetric{"engine": {}}})
	w.watch(w.Nomad, w.said)
	waits := func(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil && s.Unplaced != "" }
	w.until("i1 to wait", "i1", waits)
	n.Status = api.NodeStatusReady
	f.put(n)
	f.put(j) // it is told of again
	w.until("n1 to be back", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return len(o.Nodes) == 1 && o.Nodes[0].Condition == fleet.PlaceHealthy
	})
	w.AskAgain(nomad.Source)
	s := w.until("i1 to be told of again", "i1", func(s *fleet.Sighting, o fleet.Observation) bool { return waits(s, o) && o.Complete })
	if s.Unplaced != fleet.UnplacedExhausted {
		t.Errorf("got %q with %q, want that it waits", s.Unplaced, s.Failure)
	}
}

func TestWatch_SaysWhoIsToBlame(t *testing.T) {
	w, f := pretend(t)
	for addr, want := range map[string]error{refusing(t): fleet.ErrDenied, "http://127.0.0.1:1": fleet.ErrUnreachable} {
		n := w.backend(func(c *nomad.Config) { c.Addr = addr })
		if err := n.Watch(t.Context(), func(fleet.Observation) {}); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Watch(context.Background(), func(o fleet.Observation) { w.said <- o }) }() // it ends with the stream
	w.told()
	f.mu.Lock()
	f.cut++
	f.wake()
	f.mu.Unlock()
	if err := <-ended; !errors.Is(err, fleet.ErrUnreachable) {
		t.Errorf("when the stream ends: got %v, want %v", err, fleet.ErrUnreachable)
	}
}

// refusing is a server that refuses every token.
func refusing(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Permission denied", http.StatusForbidden) }))
	t.Cleanup(server.Close)
	return server.URL
}

// Nodes where only slots may be are told of, too: slots of several pools make room for each other there.
func TestWatch_TellsWhereOnlySlotsMayBe(t *testing.T) {
	w, f := pretend(t)
	n := w.backend(func(c *nomad.Config) {
		c.Pools = []fleet.Pool{{Name: "p", GPUsPerSlot: 2}, {Name: "q", GPUsPerSlot: 2, NodePool: "gpu"}}
	})
	for _, pool := range []string{"default", "gpu", "other"} {
		m := machine("in-"+pool, 2)
		m.NodePool = pool
		f.put(m)
	}
	w.watch(n, w.said)
	w.until("a complete list", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		if !o.Complete {
			return false
		}
		got := make(map[string]bool)
		for _, n := range o.Nodes {
			got[n.ID+" "+n.Pool] = n.SlotsOnly
		}
		if want := map[string]bool{"in-default default": false, "in-gpu gpu": true}; !cmp.Equal(got, want) {
			t.Errorf("got the nodes %v, want %v", got, want)
		}
		return true
	})
}
