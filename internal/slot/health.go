package slot

import (
	"context"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

// An engine that answers its health path not once in all of this time hangs. An overloaded one may be late, and is not to die of it.
const (
	healthEvery  = 5 * time.Second
	healthWithin = 10 * time.Second
	healthTries  = 3
)

// watchHealth returns an error once the engine hangs, and nil when ctx is done. A parked engine is as healthy as any.
func (e *process) watchHealth(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for failed := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		err := engine.Alive(ctx, e.i.model.Engine.Kind, e.addr, healthWithin)
		if ctx.Err() != nil {
			return nil
		}
		e.slot.markAnswering(e.i, err == nil)
		if err == nil {
			failed = 0
		} else if failed++; failed == healthTries {
			return fmt.Errorf("no sign of health %d times in a row: %w", failed, err)
		}
	}
}
