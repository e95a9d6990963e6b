package activator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	// tablesLast is longer than it takes another server to lead where the leader dies, so that hot models are served meanwhile.
	tablesLast  = 12 * time.Second
	resendAfter = time.Second // what is not acknowledged by then is lost
	reportEvery = time.Second // what is not urgent
	mailMost    = 64          // tables that wait for one server; more, and it is told everything anew
)

var errSteppedDown = errors.New("this server leads no more")

// Servers is an activator among several of one cluster. One of them leads, and has the planner. The others hold their own waiters, grant leases on the shares
// that its tables give them, and report to it.
//
//	follower: NextReport ──► Hear      :leader
//	          Take       ◄── Tables
type Servers struct{ of *Activator }

// ServersOf gives an activator among the others of its cluster. Its Config has a Server.
func ServersOf(a *Activator) Servers { return Servers{a} }

// Tenure is what a server begins to lead with. Term is required.
type Tenure struct {
	Term    uint64                   // larger than any before; the back end must refuse older ones by now
	Learned []fleet.Learned          // what activations took in earlier lives
	Former  *protocol.Handover       // what the server that led before has left; nil = it did not end in order
	Left    func(*protocol.Handover) // called once this one gives nothing out any more, with what it leaves to the next; nil = nobody is told
}

// Lead makes the planner of a tenure and watches the observers until ctx is done; then there is none here any more, and what it had under way is cut short. It
// may be called again, with a larger term.
func (s Servers) Lead(ctx context.Context, t Tenure) {
	a := s.of
	ctx, end := context.WithCancelCause(ctx)
	a.published.mu.Lock()
	a.planning.Lock()
	a.published.view = plan.View{}
	a.planner, a.heard, a.tenure = newPlanner(a, &t), 0, ctx
	a.watches = newWatches(a, a.cfg.Observers)
	watches := a.watches
	follow(a, false)
	a.exchange()
	a.finishPlanning()
	a.published.mu.Unlock()
	var watching sync.WaitGroup
	for _, w := range watches {
		watching.Go(func() { w.run(ctx) })
	}
	<-ctx.Done()
	left := stepDown(a)
	end(errSteppedDown)
	if t.Left != nil {
		t.Left(left)
	}
	watching.Wait()
}

// stepDown ends the planner, and gives what it leaves to the next.
func stepDown(a *Activator) *protocol.Handover {
	a.planning.Lock()
	defer a.planning.Unlock()
	left := plan.HandOver(a.planner, a.now())
	a.planner, a.watches, a.due = nil, nil, never
	a.acts.drop()
	for _, box := range a.mail {
		close(box.ended)
	}
	clear(a.mail)
	follow(a, true)
	return left
}

// follow notes whether the planner is elsewhere. It is called with planning held.
func follow(a *Activator, follows bool) {
	a.leasing.Lock()
	defer a.leasing.Unlock()
	a.follows = follows
	poke(a.reporting)
}

// following says that what a planner decides cannot be asked for here; nil = it can. It is called with planning held.
func following(a *Activator) error {
	if a.planner == nil {
		return ErrFollows
	}
	return nil
}

