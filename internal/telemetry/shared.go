package telemetry

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// activationsKnown is how many activations are remembered, for those who have waited for them and are not over yet.
const activationsKnown = 1024

// shared keeps one span for each activation, however many requests have waited for it: that of the request which had waited longest when it began, of
// those whose traces are kept. Without one it is in a trace of its own.
type shared struct {
	mu      sync.Mutex                      // guards waiting
	waiting map[string]map[*Trace]time.Time // model ID -> who waits for it, or has and is not over -> since when
	made    map[uint64]trace.SpanContext    // activation -> its span; only Run's goroutine uses it, and order
	order   []uint64                        // the oldest first
}

func newShared() shared {
	return shared{waiting: map[string]map[*Trace]time.Time{}, made: map[uint64]trace.SpanContext{}}
}

func (s *shared) waits(tr *Trace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.waiting[tr.model]
	if of == nil {
		of = map[*Trace]time.Time{}
		s.waiting[tr.model] = of
	}
	of[tr] = tr.waitFrom
}

// left forgets a request that is over.
func (s *shared) left(tr *Trace) {
	if tr.model == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.waiting[tr.model]
	if delete(of, tr); len(of) == 0 {
		delete(s.waiting, tr.model)
	}
}

// longest gives who had waited longest at a moment; nil = nobody who is not over.
func (s *shared) longest(model string, at time.Time) *Trace {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *Trace
	for tr, since := range s.waiting[model] {
		if !since.After(at) && (first == nil || since.Before(first.waitFrom)) {
			first = tr
		}
	}
	return first
}

func (s *shared) keep(activation uint64, span trace.SpanContext) {
	s.made[activation] = span
	if s.order = append(s.order, activation); len(s.order) > activationsKnown {
		delete(s.made, s.order[0])
		s.order = s.order[1:]
	}
}

// finishActivation makes the span of the wait for an activation. It is the activation's own where this request owns that, else it links to it.
func (t *Tracer) finishActivation(tr *Trace, w wait) {
	var options []trace.SpanStartOption
	if act, known := t.c.Activation(w.instance); known && !act.Ended.IsZero() {
		span, made := t.shared.made[act.ID]
		if !made {
			span = t.makeActivation(&act)
			t.shared.keep(act.ID, span)
		}
		if span.TraceID() == tr.server.SpanContext().TraceID() {
			return
		}
		options = append(options, trace.WithLinks(trace.Link{SpanContext: span}), trace.WithAttributes(attribute.Int64("pilotlight.activation_id", int64(act.ID))))
	}
	t.span(tr.ctx, "activate", w.granted.Add(-w.activating), w.granted, options...)
}

// makeActivation makes an activation's span, with one for each of its phases.
func (t *Tracer) makeActivation(act *fleet.Activation) trace.SpanContext {
	owner := t.shared.longest(act.Model, act.Began)
	ctx := context.Background()
	if owner != nil {
		ctx = owner.ctx
	}
	ctx, s := t.tracer.Start(ctx, "activate", trace.WithTimestamp(act.Began), trace.WithAttributes(
		attribute.Int64("pilotlight.activation_id", int64(act.ID)), attribute.String("pilotlight.model", act.Model),
		attribute.String("pilotlight.instance", act.Instance), attribute.String("pilotlight.from", string(act.From)), attribute.String("pilotlight.reason", act.Reason),
	))
	for k, phase := range act.Phases {
		until := act.Ended
		if k+1 < len(act.Phases) {
			until = act.Phases[k+1].At
		}
		if phase.Phase != fleet.PhaseReady {
			t.span(ctx, "phase "+string(phase.Phase), phase.At, until)
		}
	}
	if act.Failure != "" {
		s.SetStatus(codes.Error, "activation failed")
	}
	s.End(trace.WithTimestamp(act.Ended))
	return s.SpanContext()
}
