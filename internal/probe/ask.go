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

// question is one asking of one target.
type question struct {
	*target
	ctx   context.Context // ends with the target, or with Watch
	again bool            // it was ready before
}

// due begins an asking of each target that wants one.
func (p *Prober) due(ctx context.Context) []question {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []question
	for _, t := range p.targets {
		if t.stop == nil && (t.state == waiting || t.state == missed) {
			q := question{target: t, again: t.state == missed}
			q.ctx, t.stop = context.WithCancel(ctx)
			out = append(out, q)
		}
	}
	return out
}

// ask performs one asking and tells what came of it, unless it was called off.
func (p *Prober) ask(q question, tell func(fleet.Observation)) {
	began := time.Now()
	var err error
	if q.again {
		err = p.confirm(q)
	} else {
		err = engine.Probe(q.ctx, q.model, q.instance.Addr, func(phase fleet.Phase) {
			tell(q.found(began, phase, ""))
		})
	}
	if !p.settle(q, began, err) {
		return
	}
	log := p.cfg.Log.With("model", q.model.ID, "instance", q.instance.ID)
	switch {
	case err != nil:
		log.Warn("engine does not answer the probe", "reason", err, "again", q.again)
		tell(q.found(began, "", err.Error()))
	case q.again:
		log.Info("engine was missed, and still answers")
		tell(q.found(began, fleet.PhaseReady, ""))
	default:
		log.Info("engine has generated a token", "after", time.Since(began))
		tell(q.found(began, fleet.PhaseReady, ""))
	}
}

// settle enters the outcome, and reports whether it counts: an asking that was called off says nothing of the engine.
func (p *Prober) settle(q question, began time.Time, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	off := q.ctx.Err() != nil
	q.stop()
	q.stop = nil
	switch {
	case off:
		p.nudge() // it may be wanted by the next Watch
		return false
	case err != nil && q.again:
		q.state = silent
	case err != nil:
		q.state = failed
	default:
		q.state, q.askedAt = answered, began
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
