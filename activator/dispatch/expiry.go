package dispatch

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Expiry is how long a dispatcher may lease by its last table: until that expires, and after that where an instance's own place vouches for it. So what
// is hot is served without a planner, for as long as it takes.
//
//	table taken ──► leases ──► expired ──► leases only what was vouched for, for as long
//	                  ▲            │
//	                  └── a table ─┘
type Expiry struct{ of *Dispatcher }

// ExpiryOf gives that of a dispatcher.
func ExpiryOf(d *Dispatcher) Expiry { return Expiry{d} }

// At gives the moment from which nothing is leased but what is vouched for; false = there is none.
func (e Expiry) At() (time.Duration, bool) { return e.of.expiry, !e.of.neverExpires }

// Term gives the term of the last table.
func (e Expiry) Term() uint64 { return e.of.term }

// Shared is an instance with a share.
type Shared struct{ Instance, Model, Addr string }

// Shares gives the instances that the last table gives shares of.
func (e Expiry) Shares() []Shared {
	var all []Shared
	for _, i := range e.of.instances {
		if i.slots > 0 {
			all = append(all, Shared{i.id, e.of.queues[i.queue].model.ID, i.addr})
		}
	}
	return all
}

// Vouch takes the word of an instance's own place that the instance is ready, and that no planner of a newer term than the last table's has been there. It
// is good until that moment.
func (e Expiry) Vouch(now time.Duration, instance string, until time.Duration) {
	i := e.of.byID[instance]
	if i == nil || i.slots == 0 || until <= i.vouched {
		return
	}
	i.vouched = until
	if e.of.expired(now) {
		e.of.grantWaiting(now, e.of.queues[i.queue])
	}
}

// State gives the state of a model as tables tell it: hot, starting, parked or cold; "" for an unknown one.
func State(d *Dispatcher, model string) string {
	q := d.byModel[model]
	switch {
	case q == nil:
		return ""
	case q.hot():
		return "hot"
	case q.outlook.Answer == fleet.StartingUp:
		return "starting"
	case q.parked:
		return "parked"
	default:
		return "cold"
	}
}
