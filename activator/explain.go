package activator

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Explain says what the policy wishes for the model now, what the planner would do about it, and why, without doing it.
func (a *Activator) Explain(model string) (fleet.Explanation, error) {
	a.planning.Lock()
	a.exchange()
	e, err := a.planner.explain(a.now(), model)
	a.finishPlanning()
	return e, err
}

func (p *Planner) explain(now time.Duration, id string) (fleet.Explanation, error) {
	m := p.byModel[id]
	if m == nil || m.unlisted {
		return fleet.Explanation{}, fmt.Errorf("explaining %s: %w", id, ErrUnknownModel)
	}
	e := fleet.Explanation{Desired: *p.ask(now, m), Outlook: p.prospect(now, m).Outlook}
	e.View = *p.look(now, m)
	e.View.Hot = slices.Clone(e.View.Hot)
	e.Actions = p.actions(now, m)
	e.Request, e.Ahead = p.requested(now, m), p.ahead(now, m)
	return e, nil
}

// actions says for people what stands between the model and its wish.
func (p *Planner) actions(now time.Duration, m *model) []string {
	var acts []string
	for _, i := range m.instances {
		if s := p.underWay(i); s != "" {
			acts = append(acts, s)
		}
	}
	if n := p.missing(now, m); n > 0 {
		acts = append(acts, p.startSteps(now, m, n)...)
	}
	wanted := p.wantedNow(now, m)
	if n := m.hot() - wanted; n > 0 {
		if i := p.surplus(m); i != nil {
			acts = append(acts, fmt.Sprintf("%s %s: %s", p.ending(now, i), i.ID, m.desired.Reason))
		} else {
			acts = append(acts, fmt.Sprintf("let %d of %d instances go once idle: %s", n, m.hot(), m.desired.Reason))
		}
	}
	if n := m.asleep() - m.desired.Parked; n > 0 {
		acts = append(acts, fmt.Sprintf("stop %d of %d parked instances: %s", n, m.asleep(), m.desired.Reason))
	}
	return acts
}

func (p *Planner) underWay(i *instance) string {
	switch {
	case i.claiming && i.launched:
		return fmt.Sprintf("wait for %s to be freed, then resume %s", where(i.slot, i.GPU, i.GPUs), i.ID)
	case i.claiming:
		return fmt.Sprintf("wait for %s to be freed, then launch %s", where(i.slot, i.GPU, i.GPUs), i.ID)
	case i.waitsForNode():
		return fmt.Sprintf("wait for the back end to place %s: %s are in use", i.ID, gpus(i.GPUs))
	case i.State == fleet.Starting:
		return fmt.Sprintf("wait for %s, which is starting (phase %s)", i.ID, i.phase)
	case i.State == fleet.Resuming:
		return fmt.Sprintf("wait for %s, which is being resumed", i.ID)
	case i.State == fleet.Parking:
		return fmt.Sprintf("wait for %s to be parked: %s", i.ID, i.reason)
	case i.State == fleet.Draining && i.awaitsBed:
		return fmt.Sprintf("park %s when parked ones that are worth less are gone: %s", i.ID, i.reason)
	case i.State == fleet.Draining && i.parks:
		return fmt.Sprintf("park %s when its last request has ended: %s", i.ID, i.reason)
	case i.State == fleet.Draining:
		return fmt.Sprintf("stop %s when its last request has ended: %s", i.ID, i.reason)
	case i.leaving():
		return fmt.Sprintf("wait for %s to be gone: %s", i.ID, i.reason)
	default:
		return ""
	}
}

func (p *Planner) startSteps(now time.Duration, m *model, n int) []string {
	switch {
	case !p.complete:
		return []string{"wait for the back end to say what exists"}
	case p.never(m):
		return []string{"nothing: " + p.tooSmall(m)}
	case now < m.retryAt:
		left := (m.retryAt - now).Round(time.Second)
		return []string{fmt.Sprintf("wait %s before the next start: its engine failed to start %d times in a row", left, m.failures)}
	}
	r, ok := p.roomFor(now, m)
	if !ok {
		return []string{fmt.Sprintf("wait for room for %d more of %s", n, gpus(m.GPUs))}
	}
	var acts []string
	for _, v := range r.victims {
		acts = append(acts, fmt.Sprintf("%s idle %s of %s", p.ending(now, v), v.ID, v.Model))
	}
	if r.needs == drainsBusy {
		acts = append(acts, fmt.Sprintf("drain what is busy on %s", where(r.slot, r.gpu, m.GPUs)))
	}
	if r.slot.Pending {
		acts = append(acts, fmt.Sprintf("wait for slot %s", r.slot.ID))
	}
	if i := r.resumes; i != nil {
		return append(acts, fmt.Sprintf("resume %s on %s: %s", i.ID, where(r.slot, r.gpu, m.GPUs), p.why(now, m)))
	}
	return append(acts, fmt.Sprintf("launch on %s: %s", where(r.slot, r.gpu, m.GPUs), p.why(now, m)))
}

// ending says what becomes of an instance that is let go, as far as can be said before it is.
func (p *Planner) ending(now time.Duration, i *instance) string {
	if p.wantsParked(now, i) {
		return "park"
	}
	return "stop"
}

// where says which GPUs an instance gets.
func where(s *slot, gpu, n int) string {
	switch {
	case !s.counted:
		return fmt.Sprintf("%s of slot %s", block(gpu, n), s.ID)
	case n == 0:
		return "any machine"
	default:
		return fmt.Sprintf("%s of node %s", gpus(n), s.ID)
	}
}

func block(gpu, n int) string {
	switch n {
	case 0:
		return "no GPU"
	case 1:
		return fmt.Sprintf("GPU %d", gpu)
	default:
		return fmt.Sprintf("GPUs %d to %d", gpu, gpu+n-1)
	}
}
