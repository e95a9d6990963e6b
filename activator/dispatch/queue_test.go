package dispatch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestQueue_IsBounded(t *testing.T) {
	m := model("a")
	m.Queue = fleet.QueueLimits{Limit: 3, PerOrg: 2}
	w := newWorld(t, m)
	ask := func(org string) *client { return w.ask(dispatch.Ask{Model: "a", Org: org}) }
	w.wantWaiting(ask("x"))
	w.wantWaiting(ask("x"))
	w.wantErr(ask("x"), dispatch.ErrOrgQueueFull)
	w.wantWaiting(ask("y"))
	w.wantErr(ask("z"), dispatch.ErrQueueFull)
	w.wantWaiting(w.ask(dispatch.Ask{Model: "a", Org: "z", Retry: true}))
	w.wantErr(w.ask(dispatch.Ask{Model: "none"}), dispatch.ErrUnknownModel)
}

func TestQueue_OrgsHaveTheirTurns(t *testing.T) {
	w := newWorld(t, model("a"))
	var cs []*client
	for _, org := range []string{"x", "x", "x", "y", "z", "y"} {
		cs = append(cs, w.ask(dispatch.Ask{Model: "a", Org: org}))
	}
	retry := w.ask(dispatch.Ask{Model: "a", Org: "x", Retry: true})
	w.tell(share("i", "a", 1))
	last := retry
	for _, k := range []int{0, 3, 4, 1, 5, 2} { // x, y, z, x, y, x
		w.wantOn(last, "i")
		w.wantWaiting(cs[k])
		w.release(last)
		last = cs[k]
	}
	w.wantOn(last, "i")
}

func TestQueue_LeavingFreesAPlace(t *testing.T) {
	m := model("a")
	m.Queue.Limit = 1
	w := newWorld(t, m)
	c := w.ask(dispatch.Ask{Model: "a"})
	if !w.d.Leave(w.now, &c.Waiter) || w.d.Leave(w.now, &c.Waiter) {
		t.Error("a waiter must leave once")
	}
	next := w.ask(dispatch.Ask{Model: "a"})
	w.wantWaiting(next)
	w.tell(share("i", "a", 1))
	w.wantWaiting(c) // nobody is there for an answer
	w.wantOn(next, "i")
	if w.d.Leave(w.now, &next.Waiter) {
		t.Error("one that was answered cannot leave")
	}
}

func TestQueue_DeadlinesAreKept(t *testing.T) {
	m := model("a")
	m.Queue.MaxWait = 10 * time.Second
	w := newWorld(t, m)
	long, short := w.ask(dispatch.Ask{Model: "a", MaxWait: time.Hour}), w.ask(dispatch.Ask{Model: "a", MaxWait: 3 * time.Second})
	w.report()
	if at, ok := w.d.Next(); !ok || at != w.now+3*time.Second {
		t.Errorf("got next %s, %v, want in 3 s", at-w.now, ok)
	}
	w.now += 3 * time.Second
	w.d.Tick(w.now)
	w.wantErr(short, dispatch.ErrNoCapacity)
	w.wantWaiting(long)
	w.send(true, func(t *protocol.Table) { t.Outlooks = []protocol.Outlook{outlook("a", fleet.StartingUp)} })
	w.now += 7 * time.Second
	w.d.Tick(w.now)
	w.wantErr(long, dispatch.ErrActivationTimeout)
	if got := w.d.TakeAnswered(); len(got) != 2 || got[0].Value != short || got[1].Value != long {
		t.Errorf("got %d answered, want both in order", len(got))
	}
}

func TestQueue_RetryAvoidsTheInstanceThatFailedIt(t *testing.T) {
	w := newWorld(t, model("a"))
	w.tell(share("bad", "a", 4), share("good", "a", 1))
	retry := dispatch.Ask{Model: "a", Retry: true, Avoid: "bad"}
	c := w.ask(retry)
	w.wantOn(c, "good")
	w.wantWaiting(w.ask(retry)) // the other is full
	w.release(c)
	w.tell(share("bad", "a", 4))
	late := w.ask(retry)
	w.wantWaiting(late)
	w.now += 2 * time.Second
	w.d.Tick(w.now)
	w.wantOn(late, "bad") // it did not die, and there is no other
}

