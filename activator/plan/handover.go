package plan

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// handover is the end of a planner that ends in order.
type handover struct{ *state }

// leave says what the planner of the next term may go by. Nothing may be given out after that.
func (v *handover) leave(now time.Duration) *protocol.Handover {
	h := &protocol.Handover{Term: v.cfg.Term, Since: v.succession.since, Holders: slices.Clone(v.succession.unheard)}
	for n, d := range v.peers {
		if v.mayHold(now, n) {
			h.Holders = append(h.Holders, protocol.Holder{Server: d.id, Life: d.incarnation})
		}
	}
	for _, i := range v.instances {
		if i.trust != adopted && termOf(i.ID) < h.Since {
			h.Known = append(h.Known, i.ID)
		}
	}
	return h
}

// mayHold reports whether a dispatcher may have leases, or get some by a table that is good still.
func (v *handover) mayHold(now time.Duration, n int) bool {
	d := v.peers[n]
	switch {
	case d.left:
		return false
	case d.near || now < d.lapsedAt() || !d.known || d.foreign || len(d.unfound) > 0:
		return true
	default:
		return slices.ContainsFunc(v.instances, func(i *instance) bool { return i.holds[n].bound() > 0 })
	}
}
