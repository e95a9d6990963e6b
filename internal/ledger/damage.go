package ledger

import (
	"fmt"
	"sync"
	"time"
)

// Damage names a block of the store whose records cannot be read. A list shows it where its records would be; a sum that would
// need them is refused, because one without them would look whole. Sums of whole days do not need them.
type Damage struct {
	Block   int64     `json:"block"`         // number of its first record, in the order of arrival
	Org     string    `json:"org,omitempty"` // whose the records are; "" = of several
	Records int64     `json:"records"`       // how many
	From    time.Time `json:"from"`          // their first and last dispatch
	To      time.Time `json:"to"`
}

// DamagedError says that an answer would need a damaged block.
type DamagedError struct {
	Damage
	cause error
}

func (e *DamagedError) Error() string {
	of := "several organisations"
	if e.Org != "" {
		of = "organisation " + e.Org
	}
	text := fmt.Sprintf("block %d of the usage records is damaged (%d of %s, dispatched from %s to %s)",
		e.Block, e.Records, of, e.From.Format(instantLayout), e.To.Format(instantLayout))
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

func (e *DamagedError) Unwrap() error { return e.cause }

// damages are the damaged blocks that were met.
type damages struct {
	mu    sync.Mutex
	known map[damageKey]bool
}

type damageKey struct {
	block int64
	org   string
}

// add notes a damage, and reports whether it is a new one.
func (d *damages) add(e *DamagedError) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := damageKey{e.Block, e.Org}
	if d.known[key] {
		return false
	}
	if d.known == nil {
		d.known = map[damageKey]bool{}
	}
	d.known[key] = true
	return true
}

// in reports whether damage begins at a block.
func (d *damages) in(block int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.known {
		if key.block == block {
			return true
		}
	}
	return false
}

func (d *damages) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.known)
}

// tellDamage logs a damaged block when it is met for the first time.
func (l *Ledger) tellDamage(e *DamagedError) {
	if l.damages.add(e) {
		l.log.Error("usage records cannot be read; sums of whole days have them all the same", "damage", e.Error())
	}
}
