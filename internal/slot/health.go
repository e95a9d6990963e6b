package slot

import (
	"context"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

// watchHealth returns an error once the engine hangs, and nil when ctx is done. A parked engine is as healthy as any.
func (e *process) watchHealth(ctx context.Context) error {
	return engine.WatchHealth(ctx, e.i.model.Engine.Kind, e.addr, e.slot.cfg.Health, func(answers bool) { e.slot.markAnswering(e.i, answers) })
}
