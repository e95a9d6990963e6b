package protocol

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Table is what the planner tells one dispatcher. A dispatcher ignores one that answers another of its lives, and one that is not
// newer by (Term, Seq) than the last that it took.
//
// A partial table says what has changed since table Seq-1 of the same Term. A dispatcher ignores one unless it has taken that table,
// and a whole one of that Term before. So a planner that has sent one sends a whole table where an acknowledgement stays away.
type Table struct {
	To          string
	Incarnation uint64 // the dispatcher's life that is answered
	Term, Seq   uint64 // the planner's life, and the number of this table in it
	Stamp       time.Duration
	Heard       uint64        // the last report heard of this life
	Hello       bool          // says nothing but "answer me": a new planner does not know yet what this life holds. Shares, outlooks and expiry stay
	Partial     bool          // what is not listed stays as it was; a share is revoked by one with no slots, an outlook by one with no answer
	TTL         time.Duration // the dispatcher leases until Stamp + TTL on its own clock; 0 = for ever
	Shares      []Share       // in a whole table: a share that is not listed is revoked
	Outlooks    []Outlook
}

// Share is the number of request slots of one ready instance that one dispatcher may lease.
type Share struct {
	Instance string
	Model    string
	Addr     string // where it serves; "" = not known yet, so nothing of it is leased
	Slots    int
	GPUs     int           // of the instance as it was launched; 0 = as many as the model has in the config
	Spare    bool          // use it only when the others are full, so that it can become idle
	From     fleet.Tier    // the tier it was activated from
	Took     time.Duration // from the reservation of its GPUs until ready
	ReadyFor time.Duration
	Unproven bool // its engine has made no token since it was resumed
}

// Outlook is what can be told to those who wait for one model.
type Outlook struct {
	fleet.Outlook
	Known  bool // ETA is an estimate, not "unknown"
	Parked bool // an instance is parked, and none is nearer to being ready
}
