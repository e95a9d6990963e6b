package autoscaler

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// FixedConfig tunes the fixed policy.
type FixedConfig struct {
	Target func(*fleet.Model) int // requests that one instance should serve at once; nil = its max_concurrency
}

// Fixed keeps an instance hot for the model's idle_after without a request, and asks for as many at once as the demand needs.
type Fixed struct{ cfg FixedConfig }

// NewFixed makes the policy.
func NewFixed(cfg FixedConfig) *Fixed { return &Fixed{cfg: cfg} }

// Observe learns from one event.
func (f *Fixed) Observe(fleet.Event) {}

// Decide says how many instances the model should have now.
func (f *Fixed) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	panic("unfinished")
}
