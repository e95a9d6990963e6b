package dispatch_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// twins are two dispatchers with the same requests. One gets whole tables and gives whole reports, the other partial ones: what they
// grant, hold and say must be the same.
type twins struct {
	*rapid.T
	models       []*fleet.Model
	now          time.Duration
	whole, parts *dispatch.Dispatcher
	told         protocol.Table // what the planner means
	before       protocol.Table // as of the last table
	clients      []*twinClient
	held         map[string]protocol.Held   // as the partial reports say
	demands      map[string]protocol.Demand // as they say
}

type twinClient struct {
	ask  dispatch.Ask
	of   [2]client
	over bool
}

func TestProperties_PartialMessagesSayTheSame(t *testing.T) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // rapid replays failures that it saved without saying so
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := newTwins(t)
		w.tellBoth()
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			w.step()
			w.compare()
		}
	})
}

func newTwins(t *rapid.T) *twins {
	w := &twins{T: t, now: time.Minute, held: make(map[string]protocol.Held), demands: make(map[string]protocol.Demand)}
	for i := range 3 {
		m := model(fmt.Sprint("m", i))
		m.Queue = fleet.QueueLimits{Limit: 6, PerOrg: 4, MaxWait: 30 * time.Second}
		w.models = append(w.models, m)
	}
	cfg := dispatch.Config{ID: "self", Incarnation: 1, Models: w.models}
	w.whole, w.parts = dispatch.New(cfg), dispatch.New(cfg)
	w.told = protocol.Table{To: "self", Incarnation: 1, Term: 1}
	return w
}

func (w *twins) choose(n int) int { return rapid.IntRange(0, n-1).Draw(w.T, "choice") }

func (w *twins) step() {
	switch w.choose(8) {
	case 0, 1, 2:
		w.request()
	case 3:
		w.end()
	case 4:
		w.now += time.Duration(w.choose(5000)) * time.Millisecond
		w.whole.Tick(w.now)
		w.parts.Tick(w.now)
	case 5, 6:
		w.change()
		w.tellBoth()
	case 7:
		if held := w.whole.Instances(); len(held) > 0 {
			id, b := held[w.choose(len(held))].ID, dispatch.BreakerState(w.choose(3))
			w.whole.SetBreaker(w.now, id, b)
			w.parts.SetBreaker(w.now, id, b)
		}
	}
}

func (w *twins) request() {
	c := &twinClient{ask: dispatch.Ask{Model: w.models[w.choose(3)].ID, Org: []string{"x", "y"}[w.choose(2)], OnlyHot: w.choose(4) == 0, Retry: w.choose(6) == 0}}
	for k, d := range []*dispatch.Dispatcher{w.whole, w.parts} {
		one := world{d: d, now: w.now}
		one.askAs(&c.of[k], c.ask)
	}
	w.clients = append(w.clients, c)
}

// end lets a client leave, or give its lease back.
func (w *twins) end() {
	if len(w.clients) == 0 {
		return
	}
	c := w.clients[w.choose(len(w.clients))]
	for k, d := range []*dispatch.Dispatcher{w.whole, w.parts} {
		switch on, err := c.of[k].state(); {
		case on != "":
			d.Release(w.now, &c.of[k].lease)
		case err == nil:
			d.Leave(w.now, &c.of[k].Waiter)
		}
	}
	c.over = true
	w.clients = slices.DeleteFunc(w.clients, func(c *twinClient) bool { return c.over })
}

// change changes what the planner means.
func (w *twins) change() {
	for range 1 + w.choose(3) {
		m := w.models[w.choose(3)].ID
		id := fmt.Sprint(m, "/", w.choose(3))
		w.told.Shares = slices.DeleteFunc(w.told.Shares, func(s protocol.Share) bool { return s.Instance == id })
		if n := w.choose(4); n > 0 {
			w.told.Shares = append(w.told.Shares, share(id, m, n))
		}
		w.told.Outlooks = slices.DeleteFunc(w.told.Outlooks, func(o protocol.Outlook) bool { return o.Model == m })
		if a := []fleet.Answer{"", fleet.Busy, fleet.StartingUp, fleet.BackingOff, fleet.NeverFits}[w.choose(5)]; a != "" {
			w.told.Outlooks = append(w.told.Outlooks, outlook(m, a))
		}
	}
}

// tellBoth sends the whole table to one and what has changed to the other.
func (w *twins) tellBoth() {
	w.told.Seq++
	t := w.told
	if !w.whole.Receive(w.now, &t) {
		w.Fatal("the whole table was not taken")
	}
	if w.told.Seq > 1 {
		t.Partial = true
		t.Shares, t.Outlooks = difference(&w.before, &w.told)
	}
	if !w.parts.Receive(w.now, &t) {
		w.Fatal("the partial table was not taken")
	}
	w.before = w.told
	w.before.Shares, w.before.Outlooks = slices.Clone(w.told.Shares), slices.Clone(w.told.Outlooks)
}

// difference gives what has changed. The order of new shares stays, because it decides between equals.
func difference(before, after *protocol.Table) (shares []protocol.Share, outlooks []protocol.Outlook) {
	for _, s := range before.Shares {
		if !slices.ContainsFunc(after.Shares, func(o protocol.Share) bool { return o.Instance == s.Instance }) {
			s.Slots = 0
			shares = append(shares, s)
		}
	}
	for _, s := range after.Shares {
		if !slices.Contains(before.Shares, s) {
			shares = append(shares, s)
		}
	}
	for _, o := range before.Outlooks {
		if !slices.ContainsFunc(after.Outlooks, func(p protocol.Outlook) bool { return p.Model == o.Model }) {
			outlooks = append(outlooks, outlook(o.Model, ""))
		}
	}
	for _, o := range after.Outlooks {
		if !slices.Contains(before.Outlooks, o) {
			outlooks = append(outlooks, o)
		}
	}
	return shares, outlooks
}

// compare holds the twins against each other, and the sum of all partial reports against a whole one.
func (w *twins) compare() {
	for _, c := range w.clients {
		on, err := c.of[0].state()
		otherOn, otherErr := c.of[1].state()
		if on != otherOn || fmt.Sprint(err) != fmt.Sprint(otherErr) {
			w.Fatalf("%+v: got %q, %v with whole messages, %q, %v with partial ones", c.ask, on, err, otherOn, otherErr)
		}
	}
	w.whole.TakeAnswered()
	w.parts.TakeAnswered()
	if w.choose(3) == 0 {
		return // they report together what happened in several steps
	}
	var whole, part protocol.Report
	w.whole.Report(w.now, &whole)
	w.parts.Report(w.now, &part)
	w.parts.Heard(part.Seq)
	for _, h := range part.Held {
		w.held[h.Instance] = h
		if h.Slots+h.Leases == 0 {
			delete(w.held, h.Instance)
		}
	}
	want := make(map[string]protocol.Held)
	for _, h := range whole.Held {
		want[h.Instance] = h
	}
	if diff := cmp.Diff(want, w.held, cmpopts.IgnoreFields(protocol.Held{}, "Idle")); diff != "" || !part.Partial && part.Seq > 1 {
		w.Fatalf("held, as the partial reports say (-want +got):\n%s", diff)
	}
	for _, d := range part.Demands {
		w.demands[d.Model] = d
	}
	for _, d := range whole.Demands {
		p := w.demands[d.Model]
		if got, want := [2]int{p.Waiting, p.Inflight}, [2]int{d.Waiting, d.Inflight}; got != want {
			w.Fatalf("%s: got %v waiting and in flight from partial reports, want %v", d.Model, got, want)
		}
	}
}
