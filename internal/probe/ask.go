package probe

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

var (
	errHealthy = errors.New("healthy")
	errSilent  = errors.New("engine was missed, and does not answer")
)

// work is something that takes time, and tells what comes of it.
type work func(tell func(fleet.Observation))

// question is one asking of one target.
type question struct {
	*target
	ctx   context.Context // ends with the target, or with Watch
	again bool            // it was ready before
}

// takeDue begins what is to be asked, and gives it.
func (p *Prober) takeDue(ctx context.Context) (begun []work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recount && !p.counting {
		again := p.again
		p.recount, p.again, p.counting = false, false, true
		begun = append(begun, func(tell func(fleet.Observation)) { p.count(ctx, tell, again) })
	}
	for _, t := range p.due {
		if t.ctx == nil || t.ctx.Err() != nil { // of an earlier Watch
			t.ctx, t.stop = context.WithCancel(ctx)
		}
		q := question{target: t, ctx: t.ctx, again: t.state == missed}
		if !t.asking && (t.state == waiting || t.state == missed) {
			t.asking = true
			begun = append(begun, func(tell func(fleet.Observation)) { p.ask(q, tell) })
		}
		if !t.watching && !t.supervised && t.state == answered {
			t.watching = true
			begun = append(begun, func(tell func(fleet.Observation)) { p.watchHealth(q, tell) })
		}
	}
	clear(p.due)
	return begun
}

// ask performs one asking and tells what came of it, unless it was called off.
func (p *Prober) ask(q question, tell func(fleet.Observation)) {
	began := time.Now()
	var err error
	if q.again {
		err = p.confirm(q)
	} else {
		err = engine.Starting{
			Model: q.model, Addr: q.instance.Addr, Phase: func(phase fleet.Phase) { tell(observation(began, q.seen(phase))) },
			Refuses: func(looked time.Time) {
				s := q.seen(fleet.PhaseLoading)
				s.Refuses = true
				tell(observation(looked, s))
			},
		}.Await(q.ctx)
	}
	if !p.finish(q, began, err) {
		return
	}
	log := p.cfg.Log.With("model", q.model.ID, "instance", q.instance.ID)
	switch {
	case err != nil:
		log.Warn("engine does not answer the probe", "reason", err, "again", q.again)
		s := q.seen("")
		s.Failure = err.Error()
		if !q.again {
			s.Cause = fleet.CauseEngine
		}
		tell(observation(began, s))
	case q.again:
		log.Info("engine was missed, and still answers")
		tell(observation(began, q.seen(fleet.PhaseReady)))
	default:
		log.Info("engine has generated a token", "after", time.Since(began))
		tell(observation(began, q.seen(fleet.PhaseReady)))
	}
}

// finish enters the outcome, and reports whether it counts: an asking that was called off says nothing of the engine.
func (p *Prober) finish(q question, began time.Time, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.asking = false
	if q.ctx.Err() != nil {
		return false
	}
	switch {
	case err != nil && q.again:
		q.state = silent
	case err != nil:
		q.state = failed
	default:
		q.state, q.askedAt = answered, began
		p.want(q.target)
	}
	return true
}

// confirm returns nil if the engine still says that it is healthy. A token is not asked for: behind the requests of a busy engine it could
// take minutes.
func (p *Prober) confirm(q question) error {
	ctx, cancel := context.WithTimeoutCause(q.ctx, p.cfg.Confirm, errSilent)
	defer cancel()
	if refuses(ctx, q.instance.Addr) {
		return errSilent
	}
	ctx, healthy := context.WithCancelCause(ctx)
	defer healthy(nil)
	err := engine.Probe(ctx, q.model, q.instance.Addr, func(phase fleet.Phase) {
		if phase == fleet.PhaseProbing {
			healthy(errHealthy)
		}
	})
	if errors.Is(err, errHealthy) {
		return nil
	}
	return err
}

// refuses reports whether nobody listens at the address any more. An engine that was ready does not stop to listen and live.
func refuses(ctx context.Context, addr string) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	conn.Close()
	return false
}

// watchHealth looks after a ready engine until it hangs, and tells so: it has failed then, whoever else thinks well of it.
func (p *Prober) watchHealth(q question, tell func(fleet.Observation)) {
	var began time.Time // not after the last look did
	ended := time.Now()
	err := engine.WatchHealth(q.ctx, q.model.Engine.Kind, q.instance.Addr, p.cfg.Health, func(bool) { began, ended = ended, time.Now() })
	p.mu.Lock()
	q.watching = false
	counts := err != nil && q.ctx.Err() == nil
	if counts {
		q.state = silent
	}
	p.mu.Unlock()
	if !counts {
		return
	}
	p.cfg.Log.Warn("engine hangs", "model", q.model.ID, "instance", q.instance.ID, "reason", err)
	s := q.seen("")
	s.State, s.Failure, s.Cause = fleet.Failed, err.Error(), fleet.CauseEngine
	tell(observation(began, s))
}
