package router

import (
	"context"
	"errors"
	"maps"
	"math"
	"sync"
	"sync/atomic"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// errInstanceLost ends the asking of an instance that has failed, or is gone, before its first byte.
var errInstanceLost = errors.New("the instance was lost before its first byte")

// lostMost is how many instances that were lost are remembered: for a request that was granted one just before.
const lostMost = 128

// losses remembers which instances were lost last. An instance's ID is never used again.
type losses struct {
	recent atomic.Pointer[map[string]bool]
	order  []string // only the goroutine that adds uses it
}

func (l *losses) has(instance string) bool {
	recent := l.recent.Load()
	return recent != nil && (*recent)[instance]
}

func (l *losses) add(instance string) {
	if l.has(instance) {
		return
	}
	recent := map[string]bool{instance: true}
	if old := l.recent.Load(); old != nil {
		maps.Copy(recent, *old)
	}
	if l.order = append(l.order, instance); len(l.order) > lostMost {
		delete(recent, l.order[0])
		l.order = l.order[1:]
	}
	l.recent.Store(&recent)
}

// followLost takes requests away from instances that are lost until ctx is done.
func (r *Router) followLost(ctx context.Context) {
	_ = r.c.Activator.Follow(ctx, math.MaxUint64, func(n fleet.Notice) error {
		if n.Lost {
			r.lost.add(n.Instance) // first: a request that does not find it here yet is found below
			r.conns.Each(func(c *edge.Conn) { c.Tell(func(d edge.Departure) { d.(*exchange).lose(n.Instance) }) })
		}
		return nil
	})
}

// debt is the first byte that an instance owes to an exchange. Until it has come, the exchange can be sent to another instance.
type debt struct {
	mu       sync.Mutex // guards the fields below
	instance string     // "" = nothing is owed
	lost     bool       // the instance was lost meanwhile
}

func (d *debt) begin(instance string) {
	d.mu.Lock()
	d.instance, d.lost = instance, false
	d.mu.Unlock()
}

// end is false where the instance was lost while it owed.
func (d *debt) end() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instance = ""
	return !d.lost
}

// lose calls abort if it is this instance that owes. When end has returned, it calls it no more.
func (d *debt) lose(instance string, abort func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.instance == instance && !d.lost {
		d.lost = true
		abort()
	}
}

// lose ends the asking of an instance that is lost, from another goroutine.
func (x *exchange) lose(instance string) {
	x.line.debt.lose(instance, func() { x.line.call.Abort(errInstanceLost) })
}
