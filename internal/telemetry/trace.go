package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// Trace is what is noted of one request for its spans. They are made by Run, once it is over, from the moments that are noted here; only those whose IDs
// others are told exist before. Its methods belong to one goroutine at a time.
//
//	request ─┬─ queue
//	         ├─ activate ── phase starting, phase loading …   of the request that has waited longest; others' link to it
//	         └─ upstream                                      one for each try on an engine
type Trace struct {
	t        *Tracer
	ctx      context.Context // of server
	server   trace.Span
	sampled  bool
	model    string    // in whose queue it waits or has waited
	waitFrom time.Time // zero = it never has
	waits    []wait    // that ended with a lease
	tries    []try
	over     Request
}

// wait is one that ended with a lease.
type wait struct {
	instance           string
	granted            time.Time
	queued, activating time.Duration
}

// try is one on an engine.
type try struct {
	span     trace.Span
	instance string
	attempt  Attempt
}

// Attempt is what became of a request on an engine.
type Attempt struct {
	Dispatched time.Time // zero = nothing was sent
	FirstByte  time.Time // of the answer's body; zero = none came
	Ended      time.Time
	Failed     string // a word of the kind of failure; "" = it did not
}

// ID is that of the trace, in hexadecimal.
func (tr *Trace) ID() string { return tr.server.SpanContext().TraceID().String() }

// Waits notes that the request waits for an instance of a model, which it has asked for at that moment.
func (tr *Trace) Waits(model string, since time.Time) {
	if !tr.sampled {
		return
	}
	if tr.waitFrom.IsZero() {
		tr.waitFrom = since
	}
	tr.model = model
	tr.t.shared.waits(tr)
}

// Granted notes the end of a wait, of which this much was for the instance to be activated.
func (tr *Trace) Granted(instance string, queued, activating time.Duration) {
	if tr.sampled {
		tr.waits = append(tr.waits, wait{instance, time.Now(), queued, activating})
	}
}

// Dispatch begins a try on an engine and gives the header lines that tell it of the trace.
func (tr *Trace) Dispatch(instance string) []byte {
	ctx := tr.ctx
	if tr.sampled {
		var span trace.Span
		ctx, span = tr.t.tracer.Start(tr.ctx, "upstream", trace.WithSpanKind(trace.SpanKindClient))
		tr.tries = append(tr.tries, try{span: span, instance: instance})
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	lines := append(append([]byte("traceparent: "), carrier["traceparent"]...), "\r\n"...)
	if state := carrier["tracestate"]; state != "" {
		lines = append(append(append(lines, "tracestate: "...), state...), "\r\n"...)
	}
	return lines
}

// Attempted notes what became of the last try.
func (tr *Trace) Attempted(a Attempt) {
	if n := len(tr.tries); n > 0 && tr.tries[n-1].attempt.Ended.IsZero() { // else there was no try, because its instance was lost before
		tr.tries[n-1].attempt = a
	}
}

// End says that the request is over. Nothing of the trace may be used afterwards.
func (tr *Trace) End(r *Request) {
	if tr.sampled {
		tr.over = *r
		tr.t.submit(tr)
	}
}

// finish makes the spans of a request that is over.
func (t *Tracer) finish(tr *Trace) {
	r := &tr.over
	for _, w := range tr.waits {
		t.finishWait(tr, w)
	}
	if len(tr.waits) == 0 && !tr.waitFrom.IsZero() { // in vain
		t.span(tr.ctx, "queue", tr.waitFrom, r.At.Add(r.Took))
	}
	t.shared.left(tr)
	for _, y := range tr.tries {
		y.finish()
	}
	if name := r.operation(); name != "" && r.Model != "" {
		tr.server.SetName(name + " " + r.Model)
	} else {
		tr.server.SetName(r.Method)
	}
	tr.server.SetAttributes(r.attributes()...)
	if r.Status >= 500 { // what the caller did wrong is no failure of the server's
		tr.server.SetStatus(codes.Error, r.Code)
	}
	tr.server.End(trace.WithTimestamp(r.At.Add(r.Took)))
}

func (t *Tracer) finishWait(tr *Trace, w wait) {
	if w.queued+w.activating <= 0 {
		return
	}
	from := w.granted.Add(-w.queued - w.activating)
	if w.queued > 0 {
		t.span(tr.ctx, "queue", from, from.Add(w.queued))
	}
	if w.activating > 0 {
		t.finishActivation(tr, w)
	}
}

// span makes one that is over.
func (t *Tracer) span(ctx context.Context, name string, from, to time.Time, options ...trace.SpanStartOption) trace.SpanContext {
	_, s := t.tracer.Start(ctx, name, append(options, trace.WithTimestamp(from))...)
	s.End(trace.WithTimestamp(to))
	return s.SpanContext()
}

func (y *try) finish() {
	a := &y.attempt
	y.span.SetAttributes(attribute.String("pilotlight.instance", y.instance))
	if !a.Dispatched.IsZero() {
		y.span.AddEvent("dispatched", trace.WithTimestamp(a.Dispatched)) // from here on an engine works, and its caller pays
	}
	if !a.FirstByte.IsZero() {
		y.span.AddEvent("first byte", trace.WithTimestamp(a.FirstByte))
	}
	if a.Failed != "" {
		y.span.SetAttributes(semconv.ErrorTypeKey.String(a.Failed))
		y.span.SetStatus(codes.Error, a.Failed)
	}
	y.span.End(trace.WithTimestamp(a.Ended))
}
