package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// requested says for people what a request that came now would find.
func (p *explainer) requested(now time.Duration, m *model) string {
	switch {
	case p.closing:
		return "would be refused: the server is stopping"
	case m.hot() > 0 && m.inflight < m.hot()*m.capacity:
		return "would be served at once"
	case m.hot() > 0:
		return fmt.Sprintf("would wait for one of %d places, all taken", m.hot()*m.capacity)
	case p.neverFits(m):
		return "would be refused: " + p.tooSmall(m)
	case m.pending() > 0:
		return p.joined(now, m)
	case now < m.retryAt:
		return fmt.Sprintf("would wait for the next try to start it, in %s, for %s", about(m.retryAt-now), m.setback())
	}
	r, ok := p.roomForOne(now, m)
	if !ok {
		return "would wait for room"
	}
	return p.activates(now, m, &r)
}

// roomForOne finds the room that the model would get if a request waited for it.
func (p *explainer) roomForOne(now time.Duration, m *model) (room, bool) {
	one := m.need()
	if one.waiting++; one.waiting == 1 {
		one.oldest = now
	}
	return p.rooms.find(now, one, drainsBusy, anything, nil)
}

// joined says it where an instance is on its way.
func (p *explainer) joined(now time.Duration, m *model) string {
	o := protocol.Outlook{}
	p.forecast.arrival(now, m, &o)
	said := "would wait for the one on its way"
	if o.Reason != "" {
		said += ", of which " + o.Reason
	}
	if o.Known {
		said += ": about " + about(o.ETA)
	}
	return said
}

// activates says it where one is started or resumed in a room.
func (p *explainer) activates(now time.Duration, m *model, r *room) string {
	move, done, tier := "start it from cold", "started", fleet.Cold
	if r.resumes != nil {
		move, done, tier = "resume "+r.resumes.ID+" from parked", "resumed", fleet.Parked
	}
	var steps []string
	for _, v := range r.victims {
		steps = append(steps, fmt.Sprintf("%s idle %s of %s", p.demand.ending(now, v), v.ID, v.Model))
	}
	switch {
	case r.needs == drainsBusy:
		steps = append(steps, "wait until those who are busy there may go")
	case r.needs != isFree && len(steps) == 0:
		steps = append(steps, "wait until those who leave there are gone")
	case pending(r.at):
		steps = append(steps, "wait for slot "+r.at.common().id)
	}
	steps = append(steps, move+" on "+r.at.describe(r.gpu, m.GPUs))
	said := "would " + strings.Join(steps, ", then ") + ": about " + about(r.wait+m.takes(tier))
	if m.past(tier).median == 0 {
		said += ", as a guess: it was never " + done
	}
	return said
}

// ahead says for people what becomes of the model if no request comes; "" = nothing, as far as can be foreseen.
func (p *explainer) ahead(now time.Duration, m *model) string {
	if m.waiting+m.inflight+m.pending() > 0 || m.stopped || p.closing {
		return ""
	}
	hot := m.hot()
	at, d, ok := p.turns(now, m)
	switch i := p.rooms.surplus(m); {
	case ok && hot > 0 && i != nil:
		verb := "stopped"
		if i.parkable() && d.Parked > m.asleep() {
			verb = "parked"
		}
		return fmt.Sprintf("%s will be %s %s", i.ID, verb, p.clockTime(now, at))
	case ok && hot == 0 && m.asleep() > 0:
		return fmt.Sprintf("will be resumed %s: %s", p.clockTime(now, at), d.Reason)
	case ok && hot == 0:
		return fmt.Sprintf("will be started %s: %s", p.clockTime(now, at), d.Reason)
	case hot == 0 && m.asleep() > 0:
		return "stays parked until its room is wanted for another model, or its slot is given back"
	}
	return ""
}

// turns gives when the policy will wish fewer hot than there are, or, where none is, more; and that wish. It asks the policy about each moment at which it
// wants to be asked, as if nothing happened until then.
func (p *explainer) turns(now time.Duration, m *model) (time.Duration, fleet.Desired, bool) {
	v := *p.demand.look(now, m)
	v.Hot = slices.Clone(v.Hot)
	for at, n := now, 0; n < turnsMost; n++ {
		d := p.cfg.Policy.Decide(p.at(at), &v)
		if wanted := max(d.Hot, m.Instances.Min); wanted < len(v.Hot) || wanted > 0 && len(v.Hot) == 0 {
			return at, d, true
		}
		if d.ReviewAt.IsZero() {
			break
		}
		at = max(p.clock(d.ReviewAt), at+1)
	}
	return 0, fleet.Desired{}, false
}

const turnsMost = 100

// clockTime says when something happens.
func (p *explainer) clockTime(now, at time.Duration) string {
	if at <= now {
		return "now"
	}
	return fmt.Sprintf("at %s UTC, in %s", p.at(at).UTC().Format(time.TimeOnly), about(at-now))
}

func about(d time.Duration) string {
	return fleet.FormatDuration(max(d, 0).Round(100 * time.Millisecond))
}

// pending reports whether the place is a slot that is not there yet.
func pending(at place) bool {
	s, is := at.(*slot)
	return is && s.Pending
}
