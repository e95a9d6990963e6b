package dispatch_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestLease_StaysWithinTheShare(t *testing.T) {
	w := newWorld(t, model("a"))
	w.tell(share("i", "a", 2))
	ask := dispatch.Ask{Model: "a"}
	first := w.ask(ask)
	w.wantOn(first, "i")
	w.wantOn(w.ask(ask), "i")
	third := w.ask(ask)
	w.wantWaiting(third)
	w.tell(share("i", "a", 1))
	w.release(first)
	w.wantWaiting(third) // two are allowed no longer
	w.tell(share("i", "a", 2))
	w.wantOn(third, "i")
}

func TestLease_ReleasedTwice(t *testing.T) {
	w := newWorld(t, model("a"))
	w.tell(share("i", "a", 1))
	c := w.ask(dispatch.Ask{Model: "a"})
	w.release(c)
	if w.d.Release(w.now, &c.lease) {
		t.Error("a lease was released twice")
	}
	w.wantOn(w.ask(dispatch.Ask{Model: "a"}), "i")
	w.wantWaiting(w.ask(dispatch.Ask{Model: "a"}))
}

func TestLease_SaysWhatItsInstanceWasLaunchedWith(t *testing.T) {
	w := newWorld(t, model("a")) // 8 GPUs as configured
	old := share("old", "a", 1)
	old.GPUs = 4
	w.tell(old)
	if c := w.ask(dispatch.Ask{Model: "a"}); c.lease.GPUs != 4 || c.lease.Addr != "addr-old" {
		t.Errorf("got %d GPUs at %s, want the 4 of the instance", c.lease.GPUs, c.lease.Addr)
	}
	w.tell(share("new", "a", 1))
	if c := w.ask(dispatch.Ask{Model: "a"}); c.lease.GPUs != 8 {
		t.Errorf("got %d GPUs, want the 8 of the config", c.lease.GPUs)
	}
}

func TestLease_SplitsItsWait(t *testing.T) {
	w := newWorld(t, model("a"))
	c := w.ask(dispatch.Ask{Model: "a"})
	w.now += 30 * time.Second
	s := share("i", "a", 1)
	s.From, s.Took = fleet.Cold, 20*time.Second
	w.tell(s)
	if c.lease.Start != fleet.Cold || c.lease.Queued != 10*time.Second || c.lease.Activating != 20*time.Second {
		t.Errorf("got %s, %s queued, %s activating, want cold, 10 s, 20 s", c.lease.Start, c.lease.Queued, c.lease.Activating)
	}
}

func TestBreaker_OnlyAClosedOneLetsRequestsThrough(t *testing.T) {
	w := newWorld(t, model("a"))
	w.tell(share("i", "a", 4))
	ask := dispatch.Ask{Model: "a"}
	w.d.SetBreaker(w.now, "i", dispatch.BreakerOpen)
	first := w.ask(ask)
	w.wantWaiting(first)
	w.d.SetBreaker(w.now, "i", dispatch.BreakerHalfOpen)
	w.wantWaiting(first)
	w.d.SetBreaker(w.now, "i", dispatch.BreakerClosed)
	w.wantOn(first, "i")
	w.wantOn(w.ask(ask), "i")
}

func TestLease_SpareOnesComeLastAndAffinityStays(t *testing.T) {
	w := newWorld(t, model("a"))
	spare := share("spare", "a", 4)
	spare.Spare = true
	w.tell(spare, share("x", "a", 8), share("y", "a", 8))
	key := dispatch.Ask{Model: "a", Affinity: "a conversation"}
	on := w.ask(key).lease.Instance
	for range 4 {
		w.wantOn(w.ask(key), on)
	}
	other := map[string]string{"x": "y", "y": "x"}[on]
	w.wantOn(w.ask(dispatch.Ask{Model: "a"}), other) // the least loaded
	for range 10 {
		if got := w.ask(dispatch.Ask{Model: "a"}).lease.Instance; got == "spare" {
			t.Fatal("a spare instance was used while others had room")
		}
	}
	w.wantOn(w.ask(dispatch.Ask{Model: "a"}), "spare")
}

func TestTable_ExpiredGrantsNothing(t *testing.T) {
	w := newWorld(t, model("a"))
	send := func(seen time.Duration) {
		w.send(true, func(t *protocol.Table) {
			t.TTL, t.Stamp, t.Shares = 20*time.Second, seen, []protocol.Share{share("i", "a", 4)}
		})
	}
	send(w.now)
	w.now += 20*time.Second - 1
	held := w.ask(dispatch.Ask{Model: "a"})
	w.wantOn(held, "i")
	w.now++
	c := w.ask(dispatch.Ask{Model: "a"})
	w.wantWaiting(c)
	w.release(held)
	w.wantWaiting(c)
	send(w.now - 20*time.Second)
	w.wantWaiting(c) // it was long on its way
	send(w.now)
	w.wantOn(c, "i")
}

func TestTable_OlderIsIgnored(t *testing.T) {
	w := newWorld(t, model("a"))
	w.tell(share("i", "a", 4))
	w.tell()
	first := w.ask(dispatch.Ask{Model: "a"})
	revive := func(change func(*protocol.Table)) {
		t.Helper()
		w.send(false, func(t *protocol.Table) {
			t.Shares = []protocol.Share{share("i", "a", 4)}
			change(t)
		})
		w.wantWaiting(first)
	}
	revive(func(t *protocol.Table) { t.Seq = 1 })
	revive(func(t *protocol.Table) { t.Seq = 2 })
	revive(func(t *protocol.Table) { t.Term = 0 })
	revive(func(t *protocol.Table) { t.Incarnation = 0 })
	revive(func(t *protocol.Table) { t.To = "other" })
	w.send(true, func(t *protocol.Table) {
		t.Term, t.Seq, t.Shares = 2, 1, []protocol.Share{share("i", "a", 4)}
	})
	w.wantOn(first, "i")
}
