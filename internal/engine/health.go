package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/socket"
)

// ErrHangs is returned by WatchHealth.
var ErrHangs = errors.New("engine hangs")

// HealthRule says when an engine that was ready is known to hang: it answers its health path not once in so many looks in a row. An overloaded
// one may be late, and is not to die of it. The zero value is the rule that slots and the probe go by.
type HealthRule struct {
	Every  time.Duration // from one look to the next; 0 = 5 s
	Within time.Duration // an answer may take so long; 0 = 10 s
	Misses int           // so many looks in a row without an answer; 0 = 3
}

func (r HealthRule) withDefaults() HealthRule {
	if r.Every == 0 {
		r.Every = 5 * time.Second
	}
	if r.Within == 0 {
		r.Within = 10 * time.Second
	}
	if r.Misses == 0 {
		r.Misses = 3
	}
	return r
}

// WatchHealth looks after an engine that was ready, or is parked, until it hangs (ErrHangs), or ctx is done (nil). The outcome of each look is told
// from the calling goroutine; one for which this process had no descriptor is none.
func WatchHealth(ctx context.Context, k fleet.EngineKind, addr string, rule HealthRule, told func(answers bool)) error {
	rule = rule.withDefaults()
	tick := time.NewTicker(rule.Every)
	defer tick.Stop()
	for missed := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		err := Alive(ctx, k, addr, rule.Within)
		if ctx.Err() != nil {
			return nil
		}
		if socket.Exhausted(err) {
			continue // it was no look at the engine
		}
		told(err == nil)
		if err == nil {
			missed = 0
		} else if missed++; missed == rule.Misses {
			return fmt.Errorf("%w: no sign of health %d times in a row: %w", ErrHangs, missed, err)
		}
	}
}
