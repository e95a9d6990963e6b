package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// peer is one dispatcher as the planner knows it.
type peer struct {
	id              string
	incarnation     uint64
	seq             uint64 // its last report
	stamp           time.Duration
	heardAt         time.Duration
	ackTerm, ackSeq uint64
	demands         []protocol.Demand // by model
	since           []time.Duration   // by model: since when its first waits, or since when it is idle
	known           bool              // its last report answers this planner, so it says what it holds as of this planner's life
	plain           uint64            // the first table for this life that was no Hello; 0 = none yet
	table           uint64            // the last table built for it
	tableAt         time.Duration
	lapsed          bool // its tables had expired when last looked at

	whole     bool        // its next table must be a whole one
	shares    []*instance // whose shares its next table must tell
	outlooks  []*model    // likewise
	tell      bool        // a table is due
	unsettled []*instance // whose shares it has not acknowledged yet
	timer     timer
}

// lapsedAt gives the moment from which the dispatcher leases nothing more unless it is heard again.
func (d *peer) lapsedAt(ttl time.Duration) time.Duration { return d.heardAt + ttl }
