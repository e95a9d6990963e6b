package dispatch_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// world is one dispatcher with the planner's side played by a test.
type world struct {
	testing.TB
	d     *dispatch.Dispatcher
	now   time.Duration
	table protocol.Table // the last one sent
}

// client is one request.
type client struct {
	dispatch.Waiter
	lease  dispatch.Lease
	err    error // of Enqueue
	waited bool
}

func newWorld(t testing.TB, models ...*fleet.Model) *world {
	return &world{
		TB: t, d: dispatch.New(dispatch.Config{ID: "self", Incarnation: 1, Models: models}), now: time.Minute,
		table: protocol.Table{To: "self", Incarnation: 1, Term: 1},
	}
}

func model(id string) *fleet.Model { return &fleet.Model{ID: id, GPUs: 8, MaxConcurrency: 4} }

func share(instance, model string, slots int) protocol.Share {
	return protocol.Share{Instance: instance, Model: model, Slots: slots, Addr: "addr-" + instance}
}

// tell sends the next table, and wants it taken.
func (w *world) tell(shares ...protocol.Share) {
	w.Helper()
	w.send(true, func(t *protocol.Table) { t.Shares = shares })
}

// send sends the next table, and wants it taken or not.
func (w *world) send(want bool, change func(*protocol.Table)) {
	w.Helper()
	w.table.Seq++
	t := w.table
	change(&t)
	if got := w.d.Receive(w.now, &t); got != want {
		w.Fatalf("table %d/%d: taken %v, want %v", t.Term, t.Seq, got, want)
	}
}

func outlook(model string, a fleet.Answer) protocol.Outlook {
	return protocol.Outlook{Outlook: fleet.Outlook{Model: model, Answer: a}}
}

// ask makes a request, which is served at once, waits, or is refused.
func (w *world) ask(ask dispatch.Ask) *client {
	c := &client{}
	w.askAs(c, ask)
	return c
}

func (w *world) askAs(c *client, ask dispatch.Ask) {
	if w.d.Acquire(w.now, &ask, &c.lease) {
		return
	}
	c.waited = true
	c.Value = c
	c.err = w.d.Enqueue(w.now, &ask, &c.Waiter, &c.lease)
}

// state says where the request stands: on an instance, waiting, or refused with an error.
func (c *client) state() (instance string, err error) {
	if !c.waited {
		return c.lease.Instance, nil
	}
	if c.err != nil {
		return "", c.err
	}
	l, err := c.Answer()
	if l == nil {
		return "", err
	}
	return l.Instance, nil
}

func (w *world) wantOn(c *client, instance string) {
	w.Helper()
	if got, err := c.state(); got != instance || err != nil {
		w.Errorf("got a lease on %q, %v, want one on %q", got, err, instance)
	}
}

func (w *world) wantWaiting(c *client) {
	w.Helper()
	if got, err := c.state(); got != "" || err != nil {
		w.Errorf("got %q, %v, want it to wait", got, err)
	}
}

func (w *world) wantErr(c *client, want error) *dispatch.Refusal {
	w.Helper()
	_, err := c.state()
	if !errors.Is(err, want) {
		w.Errorf("got %v, want %v", err, want)
	}
	var r *dispatch.Refusal
	errors.As(err, &r)
	return r
}

func (w *world) release(c *client) {
	w.Helper()
	if !w.d.Release(w.now, &c.lease) {
		w.Error("a lease could not be released")
	}
}

// report takes the next report as a planner in the same process does.
func (w *world) report() *protocol.Report {
	r := &protocol.Report{}
	w.d.Report(w.now, r)
	w.d.Heard(r.Seq)
	return r
}
