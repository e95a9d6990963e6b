package activator

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Waiting lists who waits for a model, "" = for any, in the order in which they would be served, at most so many; all says how many there are.
func (a *Activator) Waiting(model string, limit int) (list []fleet.Waiting, all int) {
	a.leasing.Lock()
	waiting, all := a.dispatcher.Waiting(model, limit)
	a.leasing.Unlock()
	for k := range waiting {
		list = append(list, waiting[k].Asked(func(d time.Duration) time.Time { return a.epoch.Add(d) }))
	}
	return list, all
}

// ServeFirst has an organisation's requests for a model served next, and of them the one of that name, if it is not "". It is false where none waits.
func (a *Activator) ServeFirst(model, org, request string) bool {
	a.leasing.Lock()
	defer a.leasing.Unlock()
	return a.dispatcher.ServeFirst(model, org, request)
}

// EndWaiting refuses an organisation's requests that wait for a model with ErrEnded, or the one of that name, if it is not "". It gives how many.
func (a *Activator) EndWaiting(model, org, request string) (ended int) {
	a.leasing.Lock()
	now := a.now()
	ended = a.dispatcher.Refuse(now, model, org, request)
	a.finishLeasing(now)
	return ended
}
