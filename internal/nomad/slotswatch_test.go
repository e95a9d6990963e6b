//go:build unix

package nomad_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// follow watches a back end and its slots. The end of what it gives ends that.
func (w *world) follow(n *nomad.Nomad) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { // both end with ctx, for which the clean-up waits
		_ = n.Watch(ctx, func(o fleet.Observation) { w.said <- o })
		done <- struct{}{}
	}()
	go func() {
		_ = n.Slots().Watch(ctx, func(o fleet.Observation) { w.said <- o })
		done <- struct{}{}
	}()
	ended := false
	end = func() {
		if !ended {
			ended = true
			cancel()
			<-done
			<-done
		}
	}
	w.t.Cleanup(end)
	return end
}

// slotIs waits until Nomad's list has the slot as wanted; it is nil where it is not listed.
func (w *world) slotIs(what, id string, wanted func(*fleet.Slot) bool) {
	w.t.Helper()
	if o, told := w.picture[nomad.Source]; told && wanted(slotIn(o, id)) {
		return
	}
	w.until(what, "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return o.Source == nomad.Source && wanted(slotIn(o, id))
	})
}

// supervised waits until the slot's supervisor has spoken.
func (w *world) supervised(id string) {
	w.t.Helper()
	w.until(id+"'s supervisor to speak", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return o.Source == "slot/"+id && o.Complete && slotIn(o, id) != nil
	})
}

// empty waits until nothing is said to be in the slot any more.
func (w *world) empty(id string) {
	w.t.Helper()
	w.until(id+" to be empty", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return o.Source == "slot/"+id && o.Complete && o.Slots != nil && len(o.Slots) == 0
	})
}

func slotIn(o fleet.Observation, id string) *fleet.Slot {
	for k := range o.Slots {
		if o.Slots[k].ID == id {
			return &o.Slots[k]
		}
	}
	return nil
}

func absent(s *fleet.Slot) bool { return s == nil }

// supervise runs a supervisor without engines, and gives its address.
func supervise(t *testing.T) string {
	t.Helper()
	s, err := slot.New(slot.Config{ID: "s1", Source: "slot/s1", Pool: "p", Node: "n1", GPUs: 2, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := slot.NewAPI(slot.APIConfig{Slot: s, Key: slotKey})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	running.Go(func() { _ = a.Serve(ctx, ln) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return ln.Addr().String()
}

func TestSlots_AreToldOfFromPendingToGone(t *testing.T) {
	t.Parallel()
	addr := supervise(t)
	w, f := pretend(t, &fleet.Model{ID: "m", GPUs: 1, Pool: "p", Engine: fleet.EngineSpec{Kind: "none"}})
	w.follow(w.Nomad)
	w.slotIs("no slot to be known", "s1", absent)
	j := slotJob("s1")
	f.put(machine("n1", 8))
	f.put(j)
	w.slotIs("s1 to be pending", "s1", func(s *fleet.Slot) bool {
		return s != nil && s.Pending && s.GPUs == 2 && s.Host == 1<<30 && s.Supervisor == "slot/s1"
	})
	f.put(of(j, "a1", "pending", "pending", addr))
	w.slotIs("s1 to have its node", "s1", func(s *fleet.Slot) bool { return s != nil && s.Pending && s.Node == "n1" })
	f.put(of(j, "a1", "running", "running", addr))
	w.slotIs("s1 to run", "s1", func(s *fleet.Slot) bool { return s != nil && !s.Pending && s.Node == "n1" && s.GPUs == 2 })
	w.supervised("s1")

	// Its supervisor takes what is meant for it, and says that there is no such instance.
	err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActPark, Term: 1, Seq: 1, Slot: "s1", Instance: "i1"})
	if err == nil || !strings.Contains(err.Error(), slot.ErrUnknown.Error()) {
		t.Errorf("parking what is not there: got %v, want %v", err, slot.ErrUnknown)
	}
	a := of(j, "a1", "failed", "dead", addr)
	a.TaskStates["slot"].Events = []*api.TaskEvent{terminated(137, 9, false), {Type: api.TaskNotRestarting, DisplayMessage: "Policy allows no restarts", FailsTask: true}}
	f.put(a)
	w.empty("s1")
	w.slotIs("s1 to be gone", "s1", absent)
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: 1, Seq: 2, Slot: "s1", Instance: "i1"}); err != nil {
		t.Errorf("stopping what was on a lost slot: %v", err)
	}
	if want := `"a slot has ended" slot=s1 pool=p reason="killed by signal 9"`; !strings.Contains(w.log.String(), want) {
		t.Errorf("want %s in\n%s", want, w.log)
	}
}
