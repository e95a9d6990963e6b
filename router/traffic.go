package router

import (
	"net/http"
	"slices"
)

// Traffic is what was counted of one model since the router was made.
type Traffic struct {
	Model            string
	Answered, Failed uint64   // requests; Failed are those with a status of 500 and above
	FirstTokens      []uint64 // by bucket of FirstTokenBounds; the last is above them all
}

// FirstTokenBounds are the upper bounds of the buckets of first tokens, in seconds.
func FirstTokenBounds() []float64 { return slices.Clone(ttftBuckets[:]) }

// Traffic gives what was counted of each model that is offered. It may be called at any time, and holds nobody up.
func (r *Router) Traffic() []Traffic {
	offer := r.offer.Load()
	all := make([]Traffic, 0, len(offer.listed))
	for _, m := range offer.listed {
		all = append(all, m.metrics.traffic())
	}
	return all
}

func (m *modelMetrics) traffic() Traffic {
	t := Traffic{Model: m.model, FirstTokens: make([]uint64, len(m.tokens))}
	for status := range m.requests {
		if c := m.requests[status].Load(); c != nil {
			t.Answered += c.Get()
			if status >= http.StatusInternalServerError {
				t.Failed += c.Get()
			}
		}
	}
	for i := range m.tokens {
		t.FirstTokens[i] = m.tokens[i].Load()
	}
	return t
}
