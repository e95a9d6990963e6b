package activator

import (
	"context"
	"math"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// FollowLost calls f for each instance that fails or is gone, from now on, until ctx is done (and returns its cause): whoever has no answer from it yet had
// better ask another.
func (a *Activator) FollowLost(ctx context.Context, f func(instance string)) error {
	return a.Follow(ctx, math.MaxUint64, func(n fleet.Notice) error {
		if n.Lost {
			f(n.Instance)
		}
		return nil
	})
}
