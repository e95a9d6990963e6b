package autoscaler

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// bound applies what operators have said to a wish: idle_after, instances.min and max, and a hold.
func bound(now time.Time, v *fleet.ModelView, d *fleet.Desired) {
	boundIdle(now, v, d)
	if least := v.Model.Instances.Min; d.Hot < least {
		d.Hot, d.Reason = least, fmt.Sprintf("%s; instances.min is %d", d.Reason, least)
	}
	if v.HeldUntil.After(now) {
		d.ReviewAt = sooner(d.ReviewAt, v.HeldUntil)
		d.Hot = max(d.Hot, 1)
		d.Reason = fmt.Sprintf("%s; held by the operator for another %s", d.Reason, round(v.HeldUntil.Sub(now)))
	}
	if most := v.Model.Instances.Max; most > 0 && d.Hot > most {
		d.Hot, d.Reason = most, fmt.Sprintf("%s; instances.max is %d", d.Reason, most)
	}
}

// boundIdle wishes nobody hot who has had no request for idle_after, spare instances of a busy model included. One that was let go for it is not wished
// back before requests need it: else it would come and go for as long as the demand stays the same.
func boundIdle(now time.Time, v *fleet.ModelView, d *fleet.Desired) {
	longest := v.Model.IdleAfter
	if longest <= 0 {
		return
	}
	busy, lately := 0, 0 // serving; and serving, or idle for less than that
	var until time.Time
	for i := range v.Hot {
		since := v.Hot[i].IdleSince
		switch {
		case since.IsZero():
			busy++
			lately++
		case now.Sub(since) < longest:
			lately++
			until = sooner(until, since.Add(longest))
		}
	}
	most := max(lately, atLeast(float64(demand(v)), float64(capacity(v.Model))))
	switch {
	case lately < len(v.Hot):
	case v.Spared.Idle >= longest:
		most = max(most, v.Spared.Stays)
	default:
		most = max(most, d.Hot)
	}
	if d.Hot > most {
		d.Hot, d.Reason = most, fmt.Sprintf("%s; no further one had a request for idle_after, %s", d.Reason, round(longest))
	}
	if d.Hot > busy {
		d.ReviewAt = sooner(d.ReviewAt, until)
	}
}

// parked gives how many parked copies a policy allows that parks all or nothing, and what one of them is worth per GB: the more the
// later it was used, as a cache that drops what was used least recently.
func parked(parks bool, now time.Time, v *fleet.ModelView) (n int, value float64) {
	if !parks {
		return 0, 0
	}
	return everyCopy, 1 / (1 + age(now, v).Seconds())
}

// everyCopy is a cap on parked copies that leaves it to the pool how many there is room for.
const everyCopy = 1 << 20

// age gives the time since the model's last request; one that never had any is very old.
func age(now time.Time, v *fleet.ModelView) time.Duration {
	switch {
	case v.Waiting+v.Inflight > 0:
		return 0
	case v.IdleSince.IsZero():
		return neverUsed
	default:
		return max(now.Sub(v.IdleSince), 0)
	}
}

const neverUsed = 24 * time.Hour

// demand gives the requests that want an instance.
func demand(v *fleet.ModelView) int { return v.Waiting + v.Inflight }

// capacity gives the requests that one instance serves at once.
func capacity(m *fleet.Model) int {
	if m.MaxConcurrency < 1 {
		return 64
	}
	return m.MaxConcurrency
}

// atLeast rounds a quotient up.
func atLeast(requests, each float64) int {
	n := int(requests / each)
	if float64(n)*each < requests {
		n++
	}
	return n
}
