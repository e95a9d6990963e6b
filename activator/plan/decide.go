package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// decider asks the policy where something has changed, lets idle surplus go, and finds room for what is missing: for those who
// have waited longest first, and for wishes without demand last.
type decider struct {
	*state
	demand *demand
	life   *lifecycle
	rooms  *rooms
	claims *claims
	limits *limits
}

// decide looks at the models that have changed, and at those who wait for room where some was freed. It gives the models that it has looked at.
func (d *decider) decide(now time.Duration, looked []*model) []*model {
	models := d.dirty
	d.dirty = nil
	for _, m := range models {
		m.dirty, m.lookedIn = false, d.rounds
		m.searching, m.search = m.searching || m.search, false
		d.orderAgain(now, m)
		if d.known(m) {
			d.limits.enforce(now, m)
		}
	}
	for _, m := range models {
		if d.known(m) && (m.stale || m.reviewAt > 0 && now >= m.reviewAt) {
			d.review(now, m)
		}
		if m.impossibleUntil > 0 && now >= m.impossibleUntil {
			m.impossibleUntil = 0
		}
	}
	d.placeMissing(now, models)
	return append(looked, models...)
}

// orderAgain has the acts of the model handed over that are due: one that was refused while nothing was decided has no alarm.
func (d *decider) orderAgain(now time.Duration, m *model) {
	for _, i := range m.instances {
		if i.order.ready(now) {
			d.ordered = append(d.ordered, ordered{i: i})
		}
	}
}

// placeMissing finds room for what models lack: those that have changed, and those who wait for room if some was freed.
func (d *decider) placeMissing(now time.Duration, changed []*model) {
	needy := slices.Clone(d.short)
	for _, m := range changed {
		if m.rank == 0 {
			needy = append(needy, m)
		}
	}
	needy = slices.DeleteFunc(needy, func(m *model) bool {
		lacks := !d.closing && d.known(m) && d.demand.missing(now, m) > 0
		if !lacks {
			m.short = 0
		}
		return !lacks || now < m.retryAt || d.neverFits(m)
	})
	slices.SortStableFunc(needy, moreUrgent)
	for _, m := range needy {
		d.claims.makeRoomForSlots(now, m)
		switch {
		case m.searching || m.short == 0:
			d.claims.place(now, m, nil)
		case len(d.freed) > 0:
			d.claims.place(now, m, d.freed)
		}
	}
	d.rank(needy)
	d.claims.makeRoomForSlots(now, nil)
}

// rank notes who waits for room, in the order in which they are served.
func (d *decider) rank(needy []*model) {
	for _, m := range d.short {
		m.rank = 0
	}
	d.short = d.short[:0]
	for _, m := range needy {
		if m.short > 0 {
			d.short = append(d.short, m)
			m.rank = len(d.short)
		} else {
			m.rank = 0
		}
	}
}

// review asks the policy, and acts on what it wishes less of.
func (d *decider) review(now time.Duration, m *model) {
	m.stale = false
	d.demand.ask(now, m)
	m.reviewAt = 0
	if !m.desired.ReviewAt.IsZero() {
		m.reviewAt = max(d.clock(m.desired.ReviewAt), now+1)
	}
	for _, id := range m.desired.Also {
		if o := d.modelOf[id]; o != nil && o != m {
			d.reconsider(o)
		}
	}
	d.rankSpare(m)
	if m.heldUntil > 0 && !m.held(now) {
		m.heldUntil = 0
	}
	if d.closing {
		return
	}
	for n := m.hot() - d.demand.wanted(now, m); n > 0; n-- {
		i := d.rooms.surplus(m)
		if i == nil {
			break // the rest serve; spare ones become idle
		}
		m.spared = fleet.Spared{Idle: now - i.idleSince(), Stays: m.hot() - 1}
		d.life.drain(now, i, m.desired.Reason)
	}
	d.replaceOutdated(now, m)
	d.reviewParked(now, m)
}

// replaceOutdated lets go of instances that were launched with another config. They serve whom they have; who comes is served by others, or waits for them.
func (d *decider) replaceOutdated(now time.Duration, m *model) {
	if m.unlisted && m.waiting+m.inflight > 0 {
		return // whoever waits for a model that was taken out of the config is still served
	}
	for _, i := range slices.Clone(m.instances) {
		switch {
		case !i.outdated && !m.unlisted:
		case i.State == fleet.Ready && i.visible():
			d.life.dismiss(now, i, "the config has changed")
		case i.State == fleet.Asleep && i.reserved == nil && i.visible():
			d.life.stop(now, i, "the config has changed")
		}
	}
}

// reviewParked stops the parked instances that the policy does not wish kept.
func (d *decider) reviewParked(now time.Duration, m *model) {
	over := m.asleep() - m.desired.Parked
	if over <= 0 {
		return
	}
	for _, i := range slices.Clone(m.instances) {
		if over > 0 && i.State == fleet.Asleep && i.reserved == nil && i.visible() {
			d.life.stop(now, i, "not kept parked: "+m.desired.Reason)
			over--
		}
	}
}

// rankSpare makes all ready instances spare beyond those that present demand needs. Requests are then packed on the first ones, and the spare
// ones, which get only what overflows, become idle by themselves. Nothing is drained for it, so a wrong guess costs no one a stream.
func (d *decider) rankSpare(m *model) {
	n := 0
	for _, i := range m.instances {
		if i.State != fleet.Ready {
			continue
		}
		n++
		if spare := m.desired.Need > 0 && n > max(m.desired.Need, m.Instances.Min); spare != i.spare {
			i.spare = spare
			for _, peer := range d.peers {
				d.tellShare(peer, i)
			}
		}
	}
}
