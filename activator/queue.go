package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Queue is who waits for an activator's leases, for operators to see and to change. It may be used from any goroutine.
type Queue struct{ of *Activator }

// QueueOf gives the queue of an activator.
func QueueOf(a *Activator) Queue { return Queue{a} }

// Waiting lists who waits for a model, "" = for any, in the order in which they would be served, at most so many; all says how many there are.
func (q Queue) Waiting(model string, limit int) (list []fleet.Waiting, all int) {
	a := q.of
	a.leasing.Lock()
	waiting, all := dispatch.WaitersOf(a.dispatcher).List(model, limit)
	a.leasing.Unlock()
	for k := range waiting {
		list = append(list, waiting[k].Asked(func(d time.Duration) time.Time { return a.epoch.Add(d) }))
	}
	return list, all
}

// ServeFirst has an organisation's requests for a model served next, and of them the one of that name, if it is not "". It is false where none waits.
func (q Queue) ServeFirst(model, org, request string) bool {
	q.of.leasing.Lock()
	defer q.of.leasing.Unlock()
	return dispatch.WaitersOf(q.of.dispatcher).First(model, org, request)
}

// EndWaiting refuses an organisation's requests that wait for a model with ErrEnded, or the one of that name, if it is not "". It gives how many.
func (q Queue) EndWaiting(model, org, request string) (ended int) {
	a := q.of
	a.leasing.Lock()
	now := a.now()
	ended = dispatch.WaitersOf(a.dispatcher).End(now, model, org, request)
	a.finishLeasing(now)
	return ended
}
