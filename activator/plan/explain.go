package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// explainer says for people what the planner would do, without doing it.
type explainer struct {
	*state
	demand   *demand
	rooms    *rooms
	claims   *claims
	forecast *forecast
}

// Explain says what the policy wishes for the model now, what the planner would do about it, and why, without doing it.
func (p *Planner) Explain(now time.Duration, id string) (fleet.Explanation, error) {
	x := &explainer{p.state, p.demand, p.rooms, p.claims, p.forecast}
	return x.explain(now, id)
}

func (p *explainer) explain(now time.Duration, id string) (fleet.Explanation, error) {
	m := p.modelOf[id]
	if m == nil || m.unlisted {
		return fleet.Explanation{}, ErrUnknownModel
	}
	e := fleet.Explanation{Desired: *p.demand.ask(now, m), Outlook: p.forecast.outlook(now, m).Outlook}
	e.View = *p.demand.look(now, m)
	e.View.Hot = slices.Clone(e.View.Hot)
	e.Actions, e.Failure = p.actions(now, m), m.lastFailure
	e.Request, e.Ahead = p.requested(now, m), p.ahead(now, m)
	return e, nil
}

// actions says for people what stands between the model and its wish.
func (p *explainer) actions(now time.Duration, m *model) []string {
	var acts []string
	for _, i := range m.instances {
		if s := p.underWay(i); s != "" {
			acts = append(acts, s)
		}
	}
	if n := p.demand.missing(now, m); n > 0 {
		acts = append(acts, p.startSteps(now, m, n)...)
	}
	wanted := p.demand.wanted(now, m)
	if n := m.hot() - wanted; n > 0 {
		if i := p.rooms.surplus(m); i != nil {
			acts = append(acts, fmt.Sprintf("%s %s: %s", p.demand.ending(now, i), i.ID, m.desired.Reason))
		} else {
			acts = append(acts, fmt.Sprintf("let %d of %d instances go once idle: %s", n, m.hot(), m.desired.Reason))
		}
	}
	acts = append(acts, p.avoided(now, m)...)
	if n := m.asleep() - m.desired.Parked; n > 0 {
		acts = append(acts, fmt.Sprintf("stop %d of %d parked instances: %s", n, m.asleep(), m.desired.Reason))
	}
	return acts
}

func (p *explainer) underWay(i *instance) string {
	switch {
	case i.reserved != nil && i.exists():
		return fmt.Sprintf("wait for %s to be freed, then resume %s", i.at.describe(i.GPU, i.GPUs), i.ID)
	case i.reserved != nil:
		return fmt.Sprintf("wait for %s to be freed, then launch %s", i.at.describe(i.GPU, i.GPUs), i.ID)
	case i.waitsForNode():
		return fmt.Sprintf("wait for the back end to place %s: %s are in use", i.ID, gpus(i.GPUs))
	case i.State == fleet.Starting:
		return fmt.Sprintf("wait for %s, which is starting (phase %s)", i.ID, i.phase)
	case i.State == fleet.Resuming:
		return fmt.Sprintf("wait for %s, which is being resumed", i.ID)
	case i.State == fleet.Parking:
		return fmt.Sprintf("wait for %s to be parked: %s", i.ID, i.reason)
	case i.State == fleet.Draining && i.host == promised:
		return fmt.Sprintf("park %s when parked ones that are worth less are gone: %s", i.ID, i.reason)
	case i.parks():
		return fmt.Sprintf("park %s when its last request has ended: %s", i.ID, i.reason)
	case i.State == fleet.Draining:
		return fmt.Sprintf("stop %s when its last request has ended: %s", i.ID, i.reason)
	case i.leaving():
		return fmt.Sprintf("wait for %s to be gone: %s", i.ID, i.reason)
	default:
		return ""
	}
}

func (p *explainer) startSteps(now time.Duration, m *model, n int) []string {
	switch {
	case !p.known(m):
		return []string{"wait for the back end to say what exists"}
	case p.neverFits(m):
		return []string{"nothing: " + p.tooSmall(m)}
	case now < m.retryAt:
		left := (m.retryAt - now).Round(time.Second)
		return []string{fmt.Sprintf("wait %s before the next start: %s%s", left, m.setback(), failuresOf(m))}
	}
	r := p.claims.choose(now, m, nil)
	if !r.now {
		return []string{fmt.Sprintf("wait for room for %d more of %s", n, gpus(m.GPUs))}
	}
	var acts []string
	for _, v := range r.victims {
		acts = append(acts, fmt.Sprintf("%s idle %s of %s", p.demand.ending(now, v), v.ID, v.Model))
	}
	if r.needs == drainsBusy {
		acts = append(acts, fmt.Sprintf("drain what is busy on %s", r.at.describe(r.gpu, m.GPUs)))
	}
	if pending(r.at) {
		acts = append(acts, fmt.Sprintf("wait for slot %s", r.at.common().id))
	}
	if i := r.resumes; i != nil {
		return append(acts, fmt.Sprintf("resume %s on %s: %s", i.ID, r.at.describe(r.gpu, m.GPUs), p.demand.why(now, m)))
	}
	return append(acts, fmt.Sprintf("launch on %s: %s", r.at.describe(r.gpu, m.GPUs), p.demand.why(now, m)))
}

// failuresOf counts the model's failures in this life by cause.
func failuresOf(m *model) string {
	var counted []string
	for cause, n := range m.causes {
		counted = append(counted, fmt.Sprintf("%s %d", cmp.Or(cause, "unknown"), n))
	}
	slices.Sort(counted)
	if m.lastFailure.Reason == "" {
		return ""
	}
	return fmt.Sprintf("; the last: %s (so far, by cause: %s)", m.lastFailure.Reason, strings.Join(counted, ", "))
}

// avoided says which places the model keeps away from, and why.
func (p *explainer) avoided(now time.Duration, m *model) []string {
	var all []string
	say := func(s *site) {
		switch {
		case now < s.trouble.avoidUntil:
			all = append(all, fmt.Sprintf("place nothing on %s (node %s) for %s: %s", s.id, s.node, about(s.trouble.avoidUntil-now), s.trouble.why))
		case m.avoids(now, s):
			all = append(all, fmt.Sprintf("try elsewhere than on %s (node %s), where it failed to start: %s", s.id, s.node, m.lastFailure.Reason))
		}
	}
	for _, s := range m.pool.slots {
		if say(&s.site); s.Outdated != "" {
			all = append(all, fmt.Sprintf("place nothing new on %s (node %s), which was launched with another config (%s): it is given back when nothing there is awake", s.id, s.node, s.Outdated))
		}
	}
	if m.dedicated() {
		for _, n := range p.nodes {
			say(&n.site)
		}
	}
	return all
}
