package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// peer is one dispatcher as the planner knows it.
type peer struct {
	id              string
	near            bool          // it lives in the planner's process: what it is told arrives, and it lapses with the planner alone
	ttl, resend     time.Duration // as of the config; no resend where it is near
	incarnation     uint64
	seq             uint64 // its last report
	heardAt         time.Duration
	pledged         time.Duration // its stamp when it was heard last while decisions could be made: its tables are good from then on
	ackTerm, ackSeq uint64
	demands         []protocol.Demand        // by model
	since           []time.Duration          // by model: since when its first waits, or since when it is idle
	known           bool                     // its last report answers this planner, so it says what it holds as of this planner's life
	foreign         bool                     // what it holds may have been given by an earlier planner
	unfound         map[string]protocol.Held // instance ID -> what it holds on one of which nobody has told yet
	plain           uint64                   // the first table for this life that was no Hello; 0 = none yet
	table           uint64                   // the last table built for it
	tableAt         time.Duration
	unackedAt       time.Duration // since when a table is not acknowledged; valid while that is so
	lapsed          bool          // its tables had expired when last looked at
	left            bool          // it has said farewell

	whole     bool        // its next table must be a whole one
	shares    []*instance // whose shares its next table must tell
	outlooks  []*model    // likewise
	tell      bool        // a table is due
	unsettled []*instance // whose shares it has not acknowledged yet
	timer     timer
}

// lapsedAt gives the moment from which the dispatcher leases nothing more unless it is heard again.
func (d *peer) lapsedAt() time.Duration { return d.heardAt + d.ttl }

// keepUnfound keeps what the dispatcher holds on an instance that is not known, until that is found.
func (d *peer) keepUnfound(held *protocol.Held) {
	if held.Slots+held.Leases > 0 {
		d.unfound[held.Instance] = *held
	} else {
		delete(d.unfound, held.Instance)
	}
}

// acknowledged reports whether the dispatcher has taken the last table.
func (d *peer) acknowledged() bool { return d.ackSeq == d.table }

// late reports whether a table may be lost: what was said since must be said again.
func (d *peer) late(now time.Duration) bool {
	return d.resend > 0 && !d.acknowledged() && now >= d.unackedAt+d.resend
}
