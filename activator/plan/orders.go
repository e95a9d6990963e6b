package plan

import (
	"errors"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const resumeTries = 2 // more, of a resume that the back end has refused

// orders hands acts to the back end, and takes its answers.
type orders struct {
	*state
	life    *lifecycle
	slots   *slotKeeper
	changes *reconciler
}

// issue hands over the acts that are due.
func (o *orders) issue(now time.Duration) {
	due := o.ordered
	o.ordered = nil
	for _, x := range due {
		switch {
		case x.s != nil && x.s.order.ready(now):
			o.actOnSlot(x.s)
		case x.i != nil && o.instanceOf[x.i.ID] == x.i && x.i.order.ready(now):
			o.act(x.i)
		}
	}
}

// act orders something of the back end. No two acts of one instance are under way at once.
func (o *orders) act(i *instance) {
	kind := i.order.due
	o.acted++
	i.order.due, i.order.onItsWay, i.order.last = "", true, o.acted
	act := fleet.Act{
		Kind: kind, Term: o.cfg.Term, Seq: o.acted, Instance: i.ID, Model: i.Model, Pool: i.m.pool.Name,
		Slot: i.Slot, GPU: i.GPU, GPUs: i.GPUs, Why: i.reason,
	}
	if s, is := i.at.(*slot); is {
		act.Pool = s.pool.Name
	}
	switch q := i.m.pool; kind {
	case fleet.ActLaunch:
		act.Parked, act.Sleepers, act.Config = q.mayHold(), q.MaxParkedPerGPU, i.m.Model
	case fleet.ActResume:
		act.Sleepers = q.MaxParkedPerGPU
	}
	o.acts = append(o.acts, act)
}

func (o *orders) actOnSlot(s *slot) {
	o.acted++
	o.acts = append(o.acts, fleet.Act{
		Kind: s.order.due, Term: o.cfg.Term, Seq: o.acted, Pool: s.pool.Name, Slot: s.ID, GPUs: s.GPUs, Why: s.order.why,
	})
	s.order.due, s.order.onItsWay, s.order.last = "", true, o.acted
}

// accepted takes a back end's answer to an act.
func (o *orders) accepted(now time.Duration, act *fleet.Act, err error) {
	if errors.Is(err, fleet.ErrFenced) {
		o.fenced, o.closing = true, true
	}
	if act.Kind == fleet.ActAddSlot || act.Kind == fleet.ActDropSlot {
		o.slots.accepted(now, act, err)
		return
	}
	i := o.instanceOf[act.Instance]
	if i == nil || act.Term != o.cfg.Term {
		return
	}
	i.order.onItsWay = false
	o.mark(i.m)
	if i.order.due != "" {
		o.ordered = append(o.ordered, ordered{i: i})
	}
	if err != nil {
		o.refused(now, i, act.Kind, err)
		return
	}
	switch act.Kind {
	case fleet.ActLaunch, fleet.ActResume:
		o.advance(now, i, fleet.PhaseSubmitted)
	case fleet.ActStop:
		o.roster.StopAccepted(now, i.seen)
	}
	if i.seen != nil {
		o.changes.reconcile(now, i)
	}
}

// refused takes a back end's refusal of an act.
func (o *orders) refused(now time.Duration, i *instance, kind fleet.ActKind, err error) {
	switch {
	case kind == fleet.ActStop, kind == fleet.ActResume && i.State == fleet.Resuming && i.order.tries < resumeTries:
		i.order.again(now+min(time.Second<<min(i.order.tries, 5), 30*time.Second), kind)
		o.ordered = append(o.ordered, ordered{i: i})
	case kind == fleet.ActLaunch && i.State == fleet.Starting:
		o.life.fail(now, i, causeOf(err), "launch refused: "+err.Error())
	case kind == fleet.ActResume && i.State == fleet.Resuming:
		o.life.fail(now, i, causeOf(err), "resume refused: "+err.Error())
	case kind == fleet.ActPark && i.State == fleet.Parking:
		if i.seen != nil {
			i.seen.CanPark = false
		}
		o.life.stop(now, i, "parking refused: "+err.Error())
	}
}

// causeOf says what is to blame for a refusal.
func causeOf(err error) fleet.Cause {
	switch {
	case errors.Is(err, fleet.ErrUnreachable), errors.Is(err, fleet.ErrPlaceClosed):
		return fleet.CausePlace
	case errors.Is(err, fleet.ErrDenied):
		return fleet.CauseRights
	default:
		return ""
	}
}
