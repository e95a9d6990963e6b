package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// lock is what stands in the lock that says who leads: what the leader has left that gave it up last. Whoever takes it writes that over.
type lock struct {
	left *protocol.Handover // nil = who had it last died with it
	old  *protocol.Handover // what stood there before
}

// stepHandOver has the leader give the lead up in order.
func (h *history) stepHandOver() {
	if h.choose(3) == 0 {
		h.handOver()
	}
}

// handOver has the leader say who may have leases, give the lead up, and serve on as one that follows; or it dies, before that is written or after. What it had ordered is still on its
// way. The next one may hand over at once.
func (h *history) handOver() {
	s, silent := pick(h, h.servers), h.choose(3) == 0
	if silent && s.id != h.self {
		h.cut[s.n] = true
		h.pass(h.ttl + time.Second)
	}
	h.note("the leader hands over")
	acts, left := h.actsOnTheirWay(), HandOver(h.planner, h.now)
	if len(h.planner.succession.unheard) > 0 {
		h.reach("a leader handed over before all were heard whom the former had named")
	}
	if h.choose(8) > 0 {
		h.lock.left = left
		h.note("it leaves %+v", *left)
	}
	if k := h.indexOf(h.self); k >= 0 {
		if h.choose(4) == 0 {
			h.note("and ends")
			h.servers[k].restart()
		}
		h.self = pick(h, h.servers).id
	}
	h.crashPlanner()
	h.net = append(h.net, acts...)
	if !silent && h.choose(2) == 0 && s.id != h.self {
		h.overhear(s)
	}
}

// overhear has the leader hear something of what a server has said before, and nothing of it after that.
func (h *history) overhear(s *server) {
	h.note("of %s arrives what it has said before", s.id)
	for range 1 + h.choose(2) {
		var said []packet
		for _, m := range append(slices.Clone(h.net), h.drawer...) {
			if m.server == s.n && m.what == "report" {
				said = append(said, m)
			}
		}
		if len(said) > 0 {
			pick(h, said).deliver()
			h.settle()
		}
	}
	h.cut[s.n] = true
}

// takeLock gives what the next leader finds in the lock. It may have read that before another had the lock for a while, or died.
func (h *history) takeLock() *protocol.Handover {
	found := h.lock.left
	if found == nil && h.lock.old != nil && h.choose(2) == 0 {
		h.reach("a handover was too old to be believed")
		found = h.lock.old
	}
	if h.lock.left != nil {
		h.lock.old = h.lock.left
	}
	h.lock.left = nil
	return found
}

// noteInherited counts that an engine of an earlier leader is taken, which nobody was asked about.
func (h *history) noteInherited(e *process) {
	p := h.planner
	if i := p.instanceOf[e.ID]; i != nil && i.State != "" && i.trust == proven && p.succession.covers(i.ID) && !p.sharing.neverServed(i) && h.now < p.started+h.ttl {
		h.reach("an instance of a former leader went as soon as all were heard whom that had named")
	}
}
