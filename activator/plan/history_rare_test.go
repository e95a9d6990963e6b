package plan

import (
	"errors"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// rare are the states that many histories have to reach, by world: a promise that holds because nothing ever puts it to the test is none.
var rare = map[world][]string{
	slotsWorld: append(rareAnywhere, rareInSlots...),
	nodesWorld: append(rareAnywhere, rareOnNodes...),
	mixedWorld: slices.Concat(rareAnywhere, rareInSlots[1:], rareOnNodes),
}

var rareAnywhere = reached(
	"an engine hung with streams on it",
	"a start failed because the disk was full",
	"an adopted instance was leased",
	"a lapsed server's streams were waited for",
	"a former leader told a server of its shares",
	"a lease was granted on a former leader's word",
	"a leader was certain again",
	"an instance of a former leader went as soon as all were heard whom that had named",
	"a leader handed over before all were heard whom the former had named",
	"a handover was too old to be believed",
	"an instance went on the engine's word alone",
	"two servers leased one instance at once",
	"a busy instance made room",
	"a start that nobody waited for made room",
	"a waiter was told that starts fail",
	"a waiter was told that nothing can hold its model",
	"a waiter gave up when its time was over",
	"a lease was granted on an engine that was gone",
)

// rareInSlots begins with what is too rare where there are nodes as well.
var rareInSlots = reached("an engine found no memory to wake", "a slot was lost with streams in it", "a parked instance was resumed")

var rareOnNodes = reached("Nomad has forgotten a job", "Consul vouched for an engine that was gone")

func reached(states ...string) []string {
	for k := range states {
		states[k] = "reached: " + states[k]
	}
	return states
}

// noteTaken counts what is rare of an act that takes an engine away.
func (h *history) noteTaken(e *process) {
	h.noteInherited(e)
	for n, d := range h.planner.peers {
		if i := h.planner.instanceOf[e.ID]; i != nil && n < len(i.holds) && d.lapsed {
			h.reach("an instance went on the engine's word alone")
			return
		}
	}
}

// noteGrant counts what is rare of a lease.
func (s *server) noteGrant(e *process, l *dispatch.Lease) {
	h := s.h
	if e.gone {
		h.reach("a lease was granted on an engine that was gone")
	}
	if e.term < h.term {
		h.reach("an adopted instance was leased")
	}
	if h.former != nil && h.former.followed[s.n] {
		h.reach("a lease was granted on a former leader's word")
	}
	for _, o := range h.servers {
		if o != s && slices.ContainsFunc(o.leases, func(other *dispatch.Lease) bool { return other.Instance == l.Instance }) {
			h.reach("two servers leased one instance at once")
		}
	}
}

func (s *server) noteRefusal(err error) {
	switch {
	case errors.Is(err, dispatch.ErrActivationFailed):
		s.h.reach("a waiter was told that starts fail")
	case errors.Is(err, dispatch.ErrNoCapacity):
		s.h.reach("a waiter was told that nothing can hold its model")
	case errors.Is(err, dispatch.ErrActivationTimeout):
		s.h.reach("a waiter gave up when its time was over")
	}
}

// noteRoom counts what is rare of a transition.
func (h *history) noteRoom(n *fleet.Notice) {
	i := h.planner.instanceOf[n.Instance]
	switch {
	case n.To == fleet.Draining && strings.HasPrefix(n.Reason, "makes room for ") && h.leasesOn(n.Instance) > 0:
		h.reach("a busy instance made room")
	case strings.HasPrefix(n.Reason, "nobody waits for it any more: "):
		h.reach("a start that nobody waited for made room")
	case n.From == fleet.Resuming && n.To == fleet.Ready:
		h.reach("a parked instance was resumed")
	case n.To == fleet.Draining && i != nil && h.leasesOn(n.Instance) > 0 && slices.ContainsFunc(h.planner.peers, func(d *peer) bool { return d.lapsed }):
		h.reach("a lapsed server's streams were waited for")
	}
}
