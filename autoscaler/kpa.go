package autoscaler

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const zeroAfter = 90 * time.Second // Knative's stable window, and 30 s of grace

// KPAConfig tunes the KPA policy.
type KPAConfig struct {
	Park bool // what is let go is parked where its pool can, else it is stopped
}

// KPA is the rule of Knative's pod autoscaler: as many instances as the mean demand of a minute asks for at 70 % of their slots, that of six
// seconds in a burst; none after 90 s without a request.
type KPA struct {
	cfg    KPAConfig
	scales map[string]*scale // model ID -> its demand
}

// NewKPA makes the policy.
func NewKPA(cfg KPAConfig) *KPA { return &KPA{cfg: cfg, scales: make(map[string]*scale)} }

// Observe learns the demand.
func (k *KPA) Observe(e fleet.Event) {
	if e.Kind != fleet.EventDemand {
		return
	}
	s := k.scales[e.Model]
	if s == nil {
		s = &scale{}
		k.scales[e.Model] = s
	}
	s.tell(e.At, e.N)
}

// Decide says how many instances the model should have now.
func (k *KPA) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := fleet.Desired{Model: v.Model.ID, HotValue: leastRecentlyUsed(now, v), Reason: "no requests"}
	d.Parked, d.ParkedValue = parked(k.cfg.Park, now, v)
	if s := k.scales[v.Model.ID]; s != nil && !s.quiet(now) {
		d.Hot, d.ReviewAt = s.want(now, scaleTarget*float64(capacity(v.Model))), nextCell(now)
		d.Reason = fmt.Sprintf("%.1f requests on average over a minute", s.mean(now, stableSpan))
		if !s.full(now, stableSpan) {
			d.Hot = max(d.Hot, len(v.Hot))
		}
	}
	if demand(v) > 0 {
		d.Hot = max(d.Hot, 1)
	} else if last, ok := lastIdle(v); ok {
		k.keep(now, last, v, &d)
	}
	d.Need = max(d.Hot, 1)
	bound(now, v, &d)
	return d
}

// keep holds the last idle instance through the grace.
func (k *KPA) keep(now, last time.Time, v *fleet.ModelView, d *fleet.Desired) {
	until := last.Add(zeroAfter)
	if !now.Before(until) {
		d.Hot = 0
		return
	}
	d.Hot, d.ReviewAt = max(d.Hot, 1), sooner(d.ReviewAt, until)
	d.Reason = fmt.Sprintf("idle %s of %s", round(now.Sub(last)), round(zeroAfter))
}

// lastIdle gives the moment at which the last of the idle instances became idle.
func lastIdle(v *fleet.ModelView) (last time.Time, ok bool) {
	for i := range v.Hot {
		if since := v.Hot[i].IdleSince; since.After(last) {
			last, ok = since, true
		}
	}
	return last, ok
}

// leastRecentlyUsed values an idle instance at up to a second, the less the longer it has been idle.
func leastRecentlyUsed(now time.Time, v *fleet.ModelView) float64 {
	last, ok := lastIdle(v)
	if !ok {
		return 1
	}
	return 1 / (1 + now.Sub(last).Seconds())
}
