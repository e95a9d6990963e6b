package autoscaler

import (
	"fmt"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// How long the adaptive policy keeps an idle instance hot: for the longest time that one of these rules gives, but never for longer than idle_after.
//
//	the server has just started         a minute, for what an earlier life knew of the demand may not have been told yet
//	its arrivals are not known yet      unknownLasts, for one instance of a model that had fewer than knownGaps gaps
//	nobody wants its GPUs               no end: its slot is held anyway, and idle_cost is 0
//	less than a park and a wake         the idle time that costs as much as these, which is the ski-rental bound
//	its arrivals make it worth it       the time that is expected to cost least, by the gaps between its requests
//
// The bound protects from a wrong guess, and callers from a model that is parked between two of their requests. Where idle time is what is to be saved, it is
// dear: in full it raises what idling, switching and waiting cost on the traces by 8 to 9 %. AdaptiveConfig.BoundMayCost limits that, from the moment when
// knownGaps gaps at the model's present pace are known.
//
// Whoever waits for GPUs waits for none of these: the planner makes room, and HotValue tells it what is cheapest to lose.

const (
	knownGaps    = priorWeight     // from here on the model's own gaps count for more than those of all models
	unknownLasts = 5 * time.Minute // as idle_after is if nobody says otherwise
	keptLeast    = 50 * time.Millisecond
	forever      = time.Duration(math.MaxInt64)
)

// rule is how long an idle instance stays hot, and why.
type rule struct {
	lasts time.Duration // without a request; forever = no end
	why   string
	over  string // why it is no longer kept
}

// keepIdle keeps idle instances for as long as the rules say.
func (a *Adaptive) keepIdle(now time.Time, v *fleet.ModelView, m *knowledge, t moves, d *fleet.Desired) {
	latest := latestIdle(v)
	if latest < 0 {
		d.Hot = max(d.Hot, len(v.Hot))
		return
	}
	usual, kept := a.usualRule(v, m, t, t.Park), 0
	for i := range v.Hot {
		since := v.Hot[i].IdleSince
		if since.IsZero() {
			kept++
			continue
		}
		r := usual
		if v.Hot[i].Unparked && v.Parks {
			r = a.usualRule(v, m, t, t.FirstPark)
		}
		if i == latest && demand(v) == 0 && m.Gaps.seen() < knownGaps && r.lasts < unknownLasts {
			r = rule{unknownLasts, "its arrivals are not known yet", "it had too few requests to say when the next one comes"}
		}
		if r.lasts < stableSpan && a.justStarted(since) {
			r = rule{stableSpan, "the server has just started", "no request came in the server's first minute"}
		}
		idle, lasts := now.Sub(since), r.bounded(v.Model.IdleAfter)
		if idle < lasts {
			kept++
			if lasts < forever {
				d.ReviewAt = sooner(d.ReviewAt, since.Add(lasts))
			}
		}
		if i == latest && demand(v) == 0 {
			d.Reason = r.say(idle, v.Model.IdleAfter)
		}
	}
	d.Hot = max(d.Hot, kept)
}

// latestIdle gives the index of the instance that became idle last; -1 = all serve.
func latestIdle(v *fleet.ModelView) int {
	latest := -1
	for i := range v.Hot {
		if since := v.Hot[i].IdleSince; !since.IsZero() && (latest < 0 || since.After(v.Hot[latest].IdleSince)) {
			latest = i
		}
	}
	return latest
}

// usualRule gives the rule for every idle instance of a model that is not new, whose park takes so long.
func (a *Adaptive) usualRule(v *fleet.ModelView, m *knowledge, t moves, park time.Duration) rule {
	if v.IdleCost <= 0 {
		return rule{lasts: forever, why: "nobody wants its GPUs"}
	}
	c := switchCosts{idle: v.IdleCost, gpus: float64(v.Model.GPUs), off: park.Seconds(), on: t.Wake.Seconds(), lambda: a.weight(v), waits: m.Wakes.value()}
	both := "a park and a wake"
	if !v.Parks {
		c.off, c.on, c.waits = 0, t.Cold.Seconds(), m.Colds.value()
		both = "a stop and a start"
	}
	p := m.Gaps.expect(&a.fleet)
	k := expectCosts(&p, c)
	best, least := k.cheapest()
	bound := (c.off + c.on) / v.IdleCost
	if a.bound > 0 && m.Gaps.seenAtThisPace() >= knownGaps {
		bound = k.longest(bound, least*(1+a.bound))
	}
	if best > bound {
		return rule{seconds(best), "its arrivals make it worth it", "by its arrivals longer is not worth it"}
	}
	return rule{max(seconds(bound), keptLeast), "idle time costs less than " + both, "idle time would cost more than " + both}
}

// justStarted reports whether less than a whole window was seen before that moment: the demand of which an earlier life knew may not have been told
// yet, so nothing is let go.
func (a *Adaptive) justStarted(at time.Time) bool {
	return a.began.IsZero() || at.Before(a.began.Add(stableSpan))
}

// bounded gives how long the rule lasts under an idle_after; 0 = there is none.
func (r *rule) bounded(idleAfter time.Duration) time.Duration {
	if idleAfter > 0 {
		return min(r.lasts, idleAfter)
	}
	return r.lasts
}

// say tells people what the rule makes of an instance that has been idle so long.
func (r *rule) say(idle, idleAfter time.Duration) string {
	byIdleAfter := idleAfter > 0 && idleAfter <= r.lasts
	switch kept := idle < r.bounded(idleAfter); {
	case kept && byIdleAfter:
		return fmt.Sprintf("kept hot until idle_after, %s: %s", round(idleAfter), r.why)
	case kept && r.lasts == forever:
		return "kept hot: " + r.why
	case kept:
		return fmt.Sprintf("kept hot for %s without a request: %s", round(r.lasts), r.why)
	case byIdleAfter:
		return fmt.Sprintf("let go after %s without a request: its idle_after is %s", round(idle), round(idleAfter))
	default:
		return fmt.Sprintf("let go after %s without a request: %s", round(idle), r.over)
	}
}

// nobodyAsks says why there need be no instance.
func nobodyAsks(v *fleet.ModelView) string {
	if len(v.Hot)+v.Pending == 0 && v.Spared.Idle > 0 {
		return fmt.Sprintf("no requests; the last instance was let go after %s without one", round(v.Spared.Idle))
	}
	return "no requests"
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
