package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/plan"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// simulation is one run: the two machines, the cluster around them, and the moment.
type simulation struct {
	cfg        *Config
	now        time.Duration
	end        time.Duration // the last arrival; valid once drained
	epoch      time.Time
	planner    *plan.Planner
	dispatcher *dispatch.Dispatcher
	report     protocol.Report
	due        time.Duration // when the planner must be looked at
	timed      bool
	observed   uint64

	agenda  agenda
	byModel map[string]int     // model -> index in the profiles
	engines map[string]*engine // instance -> engine
	slots   map[string]*slot   // ID -> slot
	waiting map[*request]bool  // those without a lease
	spare   []*request         // to be used again
	moves   uint64
	score   score
}

// request is one request from its arrival until it has been served.
type request struct {
	trace.Request
	waiter dispatch.Waiter
	lease  dispatch.Lease
	engine *engine
}

const (
	serverID    = "server"
	ctxEvery    = 4096      // steps between two looks at the context
	longestTail = time.Hour // after the last arrival; who still waits then is scored with what he has waited until the last arrival
)

// Run simulates one policy. It looks at ctx now and then.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	reader, err := trace.Open(cfg.Trace, cfg.Profiles)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	policy, idleAfter, err := newPolicy(&cfg)
	if err != nil {
		return nil, err
	}
	s := newSimulation(&cfg, policy, cfg.models(idleAfter), cfg.pool(), cfg.learned())
	return s.play(ctx, reader)
}

// Source gives requests in order of arrival; io.EOF = there are no more.
type Source interface {
	Read(q *trace.Request) error
}

// play runs the simulation to its end.
func (s *simulation) play(ctx context.Context, requests Source) (*Result, error) {
	if err := s.run(ctx, requests); err != nil {
		return nil, fmt.Errorf("simulating %s: %w", s.cfg.Policy, err)
	}
	return s.result(), nil
}

func newSimulation(cfg *Config, policy activator.Policy, models []*fleet.Model, pool fleet.Pool, learned []fleet.Learned) *simulation {
	s := &simulation{
		cfg: cfg, epoch: cfg.epoch(), byModel: make(map[string]int), engines: make(map[string]*engine),
		waiting: make(map[*request]bool), slots: make(map[string]*slot), score: newScore(cfg),
		dispatcher: dispatch.New(dispatch.Config{ID: serverID, Incarnation: 1, Models: models}),
		planner: plan.New(plan.Config{
			Policy: policy, Models: models, Learned: learned, Term: 1, Epoch: cfg.epoch(), Seed: cfg.Seed, IdleCost: cfg.IdleCost, Patience: cfg.Patience, Residence: cfg.Residence,
			Pools: []fleet.Pool{pool},
		}),
	}
	for i := range cfg.Profiles {
		s.byModel[cfg.Profiles[i].Model] = i
	}
	return s
}

