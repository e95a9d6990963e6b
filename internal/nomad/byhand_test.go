//go:build unix

package nomad_test

import (
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// TestNomad_OneEngineAJob has somebody scale, restart and replace engines by hand.
func TestNomad_OneEngineAJob(t *testing.T) {
	w := start(t)
	job := nomad.JobName("test", "org/one", "i1")
	w.act(fleet.ActLaunch, "i1", "org/one")
	first := w.until("i1 to be placed", "i1", placed)
	answers(t, first.Addr)

	two := 2
	if _, _, err := w.client.Jobs().Scale(job, "engine", &two, "by hand", false, nil, nil); err != nil {
		t.Fatal(err)
	}
	w.eventually("i1 to be scaled back to one", func() bool {
		j, _, err := w.client.Jobs().Info(job, nil)
		return err == nil && *j.TaskGroups[0].Count == 1 && *j.Version > 1 && w.live(job) == 1
	})
	list := w.allocations(job)
	for _, a := range list {
		if a.DesiredStatus == api.AllocDesiredStatusRun && a.ClientStatus == api.AllocClientStatusRunning && a.CreateIndex != least(list) {
			t.Errorf("the engine that was launched was ended for another")
		}
	}
	if s := w.until("i1 to be told of", "i1", placed); s.Addr != first.Addr || s.State != fleet.Starting {
		t.Errorf("i1 is %+v, want it to go on at %s", s, first.Addr)
	}

	w.restartedByHand(t)
	w.replacedByHand(t)
	none := 0
	w.act(fleet.ActLaunch, "i4", "org/one")
	w.until("i4 to be placed", "i4", placed)
	job = nomad.JobName("test", "org/one", "i4")
	if _, _, err := w.client.Jobs().Scale(job, "engine", &none, "by hand", false, nil, nil); err != nil {
		t.Fatal(err)
	}
	w.until("i4 to be gone", "i4", gone)
	w.stopped(job)
}

// restartedByHand has an engine restarted in its allocation.
func (w *world) restartedByHand(t *testing.T) {
	w.act(fleet.ActLaunch, "i2", "org/one")
	answers(t, w.until("i2 to be placed", "i2", placed).Addr)
	job := nomad.JobName("test", "org/one", "i2")
	w.eventually("i2 to run for Nomad", func() bool { return w.live(job) == 1 })
	if err := w.client.Allocations().Restart(&api.Allocation{ID: w.allocations(job)[0].ID}, "", nil); err != nil {
		t.Fatal(err)
	}
	w.until("i2 to be given up", "i2", func(s *fleet.Sighting, _ fleet.Observation) bool {
		return s != nil && s.State == fleet.Stopping && s.Failure != ""
	})
	w.until("i2 to be gone", "i2", gone)
	w.stopped(job)
}

// replacedByHand has Nomad start an allocation in place of another.
func (w *world) replacedByHand(t *testing.T) {
	w.act(fleet.ActLaunch, "i3", "org/one")
	answers(t, w.until("i3 to be placed", "i3", placed).Addr)
	job := nomad.JobName("test", "org/one", "i3")
	if _, err := w.client.Allocations().Stop(&api.Allocation{ID: w.allocations(job)[0].ID}, nil); err != nil {
		t.Fatal(err)
	}
	w.until("i3 to be gone", "i3", gone)
	w.stopped(job)
	w.eventually("nothing to be left of i3", func() bool { return w.live(job) == 0 })
}

// live counts the allocations of a job that hold something.
func (w *world) live(job string) int {
	w.t.Helper()
	count := 0
	for _, a := range w.allocations(job) {
		if a.ClientStatus == api.AllocClientStatusPending || a.ClientStatus == api.AllocClientStatusRunning {
			count++
		}
	}
	return count
}

// least is the index of the allocation that came first.
func least(list []*api.AllocationListStub) uint64 {
	index := list[0].CreateIndex
	for _, a := range list {
		index = min(index, a.CreateIndex)
	}
	return index
}
