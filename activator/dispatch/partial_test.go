package dispatch_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func partial(shares ...protocol.Share) func(*protocol.Table) {
	return func(t *protocol.Table) { t.Partial, t.Shares = true, shares }
}

func TestTable_PartialLeavesTheRest(t *testing.T) {
	w := newWorld(t, model("a"), model("b"))
	w.send(true, func(t *protocol.Table) {
		t.Shares = []protocol.Share{share("i", "a", 1), share("j", "a", 1)}
		t.Outlooks = []protocol.Outlook{outlook("a", fleet.Serving), outlook("b", fleet.Busy)}
	})
	w.send(true, partial(share("j", "a", 0), share("k", "a", 1)))
	want := []dispatch.InstanceStatus{{ID: "i", Slots: 1}, {ID: "k", Slots: 1}}
	if diff := cmp.Diff(want, w.d.Instances()); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	if got := w.d.Queue("b").Answer; got != fleet.Busy {
		t.Errorf("got outlook %q, want it to stay busy", got)
	}
	c := w.ask(dispatch.Ask{Model: "b"})
	w.send(true, func(t *protocol.Table) {
		t.Partial, t.Outlooks = true, []protocol.Outlook{outlook("b", fleet.BackingOff)}
	})
	w.wantErr(c, dispatch.ErrActivationFailed)
	w.send(true, func(t *protocol.Table) { t.Partial, t.Outlooks = true, []protocol.Outlook{outlook("b", "")} })
	w.wantWaiting(w.ask(dispatch.Ask{Model: "b"}))
}

// A planner that has just begun may share an engine out of which it has not heard yet where Nomad has moved it.
func TestTable_ShareWithoutAnAddressIsNotLeased(t *testing.T) {
	w := newWorld(t, model("a"))
	nowhere := share("i", "a", 2)
	nowhere.Addr = ""
	w.tell(nowhere)
	waits := w.ask(dispatch.Ask{Model: "a"})
	w.wantWaiting(waits)
	w.send(true, partial(share("i", "a", 2)))
	w.wantOn(waits, "i")
	w.send(true, partial(nowhere))
	w.wantWaiting(w.ask(dispatch.Ask{Model: "a"}))
	if i, _ := w.d.Instance("i"); i.Slots != 2 || i.Leases != 1 {
		t.Errorf("got %+v, want its share kept, and its lease", i)
	}
}

func TestTable_PartialNeedsTheOneBefore(t *testing.T) {
	w := newWorld(t, model("a"))
	w.send(false, partial(share("i", "a", 1))) // nothing to add to
	w.tell(share("i", "a", 1))
	w.table.Seq++ // one is lost
	w.send(false, partial(share("i", "a", 0)))
	w.wantOn(w.ask(dispatch.Ask{Model: "a"}), "i")
	w.tell(share("i", "a", 2))
	w.send(true, partial(share("i", "a", 3)))
	w.table.Term = 2 // another planner, which counts on
	w.send(false, partial(share("i", "a", 0)))
	w.send(true, func(t *protocol.Table) { t.Hello = true })
	w.send(false, partial(share("i", "a", 0))) // hello says nothing that could be added to
	w.tell(share("i", "a", 3))
	w.send(true, partial(share("i", "a", 4)))
	if i, _ := w.d.Instance("i"); i.Slots != 4 {
		t.Errorf("got %d slots, want 4", i.Slots)
	}
}

