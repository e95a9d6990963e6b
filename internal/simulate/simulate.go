package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
	s := newSimulation(&cfg, policy, idleAfter)
	if err := s.run(ctx, reader); err != nil {
		return nil, fmt.Errorf("simulating %s: %w", cfg.Policy, err)
	}
	return s.result(), nil
}

func newSimulation(cfg *Config, policy activator.Policy, idleAfter time.Duration) *simulation {
	models := cfg.models(idleAfter)
	s := &simulation{
		cfg: cfg, epoch: epoch, byModel: make(map[string]int), engines: make(map[string]*engine),
		waiting: make(map[*request]bool), score: newScore(cfg.Warmup, len(cfg.Profiles)),
		dispatcher: dispatch.New(dispatch.Config{ID: serverID, Incarnation: 1, Models: models}),
		planner: plan.New(plan.Config{
			Policy: policy, Models: models, Learned: cfg.learned(), Term: 1, Epoch: epoch, Seed: cfg.Seed, IdleCost: cfg.IdleCost, Patience: cfg.Patience, Residence: cfg.Residence,
			Pools: []fleet.Pool{{
				Name: poolName, GPUsPerSlot: cfg.GPUsPerNode, HostMemory: cfg.HostMemory, MaxParkedPerGPU: cfg.ParkedPerGPU,
				SlotIdle: unbounded, Slots: fleet.Range{Min: cfg.Nodes, Max: cfg.Nodes},
			}},
		}),
	}
	for i := range cfg.Profiles {
		s.byModel[cfg.Profiles[i].Model] = i
	}
	return s
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// run plays the trace to its end, and on until everything is answered.
func (s *simulation) run(ctx context.Context, reader *trace.Reader) error {
	s.furnish()
	var next trace.Request
	err := reader.Read(&next)
	for steps := 0; err == nil; steps++ {
		if steps%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if at, ok := s.next(); ok && at < next.At {
			s.step(at)
			continue
		}
		s.now = next.At
		s.arrive(&next)
		s.end = s.now
		err = reader.Read(&next)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	s.close()
	for len(s.waiting) > 0 {
		at, ok := s.next()
		if !ok || at > s.end+longestTail {
			break
		}
		s.step(at)
	}
	for r := range s.waiting {
		s.score.wait(r.Model, s.cfg.Profiles[r.Model].GPUs, r.At, s.end-r.At)
	}
	return nil
}

// close counts what is held at the end of the trace; what follows is not scored.
func (s *simulation) close() {
	for _, e := range s.engines {
		s.account(e)
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
			panic(fmt.Sprintf("simulate: a request was refused: %v", err)) // there are no limits
		}
		s.waiting[r] = true
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
				panic(fmt.Sprintf("simulate: a request was refused: %v", err))
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

// furnish shows the planner the empty cluster, with whatever has been parked there before.
func (s *simulation) furnish() {
	o := fleet.Observation{Complete: true}
	for n := range s.cfg.Nodes {
		id := fmt.Sprintf("node%d", n)
		o.Slots = append(o.Slots, fleet.Slot{ID: id, Pool: poolName, Node: id, GPUs: s.cfg.GPUsPerNode, Host: s.cfg.HostMemory})
	}
	if s.cfg.StartParked && parks(s.cfg.Policy) {
		for _, e := range s.parkAll(o.Slots) {
			o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Phase: fleet.PhaseReady, Running: -1, Parks: true})
		}
	}
	s.settle()
	s.observe(&o)
	s.settle()
}

// parkAll gives the engines that were started and parked before: the largest first, each where the fewest are homed, while room lasts.
func (s *simulation) parkAll(slots []fleet.Slot) []*engine {
	order := make([]int, len(s.cfg.Profiles))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return s.cfg.Profiles[b].GPUs - s.cfg.Profiles[a].GPUs })
	homes := newHomes(s.cfg)
	var all []*engine
	for n, m := range order {
		p := &s.cfg.Profiles[m]
		node, gpu, ok := homes.roomiest(p)
		if !ok {
			continue
		}
		homes.enter(p, node, gpu)
		e := &engine{
			Instance: fleet.Instance{
				ID: engineID(n), Model: p.Model, Slot: slots[node].ID, Node: slots[node].Node, GPU: gpu, GPUs: p.GPUs, State: fleet.Asleep,
			},
			profile: p, model: m,
		}
		s.engines[e.ID] = e
		all = append(all, e)
	}
	return all
}
