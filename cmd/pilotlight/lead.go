package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// lead is this server's right to act for its cluster. On one machine whoever has the data directory has it; on Nomad the lock in Consul says so.
//
//	waits ──► leads ◄──► unsure ──► fenced: another server has taken over, and this one ends
type lead struct {
	lock    *consul.Lock // nil = the data directory's lock is all there is
	log     *slog.Logger
	metrics *metrics.Set

	stop    context.CancelFunc // of the lock; nil = it does not run
	running sync.WaitGroup

	term    uint64        // of this life
	begun   atomic.Bool   // the term counts
	fenced  chan struct{} // closed once back ends refuse older terms
	refused chan struct{} // closed once a back end has refused our term
	refuse  sync.Once
}

var (
	errTakenOver = errors.New("another server has taken over")
	errNotOurs   = errors.New("the lead was lost while the server started")
)

const (
	fenceWithin     = 3 * time.Second // at the start, until it goes on beside the server
	fenceAgainFirst = 200 * time.Millisecond
	fenceAgainMost  = 10 * time.Second
)

// newLead makes a lead that lies with the lock.
func newLead(lock *consul.Lock, log *slog.Logger) *lead {
	l := &lead{lock: lock, log: log, metrics: metrics.NewSet(), fenced: make(chan struct{}), refused: make(chan struct{})}
	l.metrics.NewGauge("pilotlight_leader", func() float64 {
		if l.leads() {
			return 1
		}
		return 0
	})
	return l
}

// contend begins to contend for the lock, unless it does already; yield ends that.
func (l *lead) contend() {
	if l.lock == nil || l.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.running.Go(func() { _ = l.lock.Run(ctx) }) // it has no error of its own
}