func TestTable_SaysWhoHasProvenItself(t *testing.T) {
	w := newWorld(t, model("a"))
	unproven := func(instance string, slots int) protocol.Share {
		s := share(instance, "a", slots)
		s.Unproven = true
		return s
	}
	proven := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, w.d.TakeProven()); diff != "" {
			t.Errorf("proven (-want +got):\n%s", diff)
		}
	}
	w.tell(unproven("i", 1), unproven("j", 1), share("k", "a", 1))
	for range 3 {
		c := w.ask(dispatch.Ask{Model: "a"})
		if instance, _ := c.state(); c.lease.Unproven != (instance != "k") {
			t.Errorf("a lease on %s says unproven %v", instance, c.lease.Unproven)
		}
	}
	w.send(true, partial(unproven("i", 2)))
	proven()
	w.send(true, partial(share("i", "a", 2), share("j", "a", 0))) // the second is revoked, and still serves
	proven("i", "j")
	w.send(true, partial(share("i", "a", 2), share("j", "a", 0)))
	proven()
	if c := w.ask(dispatch.Ask{Model: "a"}); c.lease.Unproven {
		t.Error("a lease on one that has proven itself says that it has not")
	}
}

func TestReport_PartialListsWhatChanged(t *testing.T) {
	w := newWorld(t, model("a"), model("b"), model("c"))
	w.tell(share("a1", "a", 2), share("b1", "b", 2), share("c1", "c", 2))
	if r := w.report(); r.Partial || len(r.Held) != 3 {
		t.Errorf("got %+v, want the first report to be whole", r)
	}
	c := w.ask(dispatch.Ask{Model: "a"})
	w.now += time.Second
	r := w.report()
	wantHeld(t, r, true, protocol.Held{Instance: "a1", Slots: 2, Leases: 1})
	if len(r.Demands) != 1 || r.Demands[0].Model != "a" || r.Demands[0].Inflight != 1 {
		t.Errorf("got %+v, want the demand for a", r.Demands)
	}
	w.tell(share("b1", "b", 1), share("c1", "c", 2)) // a1 is revoked, though it serves
	wantHeld(t, w.report(), true, protocol.Held{Instance: "b1", Slots: 1, Idle: time.Second}, protocol.Held{Instance: "a1", Leases: 1})
	w.release(c)
	wantHeld(t, w.report(), true, protocol.Held{Instance: "a1"})
	r = w.report()
	wantHeld(t, r, true)
	if len(r.Demands) != 0 {
		t.Errorf("got %+v, want no demand: nothing has changed", r.Demands)
	}
}

// TestReport_WholeWhereTheLastMayBeLost: only Heard says that a report has come to who gets the next.
func TestReport_WholeWhereTheLastMayBeLost(t *testing.T) {
	w := newWorld(t, model("a"))
	w.tell(share("i", "a", 2))
	w.report()
	r := &protocol.Report{}
	w.d.Report(w.now, r)
	wantHeld(t, r, true)
	w.send(true, func(t *protocol.Table) { t.Heard, t.Shares = r.Seq, []protocol.Share{share("i", "a", 2)} })
	wantHeld(t, w.report(), false, protocol.Held{Instance: "i", Slots: 2}) // a table may come from another machine
	wantHeld(t, w.report(), true)
	w.table.Term++
	w.tell(share("i", "a", 2))
	wantHeld(t, w.report(), false, protocol.Held{Instance: "i", Slots: 2}) // a new planner has heard nothing
}

func TestReport_RepeatsDemandUntilItIsHeard(t *testing.T) {
	w := newWorld(t, model("a"), model("b"))
	w.tell()
	w.report()
	w.ask(dispatch.Ask{Model: "a"})
	for range 2 {
		r := &protocol.Report{}
		w.d.Report(w.now, r)
		if len(r.Demands) != 1 || r.Demands[0].Waiting != 1 {
			t.Errorf("got %+v, want one that waits", r.Demands)
		}
	}
	w.report()
	if r := w.report(); len(r.Demands) != 0 {
		t.Errorf("got %+v, want nothing: it was heard", r.Demands)
	}
}

func wantHeld(t *testing.T, r *protocol.Report, partial bool, want ...protocol.Held) {
	t.Helper()
	if diff := cmp.Diff(want, append([]protocol.Held(nil), r.Held...)); diff != "" || r.Partial != partial {
		t.Errorf("partial %v, want %v; held (-want +got):\n%s", r.Partial, partial, diff)
	}
}
