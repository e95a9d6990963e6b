package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// order is the act that is due next, and whether one is on its way to the back end. Of one instance or slot no two are at once.
type order struct {
	due      fleet.ActKind // "" = none
	at       time.Duration // not before
	tries    int           // of that act, which the back end has refused
	onItsWay bool
	last     uint64 // the number of the last act handed over
	why      string // of a slot's act
}

// set makes an act due, in place of another one that may be.
func (o *order) set(now time.Duration, kind fleet.ActKind) {
	o.due, o.at, o.tries = kind, now, 0
}

// again makes an act due once more after it was refused.
func (o *order) again(at time.Duration, kind fleet.ActKind) {
	o.due, o.at, o.tries = kind, at, o.tries+1
}

// ready reports whether the act can be handed over now.
func (o *order) ready(now time.Duration) bool { return o.due != "" && !o.onItsWay && now >= o.at }

// alarm tells when it can be.
func (o *order) alarm(next *alarm) {
	if o.due != "" && !o.onItsWay {
		next.due(o.at)
	}
}
