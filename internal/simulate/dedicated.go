package simulate

import (
	"container/heap"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// SizeDedicated gives the GPUs needed if every model has engines of its own that are always hot: one, and where one in a hundred of all requests waits longer than stated, one more
// at a time for the model with most such requests a GPU. Nothing moves, so no seed matters; blocks of 1, 2, 4 and 8 GPUs leave no GPU unused.
func SizeDedicated(ctx context.Context, s *Sizing) (*FleetSize, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	copies := make([]int, len(s.Profiles))
	for i := range copies {
		copies[i] = 1
	}
	size := &FleetSize{Policy: DedicatedName, For: s.For.Seconds(), Met: true, Share: 1, Models: len(s.Profiles), Monotone: true}
	for {
		d, err := serveDedicated(ctx, s, copies)
		if err != nil {
			return nil, err
		}
		w := d.wait(s, copies)
		size.Looked = append(size.Looked, w)
		if w.Met {
			size.GPUs, size.Nodes, size.WaitP99, size.ModelsIn = w.GPUs, w.Nodes, w.WaitP99, w.ModelsIn
			return size, nil
		}
		copies[d.worst(s)]++
	}
}

// dedicated is the models' own engines, and what was waited for them.
type dedicated struct {
	models []ownEngines
	score  score
}

// serveDedicated plays the trace with so many engines of each model.
func serveDedicated(ctx context.Context, s *Sizing, copies []int) (*dedicated, error) {
	r, err := trace.Open(s.Trace, s.Profiles)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cfg := s.Config
	cfg.limit = s.For
	d := &dedicated{models: make([]ownEngines, len(copies)), score: newScore(&cfg)}
	for m := range copies {
		d.models[m].inflight = make([]int, copies[m])
	}
	var q trace.Request
	for n := 0; ; n++ {
		if n%ctxEvery == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := r.Read(&q); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		d.arrive(s, &q)
	}
	for m := range d.models {
		d.endUntil(s, m, unbounded)
	}
	return d, nil
}

func (d *dedicated) arrive(s *Sizing, q *trace.Request) {
	d.endUntil(s, q.Model, q.At)
	e := &d.models[q.Model]
	if free := e.leastLoaded(); e.inflight[free] < s.Profiles[q.Model].MaxConcurrency {
		d.begin(s, q, free, q.At)
		return
	}
	e.queue = append(e.queue, *q)
}

// endUntil ends what the model's engines have served by then; whoever waits takes the place.
func (d *dedicated) endUntil(s *Sizing, model int, now time.Duration) {
	e := &d.models[model]
	for len(e.ends) > 0 && e.ends[0].at <= now {
		end := heap.Pop(&e.ends).(ownEnd)
		e.inflight[end.engine]--
		if len(e.queue) > 0 {
			q := e.queue[0]
			e.queue = e.queue[1:]
			d.begin(s, &q, end.engine, end.at)
		}
	}
}

func (d *dedicated) begin(s *Sizing, q *trace.Request, engine int, now time.Duration) {
	e, p := &d.models[q.Model], &s.Profiles[q.Model]
	e.inflight[engine]++
	heap.Push(&e.ends, ownEnd{now + p.Service(q, e.inflight[engine]), engine})
	d.score.wait(q.Model, p.GPUs, q.At, now-q.At)
}

func (d *dedicated) wait(s *Sizing, copies []int) FleetWait {
	w := FleetWait{WaitP99: d.score.all.quantile(0.99), Met: d.score.all.within()}
	for m, n := range copies {
		w.GPUs += n * s.Profiles[m].GPUs
		if d.score.byModel[m].within() {
			w.ModelsIn++
		}
	}
	w.Nodes = (w.GPUs + s.GPUsPerNode - 1) / s.GPUsPerNode
	return w
}

// worst gives the model with most late requests a GPU.
func (d *dedicated) worst(s *Sizing) int {
	worst := 0
	for m := range d.models {
		if late := d.score.byModel[m].late; late*s.Profiles[worst].GPUs > d.score.byModel[worst].late*s.Profiles[m].GPUs {
			worst = m
		}
	}
	return worst
}

// ownEngines is one model's engines.
type ownEngines struct {
	inflight []int // by engine
	ends     ownEnds
	queue    []trace.Request
}

func (e *ownEngines) leastLoaded() int {
	return slices.Index(e.inflight, slices.Min(e.inflight))
}

// ownEnd is the end of a request.
type ownEnd struct {
	at     time.Duration
	engine int
}

// ownEnds is a heap of them, the earliest first.
type ownEnds []ownEnd

func (h ownEnds) Len() int           { return len(h) }
func (h ownEnds) Less(i, j int) bool { return h[i].at < h[j].at }
func (h ownEnds) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ownEnds) Push(x any)        { *h = append(*h, x.(ownEnd)) }
func (h *ownEnds) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