func TestOutlook_FailedStartsAreTold(t *testing.T) {
	w := newWorld(t, model("a"), model("b"))
	a, b := w.ask(dispatch.Ask{Model: "a"}), w.ask(dispatch.Ask{Model: "b"})
	w.send(true, func(t *protocol.Table) {
		o := outlook("a", fleet.BackingOff)
		o.Reason, o.ETA, o.Known = "its engine failed twice", 20*time.Second, true
		t.Outlooks = []protocol.Outlook{o, outlook("b", fleet.Busy)}
	})
	r := w.wantErr(a, dispatch.ErrActivationFailed)
	if r == nil || r.RetryAfter != 20*time.Second || !strings.Contains(r.Error(), "failed twice") {
		t.Errorf("got %+v, want retry after 20 s, and why", r)
	}
	w.wantWaiting(b)
	w.wantErr(w.ask(dispatch.Ask{Model: "a"}), dispatch.ErrActivationFailed)
	w.send(true, func(t *protocol.Table) {
		t.Outlooks = []protocol.Outlook{outlook("b", fleet.NeverFits)}
	})
	if r := w.wantErr(b, dispatch.ErrNoCapacity); r == nil || r.RetryAfter != 0 {
		t.Errorf("got %+v, want no retry", r)
	}
	w.wantWaiting(w.ask(dispatch.Ask{Model: "a"})) // a table without its outlook takes that back
}

func TestOutlook_OnlyHotLeavesWhenTheModelCools(t *testing.T) {
	w := newWorld(t, model("a"))
	w.wantErr(w.ask(dispatch.Ask{Model: "a", OnlyHot: true}), dispatch.ErrNotHot)
	w.tell(share("i", "a", 1))
	first := w.ask(dispatch.Ask{Model: "a"})
	hot, patient := w.ask(dispatch.Ask{Model: "a", OnlyHot: true}), w.ask(dispatch.Ask{Model: "a"})
	w.wantWaiting(hot)
	w.tell()
	w.wantErr(hot, dispatch.ErrNotHot)
	w.wantWaiting(patient)
	w.release(first)
	w.wantWaiting(patient)
}

func TestClose_AnswersEverybody(t *testing.T) {
	w := newWorld(t, model("a"))
	c := w.ask(dispatch.Ask{Model: "a"})
	w.d.Close(w.now)
	w.wantErr(c, dispatch.ErrShuttingDown)
	w.wantErr(w.ask(dispatch.Ask{Model: "a"}), dispatch.ErrShuttingDown)
}

func TestSetModels_RefusesNobodyWhoWaits(t *testing.T) {
	w := newWorld(t, model("old"), model("kept"))
	waits := w.ask(dispatch.Ask{Model: "old"})
	bounded, added := model("kept"), model("new")
	bounded.Queue.Limit = 1
	kept := []*client{w.ask(dispatch.Ask{Model: "kept"}), w.ask(dispatch.Ask{Model: "kept"})}
	w.d.SetModels([]*fleet.Model{added, bounded})
	w.wantErr(w.ask(dispatch.Ask{Model: "old"}), dispatch.ErrUnknownModel)
	w.wantErr(w.ask(dispatch.Ask{Model: "kept"}), dispatch.ErrQueueFull)
	fresh := w.ask(dispatch.Ask{Model: "new"})
	w.tell(share("o", "old", 1), share("k", "kept", 2), share("n", "new", 1))
	w.wantOn(waits, "o")
	w.wantOn(fresh, "n")
	for _, c := range kept {
		w.wantOn(c, "k")
	}
	w.release(waits)
	w.wantErr(w.ask(dispatch.Ask{Model: "old"}), dispatch.ErrUnknownModel)
	w.wantOn(w.ask(dispatch.Ask{Model: "old", Retry: true}), "o") // it was taken in before
	w.d.SetModels([]*fleet.Model{model("old")})
	w.wantWaiting(w.ask(dispatch.Ask{Model: "old"}))
}
