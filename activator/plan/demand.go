package plan

import (
	"fmt"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// demand says how many instances of each model there should be: by the policy's wish, the operator's word, and who waits.
type demand struct{ *state }

// wish gives the policy's wish for the model as of now. It is asked once a step, unless something has changed since.
func (d *demand) wish(now time.Duration, m *model) *fleet.Desired {
	if m.askedIn == d.stepped && !m.stale {
		return &m.desired
	}
	return d.ask(now, m)
}

// ask has the policy decide anew.
func (d *demand) ask(now time.Duration, m *model) *fleet.Desired {
	m.askedIn = d.stepped
	d.unshown.model(m)
	if m.unlisted {
		m.desired = fleet.Desired{Model: m.ID, Reason: "the model is no longer in the config"}
		return &m.desired
	}
	m.desired = d.cfg.Policy.Decide(d.at(now), d.look(now, m))
	return &m.desired
}

// look fills in what a policy may see. Waiting requests that slots on their way will take count as in flight; what still runs on an
// instance that drains or has died does not, for it needs no other.
func (d *demand) look(now time.Duration, m *model) *fleet.ModelView {
	v := &d.view
	*v = fleet.ModelView{Model: m.Model, Waiting: m.waiting, Hot: v.Hot[:0]}
	fresh := d.onTheirWay(m)
	v.Waiting -= fresh
	v.Inflight += fresh
	if m.asked && m.waiting+m.inflight == 0 {
		v.IdleSince = d.at(m.idleSince)
	}
	if m.held(now) {
		v.HeldUntil = d.at(m.heldUntil)
	}
	v.Pending, v.Parked, v.Spared = m.pending(), m.asleep(), m.spared
	v.LatencyWeight, v.IdleCost = m.pool.LatencyWeight, d.idleCost(m)
	for _, i := range m.instances {
		if i.State == fleet.Ready {
			v.Hot = append(v.Hot, d.hotView(i))
			v.Parks = v.Parks || i.parkable()
			v.Inflight += v.Hot[len(v.Hot)-1].Leases
		}
	}
	return v
}

// idleCost gives what idle GPU time of the model counts. In a pool the slot is held whether or not its engines are parked; what a dedicated
// instance holds is given back with it.
func (d *demand) idleCost(m *model) float64 {
	if m.dedicated() {
		return 1
	}
	return d.cfg.IdleCost
}

func (d *demand) hotView(i *instance) fleet.HotView {
	h := fleet.HotView{ID: i.ID, ReadyAt: d.at(i.readyAt), Leases: i.leases(), Unparked: !i.slept}
	if h.Leases == 0 {
		h.IdleSince = d.at(i.idleSince())
	}
	return h
}

// onTheirWay gives the number of requests that were waiting when a dispatcher last reported, and for which it has been sent slots
// since. Without it, a model that has just become ready would start a second copy for those whom the first is about to serve.
func (d *demand) onTheirWay(m *model) int {
	sum := 0
	for n, peer := range d.peers {
		slots := 0
		for _, i := range m.instances {
			if h := &i.holds[n]; i.State == fleet.Ready && !h.settled() {
				slots += h.slots()
			}
		}
		sum += min(slots, peer.demands[m.index].Waiting)
	}
	return min(sum, m.waiting)
}

// wanted gives how many instances should be ready, from the last wish, the operator's words and the demand.
func (d *demand) wanted(now time.Duration, m *model) int {
	n := 0
	if !m.stopped && !m.unlisted {
		n = max(m.desired.Hot, m.Instances.Min)
		if m.held(now) {
			n = max(n, 1)
		}
	}
	if m.waiting > 0 {
		n = max(n, 1)
	}
	if m.Instances.Max > 0 {
		n = min(n, m.Instances.Max)
	}
	return n
}

// missing gives how many instances must be started or resumed. Those that are going away still count against instances.max, parked ones do not. One
// that is replaced because the config has changed is missed only once it is on its way out.
func (d *demand) missing(now time.Duration, m *model) int {
	there := m.hot() + m.pending()
	n := d.wanted(now, m) - there
	if n > 0 && m.Instances.Max > 0 {
		n = min(n, m.Instances.Max-there-m.going())
	}
	return max(n, 0)
}

// bid gives what the model may displace, in seconds of one request's waiting.
func (d *demand) bid(now time.Duration, m *model) float64 {
	if d.demanded(now, m) {
		return anything
	}
	return m.desired.HotValue
}

var anything = math.Inf(1) // the bid of one who must not be outbid

// demanded reports whether one more instance is needed for requests, or by the operator's word; else it is a mere wish.
func (d *demand) demanded(now time.Duration, m *model) bool {
	there := m.hot() + m.pending()
	return m.waiting > 0 || m.inflight > 0 && there < m.desired.Need || there < m.Instances.Min || m.held(now)
}

// why says for people what an activation is for.
func (d *demand) why(now time.Duration, m *model) string {
	switch {
	case m.waiting == 1:
		return "1 request waiting"
	case m.waiting > 1:
		return fmt.Sprintf("%d requests waiting", m.waiting)
	case m.held(now):
		return "held by the operator"
	case m.Instances.Min > m.desired.Hot:
		return fmt.Sprintf("instances.min is %d", m.Instances.Min)
	default:
		return m.desired.Reason
	}
}

// unwanted reports whether nobody needs the instance, which is not ready yet, and has not for so long.
func (d *demand) unwanted(now time.Duration, i *instance, patience time.Duration) bool {
	return d.wanted(now, i.m) < i.m.hot()+i.m.pending() && now >= max(i.m.lastDemand, i.began)+patience
}

// abandoned reports whether a start may make room for those who wait, as an idle instance may: nobody has asked for the model for a while.
func (d *demand) abandoned(now time.Duration, i *instance) bool {
	m := i.m
	if i.State != fleet.Starting || i.trust != ownLaunch || m.waiting+m.inflight > 0 {
		return false
	}
	kept := !m.stopped && !m.unlisted && (m.held(now) || m.hot()+m.pending() <= m.Instances.Min)
	return !kept && now >= max(m.lastDemand, i.began)+abandonedAfter
}

const abandonedAfter = 10 * time.Second // so long a start whose waiters have left keeps its GPUs from others who wait

// wantsParked reports whether an instance that must go should be parked: the policy, asked now, wishes one more parked.
func (d *demand) wantsParked(now time.Duration, i *instance) bool {
	if !i.parkable() {
		return false
	}
	kept := i.m.count(func(o *instance) bool {
		return o != i && o.reserved == nil && (o.State == fleet.Asleep || o.State == fleet.Parking || o.parks())
	})
	return d.wish(now, i.m).Parked > kept
}

// parkable reports whether the instance could be parked, if there is room for it among the parked.
func (i *instance) parkable() bool {
	s, is := i.at.(*slot)
	if !is || s.pool.MaxParkedPerGPU == 0 || !s.takesLaunches() || i.m.unlisted || i.outdated || !i.canPark() {
		return false
	}
	most := s.hostMemory()
	return most == 0 || i.parkedMemory() <= most
}

// parkedValue gives what losing the instance would cost if it is or were parked, per GB of host memory.
func (d *demand) parkedValue(now time.Duration, i *instance) float64 {
	v := d.wish(now, i.m).ParkedValue
	for _, o := range i.m.instances {
		if o != i && !o.leaving() {
			v *= furtherCopy
		}
	}
	return v
}

const furtherCopy = 0.3 // what a parked copy is worth for each other of its model

// ending says what becomes of an instance that is let go, as far as can be said before it is.
func (d *demand) ending(now time.Duration, i *instance) string {
	if d.wantsParked(now, i) {
		return "park"
	}
	return "stop"
}