// inTenure gives a context that ends with the planner, too.
func inTenure(ctx context.Context, a *Activator) (context.Context, func()) {
	a.planning.Lock()
	tenure := a.tenure
	a.planning.Unlock()
	if tenure == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(tenure, func() { cancel(errSteppedDown) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Heard says that a planner has taken a report.
type Heard struct{ Term, Seq uint64 }

// Hear takes the report of another server. It is false where it is not newer than the last, or adds to one that was not heard: then the next must be
// whole. The error is ErrFollows where this server does not lead.
func (s Servers) Hear(r *protocol.Report) (Heard, bool, error) {
	a := s.of
	a.planning.Lock()
	if a.planner == nil || r.From == a.cfg.Server {
		a.planning.Unlock()
		return Heard{}, false, ErrFollows
	}
	taken := a.planner.Hear(a.now(), r)
	h := Heard{Term: a.planner.Term(), Seq: r.Seq}
	a.exchange()
	a.finishPlanning()
	return h, taken, nil
}

// Tables calls f with the tables for a server as they come, in order, until ctx is done, f returns an error, this server leads no more, or another
// call is made for the same server. The error says which.
func (s Servers) Tables(ctx context.Context, server string, f func([]*protocol.Table) error) error {
	a := s.of
	box := &outbox{fresh: make(chan struct{}, 1), ended: make(chan struct{})}
	a.planning.Lock()
	if a.planner == nil {
		a.planning.Unlock()
		return ErrFollows
	}
	if old := a.mail[server]; old != nil {
		close(old.ended)
	}
	a.mail[server] = box
	a.planning.Unlock()
	defer unlisten(a, server, box)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-box.ended:
			return ErrFollows
		case <-box.fresh:
		}
		a.planning.Lock()
		tables := take(&box.mail)
		a.planning.Unlock()
		if len(tables) > 0 {
			if err := f(tables); err != nil {
				return err
			}
		}
	}
}

// Take takes a table of the server that leads.
func (s Servers) Take(t *protocol.Table) {
	a := s.of
	a.leasing.Lock()
	now := a.now()
	if a.follows {
		a.dispatcher.Receive(now, t)
	}
	a.finishLeasing(now)
}

// NextReport waits until there is something to tell the server that leads, at once where it is urgent, else each second, and gives that; false = ctx is done, or
// this server leads.
func (s Servers) NextReport(ctx context.Context) (*protocol.Report, bool) {
	a := s.of
	timer := time.NewTimer(reportEvery)
	defer timer.Stop()
	for beat := false; ; {
		a.leasing.Lock()
		if !a.follows || ctx.Err() != nil {
			a.leasing.Unlock()
			return nil, false
		}
		if dispatch.Urgent(a.dispatcher) || beat {
			r := &protocol.Report{}
			a.dispatcher.Report(a.now(), r)
			r.Condemned = slices.Clone(a.breakers.condemned)
			a.leasing.Unlock()
			return r, true
		}
		a.leasing.Unlock()
		select {
		case <-ctx.Done():
		case <-a.reporting:
		case <-timer.C:
			beat = true
		}
	}
}

// Told notes that the server that leads has taken a report: the next one tells what has changed since.
func (s Servers) Told(r *protocol.Report, h Heard) {
	a := s.of
	a.leasing.Lock()
	defer a.leasing.Unlock()
	if a.follows && dispatch.ExpiryOf(a.dispatcher).Term() == h.Term && h.Seq == r.Seq {
		a.dispatcher.Heard(r.Seq)
	}
	a.breakers.condemned = slices.DeleteFunc(a.breakers.condemned, func(id string) bool { return slices.Contains(r.Condemned, id) })
}

// Farewell is what a server says last: nothing of what it held is held any more. Its leases must have ended.
func (s Servers) Farewell() *protocol.Report {
	a := s.of
	a.leasing.Lock()
	defer a.leasing.Unlock()
	r := &protocol.Report{}
	a.dispatcher.Report(a.now(), r)
	return &protocol.Report{From: r.From, Incarnation: r.Incarnation + 1, Seq: 1, Farewell: true}
}

// Vouched has every instance asked about, by ask, that this server could lease but for the age of its last table, where that has expired or is about to
// within ahead. Those for which ask returns true may be leased for so long.
func (s Servers) Vouched(ctx context.Context, ahead, good time.Duration, ask func(ctx context.Context, term uint64, i dispatch.Shared) bool) {
	a := s.of
	a.leasing.Lock()
	e := dispatch.ExpiryOf(a.dispatcher)
	at, expires := e.At()
	var shares []dispatch.Shared
	if expires && a.now() >= at-ahead {
		shares = e.Shares()
	}
	term := e.Term()
	a.leasing.Unlock()
	var asking sync.WaitGroup
	defer asking.Wait()
	turn := make(chan struct{}, vouchesAtOnce)
	for _, i := range shares {
		turn <- struct{}{}
		asking.Go(func() {
			defer func() { <-turn }()
			asked := a.now()
			if !ask(ctx, term, i) {
				return
			}
			a.leasing.Lock()
			now := a.now()
			if e.Term() == term {
				e.Vouch(now, i.Instance, asked+good)
			}
			a.finishLeasing(now)
		})
	}
}

const vouchesAtOnce = 32
