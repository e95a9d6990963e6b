package ledger

import (
	"context"
	"slices"
	"sync"
)

// A query of many records holds a reader of the store, and a CPU, for as long as it takes. So many read at once, in all and of one
// organisation: the other half is there for others, however many one has waiting.
const (
	queriesAtOnce = 4
	queriesOfOrg  = queriesAtOnce / 2
)

// gate lets queries in, organisations in turn and those of one in the order in which they came.
type gate struct {
	each int // most of one organisation at once

	mu      sync.Mutex
	free    int
	reading map[string]int             // by organisation
	waiting map[string][]chan struct{} // by organisation; a closed channel was let in
	turns   []string                   // organisations of which somebody waits, whose turn comes first
}

func newGate(all, each int) *gate {
	return &gate{each: each, free: all, reading: map[string]int{}, waiting: map[string][]chan struct{}{}}
}

// enter waits until a query of an organisation may read. The caller calls leave when it has read; after an error, which is ctx's,
// it must not.
func (g *gate) enter(ctx context.Context, org string) (leave func(), err error) {
	in := g.join(org)
	select {
	case <-in:
	case <-ctx.Done():
		if g.quit(org, in) {
			return nil, context.Cause(ctx)
		}
	}
	return sync.OnceFunc(func() { g.leave(org) }), nil
}

func (g *gate) join(org string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := make(chan struct{})
	if len(g.waiting[org]) == 0 {
		g.turns = append(g.turns, org)
	}
	g.waiting[org] = append(g.waiting[org], in)
	g.admit()
	return in
}

// admit lets in who may. g.mu is held.
func (g *gate) admit() {
	for g.free > 0 {
		turn := slices.IndexFunc(g.turns, func(org string) bool { return g.reading[org] < g.each })
		if turn < 0 {
			return
		}
		org := g.turns[turn]
		g.turns = slices.Delete(g.turns, turn, turn+1)
		close(g.waiting[org][0])
		if g.waiting[org] = g.waiting[org][1:]; len(g.waiting[org]) > 0 {
			g.turns = append(g.turns, org)
		} else {
			delete(g.waiting, org)
		}
		g.reading[org]++
		g.free--
	}
}

// quit takes somebody who waits out. It gives false when he has been let in meanwhile.
func (g *gate) quit(org string, in chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.waiting[org], in)
	if at < 0 {
		return false
	}
	if g.waiting[org] = slices.Delete(g.waiting[org], at, at+1); len(g.waiting[org]) == 0 {
		delete(g.waiting, org)
		g.turns = slices.DeleteFunc(g.turns, func(o string) bool { return o == org })
	}
	return true
}

func (g *gate) leave(org string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	if g.reading[org]--; g.reading[org] == 0 {
		delete(g.reading, org)
	}
	g.admit()
}
