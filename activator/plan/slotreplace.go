package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// A slot lives as long as its job, and has what its job was launched with. Where that lacks something of the present config, nothing new is launched there.
// What runs there serves on, and leaves when it is idle; when nothing there is awake, the slot is given back, and others come as they are needed. Nobody
// who is busy is moved for it, but where the pool can have no other slot and somebody finds no room without one.

const outdatedIdle = 30 * time.Second // an instance in such a slot stays for so long after its last request

// outdated reports whether the instance is in a slot that lacks something of the present config.
func (i *instance) inOutdatedSlot() bool {
	s, is := i.at.(*slot)
	return is && s.Outdated != ""
}

// inEmptiedSlot reports whether the instance is in a slot that is to be given back as soon as nobody is busy there.
func (i *instance) inEmptiedSlot() bool { return i.inSlot() && i.at.common().emptied }

// mayReplace reports whether a slot of the pool may be given back in favour of one with the present config: enough of those run, or the pool can have none
// before, and no other is on its way.
func (q *pool) mayReplace() bool {
	running, onItsWay := 0, false
	for _, s := range q.slots {
		if s.takesOver() {
			running++
		}
		onItsWay = onItsWay || s.givenBack || s.Pending && s.Outdated == ""
	}
	return running >= q.Slots.Min || q.existing() >= q.Slots.Max && !onItsWay
}

// emptyOutdated has one slot of the model's pool emptied in which the model cannot be started, and where the fewest are served: the pool can have no other,
// and has room for it nowhere.
func (k *slotKeeper) emptyOutdated(now time.Duration, m *model) {
	var best *slot
	least := 0
	for _, s := range m.pool.slots {
		if s.givenBack || s.emptied {
			return // that is on its way
		}
		if s.Outdated == "" || !s.takesLaunches() || s.seen != nil && s.seen.Silent() {
			continue
		}
		leases := 0
		for _, i := range s.residents {
			leases += i.leases()
		}
		if best == nil || leases < least {
			best, least = s, leases
		}
	}
	if best == nil {
		return
	}
	best.emptied, best.pool.recount = true, true
	for _, i := range best.residents {
		if i.State == fleet.Ready {
			k.mark(i.m)
		}
	}
	for len(best.reserved) > 0 {
		k.life.cancel(now, best.reserved[0], "its slot was launched with another config, and makes room for one that "+m.ID+" waits for")
	}
	k.markSlot(best)
}
