package slot

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// park has the memory given back, and reads back what the engine's first park has freed: that one takes long anyway, and an engine that frees it once does so again, while each reading
// takes tens of milliseconds.
func (e *process) park(ctx context.Context, order int) error {
	var before []fleet.Bytes
	if order == 1 {
		before = e.readGPUs(ctx)
	}
	if err := e.control.Park(ctx); err != nil || before == nil {
		return err
	}
	return checkFreed(e.i.GPU, before, e.readGPUs(ctx))
}

// within bounds a park or a resume.
func (e *process) within(ctx context.Context, f func(context.Context) error) error {
	limit := e.slot.cfg.MoveWithin
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it hangs: not done within %s", limit))
	defer cancel()
	return f(ctx)
}

// resume brings the memory back and has a token made.
func (e *process) resume(ctx context.Context, order int) error {
	if err := e.control.Resume(ctx); err != nil {
		return err
	}
	var refused atomic.Bool
	e.tellPhase(fleet.PhaseProbing)
	e.report(ctx, step{kind: returned, order: order, refused: &refused})
	if engine.Ask(ctx, e.i.model, e.addr) == nil {
		return nil
	}
	refused.Store(true) // or the connection broke: whether the engine lives is seen elsewhere
	return engine.Probe(ctx, e.i.model, e.addr, e.tellPhase)
}
