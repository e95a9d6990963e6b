package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const placesLookedAt = 64 // so many places can be looked at as often as one likes; where there are more, as much less often, for to look costs a share of the time

// find gives the best room for one more instance of the model that takes no more than the given effort and displaces less than bid, among the given
// places (nil = all), the one that was best before, and those where it can be resumed; false = there is none. A wish without demand starts nothing while an instance could be resumed.
func (f *rooms) find(now time.Duration, m need, most effort, bid float64, among []place) (room, bool) {
	if m.dedicated() {
		return f.findNode(now, m, most, bid, among)
	}
	best, found := room{}, false
	consider := func(r *room) {
		dearest := anything
		if found {
			dearest = best.cost
		}
		if f.assess(now, m, r, most, dearest) && (r.needs == isFree || r.value < bid) && (!found || r.better(&best)) {
			best, found = *r, true
		}
	}
	resumable := false
	for _, i := range m.instances {
		if i.resumable() {
			resumable = true
			consider(&room{at: i.at, gpu: i.GPU, resumes: i, start: m.takes(fleet.Parked)})
		}
	}
	if resumable && !f.demanded(now, m) {
		return best, found
	}
	if m.GPUs == 0 {
		return f.anySlot(now, m, among)
	}
	cold := m.takes(fleet.Cold)
	in := func(s *slot) {
		if !s.fits(m.GPUs) || m.avoids(now, &s.site) {
			return
		}
		for gpu := 0; gpu+m.GPUs <= s.GPUs; gpu += align(m.GPUs) {
			consider(&room{at: s, gpu: gpu, start: cold})
		}
	}
	if among != nil {
		forEach(m.model, among, in)
		return best, found
	}
	for t := range m.pool.byEase {
		if least := f.least(now, m, ease(t), most, cold); found && least > best.cost {
			continue
		}
		slots := m.pool.byEase[t]
		if found && best.needs == isFree {
			slots = f.some(slots)
		}
		for _, s := range slots {
			in(s)
		}
	}
	return best, found
}

// some gives as many of the slots as are looked at where a free room is known: others save a few seconds at most. Each round it gives others.
func (f *rooms) some(slots []*slot) []*slot {
	if len(slots) <= placesLookedAt {
		return slots
	}
	from := int(f.rounds % uint64(len(slots)-placesLookedAt+1))
	return slots[from : from+placesLookedAt]
}
