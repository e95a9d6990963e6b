package plan

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const toldAfter = 2 // failed starts after which nobody is kept waiting for the next

// forecast says what can be told to those who wait.
type forecast struct {
	*state
	rooms *rooms
}

// renew renews the outlooks of the models that have changed, and of those who wait for room, whose ranks may have, and has the dispatchers told where one
// has changed so that it should be.
func (f *forecast) renew(now time.Duration, changed []*model) {
	for _, m := range changed {
		f.renewOne(now, m)
	}
	for _, m := range f.short {
		f.renewOne(now, m)
	}
}

func (f *forecast) renewOne(now time.Duration, m *model) {
	o := f.outlook(now, m)
	eta := o.ETA - (m.outlook.ETA - (now - m.outlookAt))
	same := o.Answer == m.outlook.Answer && o.Phase == m.outlook.Phase && o.Known == m.outlook.Known && o.Parked == m.outlook.Parked &&
		o.Reason == m.outlook.Reason && (!o.Known || eta.Abs() < time.Second)
	if !same {
		m.outlook, m.outlookAt = o, now
		f.unshown.model(m)
		f.tellOutlook(m)
	}
}

// outlook says what can be told to those who wait for the model. Reasons hold no addresses, paths or words of the engine.
func (f *forecast) outlook(now time.Duration, m *model) protocol.Outlook {
	o := protocol.Outlook{Outlook: fleet.Outlook{Model: m.ID}, Parked: m.hot()+m.pending() == 0 && m.asleep() > 0}
	switch {
	case m.hot() > 0:
		o.Answer, o.Phase = fleet.Serving, fleet.PhaseReady
	case f.neverFits(m):
		o.Answer, o.Reason = fleet.NeverFits, f.tooSmall(m)
	case m.pending() > 0:
		f.arrival(now, m, &o)
	case m.failures >= toldAfter && now < m.retryAt:
		o.Answer, o.Known, o.ETA = fleet.BackingOff, true, m.retryAt-now
		o.Reason = fmt.Sprintf("its engine failed to start %d times in a row", m.failures)
	case m.failures+m.deaths > 0 && m.waiting > 0 && now < m.retryAt:
		o.Answer, o.Phase, o.Reason = fleet.StartingUp, fleet.PhaseQueued, m.setback()+" and is tried again"
		left, known := m.soonest().remaining(0)
		o.ETA, o.Known = left+m.retryAt-now, known
	case m.waiting > 0:
		f.waits(now, m, &o)
	}
	return o
}

// setback says, as the subject of a sentence, why the model's next start is delayed.
func (m *model) setback() string {
	if m.failures > 0 {
		return "its engine failed to start" + times(m.failures)
	}
	return "its engine was lost after it was ready" + times(m.deaths)
}

func times(n int) string {
	if n == 1 {
		return " once"
	}
	return fmt.Sprintf(" %d times in a row", n)
}

// waits tells of a model of which nothing is on its way yet.
func (f *forecast) waits(now time.Duration, m *model, o *protocol.Outlook) {
	o.Answer, o.Phase = fleet.Busy, fleet.PhaseQueued
	switch o.Reason = f.hindrance(m); {
	case o.Reason != "":
	case !f.known(m):
		o.Reason = "the back end has not said yet what runs"
	default:
		o.Reason = m.queueing()
		o.ETA, o.Known = max(m.readyIn.at-now, 0), m.readyIn.known
	}
}

// arrival tells of the instance that comes first.
func (f *forecast) arrival(now time.Duration, m *model, o *protocol.Outlook) {
	o.Answer, o.Phase, o.Reason = fleet.Busy, fleet.PhaseQueued, "its GPUs are being freed"
	for _, i := range m.instances {
		if i.reserved != nil && !i.exists() && silent(i.at) && o.Answer != fleet.StartingUp {
			o.Reason = cmp.Or(f.hindrance(m), "the back end cannot be reached")
		}
		if !i.activates() || i.reserved != nil {
			continue
		}
		if o.Answer == fleet.StartingUp && phaseRank(i.phase) < phaseRank(o.Phase) {
			continue
		}
		if i.waitsForNode() {
			if o.Answer != fleet.StartingUp {
				o.Reason = m.queueing()
			}
			continue
		}
		left, known := m.past(i.from).remaining(now - i.launchedAt)
		o.Answer, o.Phase, o.Reason, o.ETA, o.Known = fleet.StartingUp, i.phase, "", left, known
	}
}

// hindrance says why the model cannot be started at present, for those who wait; "" = it may be. Slots take orders without the back end.
func (f *forecast) hindrance(m *model) string {
	lost := f.roster.PlacesLost()
	switch {
	case f.paused != "" || lost == nil || f.known(m) && !m.dedicated():
		return f.paused
	case errors.Is(lost, fleet.ErrDenied):
		return "the back end refuses this server's token, or a right"
	default:
		return "the back end cannot be reached"
	}
}

// queueing says for how many GPUs the model waits, and behind how many others.
func (m *model) queueing() string {
	if q := &m.queued; q.said == "" || q.rank != m.rank || q.gpus != m.GPUs {
		*q = queued{rank: m.rank, gpus: m.GPUs, said: saysQueued(m.rank, m.GPUs)}
	}
	return m.queued.said
}

func saysQueued(rank, count int) string {
	if rank < 2 {
		return fmt.Sprintf("waits for %s in use", gpus(count))
	}
	others := "1 other model"
	if rank > 2 {
		others = fmt.Sprintf("%d other models", rank-1)
	}
	return fmt.Sprintf("waits for %s in use, behind %s", gpus(count), others)
}

// tooSmall says why the model never fits.
func (s *state) tooSmall(m *model) string {
	largest := m.pool.biggest()
	if m.dedicated() {
		largest = s.largestNode()
	}
	switch {
	case largest >= m.GPUs && !m.dedicated():
		return "no machine can hold a slot of its pool: the back end has none that meets its job's constraints"
	case largest >= m.GPUs:
		return "no machine can hold it: the back end has none that meets its job's constraints"
	case largest > 0:
		return fmt.Sprintf("needs %s on one machine; the largest has %d", gpus(m.GPUs), largest)
	default:
		return fmt.Sprintf("needs %s; there are none", gpus(m.GPUs))
	}
}