// await waits until the lock is ours; false = ctx is done.
func (l *lead) await(ctx context.Context) bool {
	for {
		s, changed := l.standing()
		if s.Stage == consul.Holding {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// yield gives the lead up, so that another server need not wait.
func (l *lead) yield() {
	if l.stop != nil {
		l.stop()
		l.running.Wait()
	}
}

// standing tells how this server stands; the channel is closed when that changes, nil = it never does.
func (l *lead) standing() (consul.Standing, <-chan struct{}) {
	if l.lock == nil {
		return consul.Standing{Stage: consul.Holding}, nil
	}
	return l.lock.Standing()
}

func (l *lead) leads() bool {
	s, _ := l.standing()
	return l.begun.Load() && s.Stage == consul.Holding && l.err() == nil
}

// err says that another server has taken over; nil = none has.
func (l *lead) err() error {
	select {
	case <-l.refused:
		return errTakenOver
	default:
	}
	if s, _ := l.standing(); s.Stage == consul.Taken {
		return errTakenOver
	}
	return nil
}

// begin takes a term larger than any before, and has the back end refuse older ones. Where it has to do with a newer one, although the lead is
// ours, the store was lost or put back: then the clock gives one more term.
func (l *lead) begin(ctx context.Context, terms *store.Store, backend activator.Backend, now time.Time) error {
	s, _ := l.standing()
	err := l.beginAbove(ctx, terms, backend, now, s.Term)
	if errors.Is(err, fleet.ErrFenced) {
		l.log.Warn("the term is older than one that has been seen: was the store lost, or put back from a copy?", "term", l.term, "reason", err)
		err = l.beginAbove(ctx, terms, backend, now, max(l.term, uint64(now.UnixMilli())))
	}
	if err != nil {
		return fmt.Errorf("beginning term %d: %w", l.term, err)
	}
	l.begun.Store(true)
	return nil
}

func (l *lead) beginAbove(ctx context.Context, terms *store.Store, backend activator.Backend, now time.Time, seen uint64) (err error) {
	if l.term, err = terms.NextTerm(ctx, now, seen); err != nil {
		return err
	}
	if err := l.claim(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fenceWithin)
	defer cancel()
	switch err := backend.Fence(ctx, l.term); {
	case err == nil:
		close(l.fenced)
	case errors.Is(err, fleet.ErrFenced):
		return err
	default:
		l.log.Warn("acts of older terms are not fenced yet", "term", l.term, "reason", err)
	}
	return nil
}

// claim writes the term into the lock, where the next server finds it.
func (l *lead) claim(ctx context.Context) error {
	if l.lock == nil {
		return nil
	}
	ours, err := l.lock.Claim(ctx, l.term)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotOurs, err)
	}
	if !ours {
		return errNotOurs
	}
	return nil
}

// run keeps the lead until ctx is done, and gives it up.
func (l *lead) run(ctx context.Context, a *activator.Activator, backend activator.Backend) error {
	defer l.yield()
	return l.keep(ctx, a, backend)
}

// keep fences what could not be fenced before, and suspends the activator while it is not certain that nobody else leads. It returns nil when ctx is done, and
// errTakenOver when another server has taken over.
func (l *lead) keep(ctx context.Context, a *activator.Activator, backend activator.Backend) error {
	ctx, cancel := context.WithCancel(ctx)
	var fencing sync.WaitGroup
	defer fencing.Wait()
	defer cancel()
	fencing.Go(func() { l.keepFencing(ctx, backend) })
	stage := consul.Holding
	for {
		s, changed := l.standing()
		if s.Stage != stage {
			stage = s.Stage
			l.note(a, s)
		}
		if err := l.err(); err != nil {
			a.Suspend("another server has taken over")
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-l.refused:
		}
	}
}

// note acts on a stage.
func (l *lead) note(a *activator.Activator, s consul.Standing) {
	switch s.Stage {
	case consul.Holding:
		l.log.Info("the lead is confirmed again", "term", l.term)
		a.Resume()
	case consul.Unsure:
		l.log.Warn("the lead is not confirmed: nothing is started or stopped, hot models serve on", "term", l.term, "reason", s.Trouble)
		a.Suspend("it is not certain which server leads")
	case consul.Taken:
		l.log.Error("another server has taken over: this one ends", "leader", s.Leader, "term", l.term, "its_term", s.Term)
	}
}

func (l *lead) keepFencing(ctx context.Context, backend activator.Backend) {
	for delay := fenceAgainFirst; ; delay = min(2*delay, fenceAgainMost) {
		select {
		case <-l.fenced:
			return
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		switch err := backend.Fence(ctx, l.term); {
		case err == nil:
			l.log.Info("acts of older terms are fenced", "term", l.term)
			close(l.fenced)
		case errors.Is(err, fleet.ErrFenced):
			l.overtaken(err)
			return
		}
	}
}

// overtaken notes that a back end has refused our term.
func (l *lead) overtaken(err error) {
	l.refuse.Do(func() {
		l.log.Error("another server has taken over: this one ends", "term", l.term, "reason", err)
		close(l.refused)
	})
}

// confirm returns nil once nobody else can be leading, and acts of older terms are fenced.
func (l *lead) confirm(ctx context.Context) error {
	select {
	case <-l.fenced:
	case <-l.refused:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := l.err(); err != nil {
		return fmt.Errorf("%w: %w", fleet.ErrFenced, err)
	}
	if l.lock == nil {
		return nil
	}
	return l.lock.Confirm(ctx)
}

// guarded is a back end that does nothing unless this server leads.
type guarded struct {
	activator.Backend
	lead *lead
}

// Do is the back end's own, once it is certain that nobody else leads.
func (g guarded) Do(ctx context.Context, act fleet.Act) error {
	if err := g.lead.confirm(ctx); err != nil {
		return fmt.Errorf("not acting: %w", err)
	}
	err := g.Backend.Do(ctx, act)
	if errors.Is(err, fleet.ErrFenced) {
		g.lead.overtaken(err)
	}
	return err
}
