package router

import "github.com/pilotlight-io/pilotlight/internal/fleet"

// offer is what callers may ask for, and at which price. It is immutable: another config is another offer, and a request keeps what it has taken of
// the one before.
type offer struct {
	models map[string]*model // model ID -> its model
	listed []*model          // in the order of the config
	price  fleet.NanoUSD     // of one GPU for one hour
}

// Configure replaces the models and the price, for every request that comes from now on. One under way goes on: it has the model that it asked
// for until an instance is found for it, then that which the instance is of, and the price of the moment at which it has got it.
func (r *Router) Configure(models []*fleet.Model, price fleet.NanoUSD) {
	o := &offer{models: make(map[string]*model, len(models)), listed: make([]*model, len(models)), price: price}
	for i, m := range models {
		known := newModel(m, price, r.metrics)
		o.models[m.ID], o.listed[i] = known, known
	}
	r.offer.Store(o)
}

// current gives the model as it is offered now, where that is the one that a lease is for; else was, which may be offered no longer.
func (r *Router) current(was *model, leased *fleet.Model) *model {
	if was.Model == leased {
		return was
	}
	if now := r.offer.Load().models[leased.ID]; now != nil && now.Model == leased {
		return now
	}
	return was
}

// Price gives what a GPU costs for an hour, of requests that come now.
func (r *Router) Price() fleet.NanoUSD { return r.offer.Load().price }
