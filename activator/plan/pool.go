package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// dedicatedPool is where models without a pool are placed once a back end has told of nodes.
const dedicatedPool = ""

// use changes the number of GPUs held from now on.
func (q *pool) use(now time.Duration, gpus int) {
	q.accrue(now)
	q.awake += gpus
}

// accrue adds up the GPU time held since the last call.
func (q *pool) accrue(now time.Duration) {
	q.held += float64(q.awake) * (now - q.at).Seconds()
	q.at = now
}

// open gives the slots that the pool has, or is about to have, that take launches or will again, and that have what the present config says.
func (q *pool) open() int {
	if q.recount {
		q.recount, q.opened = false, 0
		for _, s := range q.slots {
			if !s.givenBack && s.Outdated == "" && s.condition != fleet.PlaceClosing && s.condition != fleet.PlaceDraining {
				q.opened++
			}
		}
	}
	return q.opened
}

// keeps reports whether slots.min keeps the slot, when so many others of the pool are given back.
func (q *pool) keeps(s *slot, others int) bool {
	left := q.open() - others
	if s.Outdated == "" {
		left--
	}
	return left < q.Slots.Min
}

// existing gives the slots that hold GPUs, or may: these count against slots.max, whatever they are fit for.
func (q *pool) existing() int { return len(q.slots) }

// biggest gives the GPUs of its largest slot, seen or promised by the config; -1 = it has none.
func (q *pool) biggest() int {
	if q.GPUsPerSlot > 0 {
		return max(q.largest, q.GPUsPerSlot)
	}
	return q.largest
}

// mayHold gives what parked engines may come to hold on each GPU of the pool.
func (q *pool) mayHold() fleet.Bytes {
	return fleet.Bytes(q.MaxParkedPerGPU) * q.ParkedGPUMemory
}

// hostMemory gives what parked engines may take of a slot's host memory, the lesser of what the slot says and what its pool is tuned to; 0 = no
// limit.
func (s *slot) hostMemory() fleet.Bytes {
	most := s.pool.HostMemory
	if s.Host > 0 && (most == 0 || s.Host < most) {
		return s.Host
	}
	return most
}

// sort enters the slot under its ease.
func (q *pool) sort(s *slot, t ease) {
	if s.listed && s.ease == t {
		return
	}
	q.unsort(s)
	s.listed, s.ease, s.easeAt = true, t, len(q.byEase[t])
	q.byEase[t] = append(q.byEase[t], s)
}

// unsort takes the slot out; the last one takes its place.
func (q *pool) unsort(s *slot) {
	if !s.listed {
		return
	}
	list := q.byEase[s.ease]
	last := len(list) - 1
	list[s.easeAt], list[last].easeAt = list[last], s.easeAt
	list[last] = nil
	q.byEase[s.ease] = list[:last]
	s.listed = false
}
