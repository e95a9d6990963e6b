package activator

import (
	"cmp"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const toldAfter = 2 // failed starts after which nobody is kept waiting for the next

// never reports whether the model's pool can never hold it, as far as is known.
func (p *Planner) never(m *model) bool {
	if m.dedicated() {
		return p.complete && (m.GPUs > 0 && m.GPUs > p.largestNode() || m.impossibleUntil > 0)
	}
	return p.complete && (m.GPUs > p.pool(m.pool).biggest() || p.slotless(m))
}

// slotless reports whether the model's pool has no slot for it but one that no node can hold.
func (p *Planner) slotless(m *model) bool {
	impossible := false
	for _, s := range p.slots {
		switch {
		case s.Pool != m.pool || !s.open():
		case !s.Pending && s.GPUs >= m.GPUs:
			return false
		case s.Pending && s.Unplaced == fleet.UnplacedImpossible:
			impossible = true
		}
	}
	return impossible
}

// biggest gives the GPUs of its largest slot, seen or promised by the config; -1 = it has none.
func (q *pool) biggest() int {
	if q.GPUsPerSlot > 0 {
		return max(q.largest, q.GPUsPerSlot)
	}
	return q.largest
}

// lookAhead renews the outlooks, and is true where one has changed so that it should be told.
func (p *Planner) lookAhead(now time.Duration) bool {
	changed := false
	for _, m := range p.models {
		o := p.prospect(now, m)
		eta := o.ETA - (m.outlook.ETA - (now - m.outlookAt))
		same := o.Answer == m.outlook.Answer && o.Phase == m.outlook.Phase && o.Known == m.outlook.Known &&
			o.Reason == m.outlook.Reason && (!o.Known || eta.Abs() < time.Second)
		if !same {
			m.outlook, m.outlookAt, changed = o, now, true
		}
	}
	return changed
}

// prospect says what can be told to those who wait for the model. Reasons hold no addresses, paths or words of the engine.
func (p *Planner) prospect(now time.Duration, m *model) protocol.Outlook {
	o := protocol.Outlook{Outlook: fleet.Outlook{Model: m.ID}}
	switch {
	case m.hot() > 0:
		o.Answer, o.Phase = fleet.Serving, fleet.PhaseReady
	case p.never(m):
		o.Answer, o.Reason = fleet.NeverFits, p.tooSmall(m)
	case m.pending() > 0:
		p.foresee(now, m, &o)
	case m.failures >= toldAfter && now < m.retryAt:
		o.Answer, o.Known, o.ETA = fleet.BackingOff, true, m.retryAt-now
		o.Reason = fmt.Sprintf("its engine failed to start %d times in a row", m.failures)
	case m.failures > 0 && m.waiting > 0 && now < m.retryAt:
		o.Answer, o.Phase, o.Reason = fleet.StartingUp, fleet.PhaseQueued, "its engine failed to start once and is tried again"
		left, known := m.soonest().remaining(0)
		o.ETA, o.Known = left+m.retryAt-now, known
	case m.waiting > 0 && p.hindrance(m) != "":
		o.Answer, o.Phase, o.Reason = fleet.Busy, fleet.PhaseQueued, p.hindrance(m)
	case m.waiting > 0 && !p.complete:
		o.Answer, o.Phase, o.Reason = fleet.Busy, fleet.PhaseQueued, "the back end has not said yet what runs"
	case m.waiting > 0:
		o.Answer, o.Phase, o.Reason = fleet.Busy, fleet.PhaseQueued, m.queueing()
		o.ETA, o.Known = p.foretell(now, m)
	}
	return o
}

// foresee tells of the instance that comes first.
func (p *Planner) foresee(now time.Duration, m *model, o *protocol.Outlook) {
	o.Answer, o.Phase, o.Reason = fleet.Busy, fleet.PhaseQueued, "its GPUs are being freed"
	for _, i := range m.instances {
		if i.claiming && i.State == fleet.Starting && i.slot.silent() && o.Answer != fleet.StartingUp {
			o.Reason = cmp.Or(p.hindrance(m), "the back end cannot be reached")
		}
		if i.State != fleet.Starting && i.State != fleet.Resuming || i.claiming {
			continue
		}
		if o.Answer == fleet.StartingUp && phaseRank(i.phase) < phaseRank(o.Phase) {
			continue
		}
		if i.unplaced != "" {
			if o.Answer != fleet.StartingUp {
				o.Reason = m.queueing()
			}
			continue
		}
		left, known := m.past(i.from).remaining(now - i.launchedAt)
		o.Answer, o.Phase, o.Reason, o.ETA, o.Known = fleet.StartingUp, i.phase, "", left, known
	}
}

// hindrance is why the model cannot be started at present, for those who wait; "" = it may be. Slots take orders without the back end.
func (p *Planner) hindrance(m *model) string {
	if p.suspended || p.complete && !m.dedicated() {
		return p.suspendedFor
	}
	return p.excuse
}

func (m *model) queueing() string {
	if m.rank < 2 {
		return fmt.Sprintf("waits for %s in use", gpus(m.GPUs))
	}
	others := "1 other model"
	if m.rank > 2 {
		others = fmt.Sprintf("%d other models", m.rank-1)
	}
	return fmt.Sprintf("waits for %s in use, behind %s", gpus(m.GPUs), others)
}

func (p *Planner) tooSmall(m *model) string {
	largest := p.pool(m.pool).biggest()
	if m.dedicated() {
		largest = p.largestNode()
	}
	if largest >= m.GPUs && !m.dedicated() {
		return "no machine can hold a slot of its pool: the back end has none that meets its job's constraints"
	}
	if largest >= m.GPUs {
		return "no machine can hold it: the back end has none that meets its job's constraints"
	}
	if largest > 0 {
		return fmt.Sprintf("needs %s on one machine; the largest has %d", gpus(m.GPUs), largest)
	}
	return fmt.Sprintf("needs %s; there are none", gpus(m.GPUs))
}

func gpus(n int) string {
	if n == 1 {
		return "1 GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}

// foretell estimates when a model that waits for GPUs will be ready: when the room that is best for it is free, and then its start.
func (p *Planner) foretell(now time.Duration, m *model) (time.Duration, bool) {
	if m.cold.median == 0 && m.parked.median == 0 {
		return 0, false
	}
	r, ok := p.findRoom(now, m, drainsBusy, anything)
	tier := fleet.Cold
	if r.resumes != nil {
		tier = fleet.Parked
	}
	start := m.past(tier).median
	if !ok || start == 0 {
		return 0, false
	}
	if m.dedicated() {
		r.wait += max(m.oldest+p.cfg.Patience-now, 0) // else it is in the room's estimate
	}
	return r.wait + start, true
}

// soonest gives what its next activation is like: a resume, if there is something to resume.
func (m *model) soonest() *past {
	if m.anyResumable() {
		return m.past(fleet.Parked)
	}
	return m.past(fleet.Cold)
}