// run plays the trace to its end, and on until everything is answered.
func (s *simulation) run(ctx context.Context, requests Source) error {
	s.furnish()
	var next trace.Request
	err := requests.Read(&next)
	for steps := 0; err == nil; steps++ {
		if steps%ctxEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if at, ok := s.next(); ok && at < next.At {
			s.step(at)
			continue
		}
		s.now = next.At
		s.arrive(&next)
		s.end = s.now
		err = requests.Read(&next)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.lapse(ctx); err != nil {
		return err
	}
	s.close()
	for steps := 0; len(s.waiting) > 0; steps++ {
		at, ok := s.next()
		if !ok || at > s.end+longestTail {
			break
		}
		if steps%ctxEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.step(at)
	}
	for r := range s.waiting {
		s.score.wait(r.Model, s.cfg.Profiles[r.Model].GPUs, r.At, s.end-r.At)
	}
	return nil
}

// lapse lets the time go by between the last arrival and the moment until which is scored.
func (s *simulation) lapse(ctx context.Context) error {
	if s.cfg.Until <= s.end {
		return nil
	}
	for steps := 0; ; steps++ {
		at, ok := s.next()
		if !ok || at > s.cfg.Until {
			break
		}
		if steps%ctxEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.step(at)
	}
	s.now, s.end = s.cfg.Until, s.cfg.Until
	return nil
}

// close counts what is held at the end of the trace; what follows is not scored.
func (s *simulation) close() {
	for _, e := range s.engines {
		s.account(e)
	}
	for _, at := range s.slots {
		s.accountSlot(at)
	}
	s.score.closed = true
}

// next gives the moment at which something happens by itself.
func (s *simulation) next() (time.Duration, bool) {
	at, ok := s.agenda.next()
	if s.timed && (!ok || s.due < at) {
		at, ok = s.due, true
	}
	if due, set := s.dispatcher.Next(); set && (!ok || due < at) {
		at, ok = due, true
	}
	return max(at, s.now), ok
}

// step moves to a moment and does what is due there.
func (s *simulation) step(at time.Duration) {
	s.now = at
	if first, ok := s.agenda.next(); ok && first <= at {
		e := s.agenda.pop()
		switch {
		case e.request != nil:
			s.finish(e.request)
		case e.slot != nil:
			s.slotArrived(e.slot)
		case e.engine.move == e.move:
			s.arrived(e.engine)
		}
		s.settle()
		return
	}
	s.dispatcher.Tick(at)
	if s.timed && s.due <= at {
		s.exchange()
	}
	s.settle()
}

// arrive takes one request.
func (s *simulation) arrive(q *trace.Request) {
	r := s.request()
	r.Request = *q
	ask := dispatch.Ask{Model: s.cfg.Profiles[q.Model].Model}
	if s.dispatcher.Acquire(s.now, &ask, &r.lease) {
		s.dispatch(r)
	} else {
		r.waiter.Value = r
		if err := s.dispatcher.Enqueue(s.now, &ask, &r.waiter, &r.lease); err != nil {
			s.refuse(r)
		} else {
			s.waiting[r] = true
		}
	}
	s.settle()
}

// request gives an empty request.
func (s *simulation) request() *request {
	if n := len(s.spare); n > 0 {
		r := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return r
	}
	return &request{}
}

// dispatch sends a request that has its lease to its engine.
func (s *simulation) dispatch(r *request) {
	e := s.engines[r.lease.Instance]
	p := e.profile
	s.score.wait(r.Model, p.GPUs, r.At, s.now-r.At)
	if e.inflight == 0 {
		s.account(e)
	}
	e.inflight++
	r.engine = e
	s.agenda.push(event{at: s.now + p.Service(&r.Request, e.inflight), request: r})
}

// refuse ends a request whose model no slot can ever hold: nothing else is refused, for there are no limits.
func (s *simulation) refuse(r *request) {
	s.score.refuse(r.At)
	*r = request{}
	s.spare = append(s.spare, r)
}

// finish ends a request.
func (s *simulation) finish(r *request) {
	e := r.engine
	if e.inflight == 1 {
		s.account(e)
	}
	e.inflight--
	s.dispatcher.Release(s.now, &r.lease)
	r.engine = nil
	s.spare = append(s.spare, r)
}

// settle hands messages over while any are due, and carries out what comes of them.
func (s *simulation) settle() {
	for {
		if s.dispatcher.ReportDue(s.now) {
			s.exchange()
		}
		for _, w := range s.dispatcher.TakeAnswered() {
			r := w.Value.(*request)
			delete(s.waiting, r)
			if _, err := w.Answer(); err != nil {
				s.refuse(r)
				continue
			}
			s.dispatch(r)
		}
		acts := s.planner.TakeActs()
		if len(acts) == 0 {
			return
		}
		for k := range acts {
			s.perform(&acts[k])
			s.planner.Accepted(s.now, &acts[k], nil)
		}
		s.exchange()
	}
}

// exchange hands reports and tables over until both machines are quiet, as the activator's shell does.
func (s *simulation) exchange() {
	for range exchangesMost {
		s.dispatcher.Report(s.now, &s.report)
		if s.planner.Hear(s.now, &s.report) {
			s.dispatcher.Heard(s.report.Seq)
		}
		s.planner.Step(s.now)
		for _, t := range s.planner.TakeTables() {
			s.dispatcher.Receive(s.now, t)
		}
		if !s.dispatcher.ReportDue(s.now) {
			break
		}
	}
	s.planner.TakeNotices()
	s.planner.TakeLearned()
	s.planner.TakeEnded()
	s.due, s.timed = s.planner.Next(s.now)
}

const exchangesMost = 32

// observe tells the planner what the cluster has seen.
func (s *simulation) observe(o *fleet.Observation) {
	s.observed++
	o.Source, o.Seq, o.At = "simulate", s.observed, s.epoch.Add(s.now)
	s.planner.Observe(s.now, o)
	s.exchange()
}
