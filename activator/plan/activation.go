package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// activation is one under way, or one that is remembered.
type activation struct {
	fleet.Activation
	m      *model
	before float64 // seconds that the model's requests had waited when it began
}

// waited gives what the model's requests have waited since the activation began.
func (a *activation) waited(now time.Duration) time.Duration {
	a.m.addWaiting(now)
	return time.Duration((a.m.waited - a.before) * float64(time.Second))
}
