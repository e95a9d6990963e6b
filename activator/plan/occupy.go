package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// occupy marks the instance's GPUs as held.
func (l *lifecycle) occupy(now time.Duration, i *instance) {
	if i.at == nil || i.stay == holdsGPU {
		return
	}
	l.settle(i)
	i.stay = holdsGPU
	i.at.hold(i)
	i.at.common().pool.use(now, i.GPUs)
	i.m.awake.step(now, 1)
	l.unshown.place(i.at)
	l.markPlace(i.at)
}

// settle enters the instance among those who live at its place, awake or not.
func (l *lifecycle) settle(i *instance) {
	if i.stay != nowhere {
		return
	}
	i.stay = homed
	c := i.at.common()
	c.settle(i)
	l.unshown.place(i.at)
	if _, is := i.at.(*slot); is && !slices.Contains(i.m.nodes, c.node) {
		i.m.nodes = append(i.m.nodes, c.node)
	}
}

// vacate marks them as free. A parked instance goes on living there.
func (l *lifecycle) vacate(now time.Duration, i *instance) {
	if i.at == nil {
		return
	}
	held := i.stay == holdsGPU
	if i.stay = homed; i.State != fleet.Asleep {
		i.at.common().leave(i)
		i.stay = nowhere
	}
	if !held {
		return
	}
	i.m.awake.step(now, -1)
	i.at.release(i)
	i.at.common().pool.use(now, -i.GPUs)
	if s, is := i.at.(*slot); is {
		s.quietAt = now
	}
	l.free(i.at)
}

// markPlace has the slot looked at, where the place is one.
func (l *lifecycle) markPlace(at place) {
	if s, is := at.(*slot); is {
		l.markSlot(s)
	}
}
