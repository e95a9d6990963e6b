package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	tracesHeld   = 2048            // of requests that are over and not yet made into spans
	lastExport   = 3 * time.Second // that a collector has at the end of Run
	instrumented = "github.com/pilotlight-io/pilotlight"
)

// TracerConfig is what NewTracer needs.
type TracerConfig struct {
	Endpoint    string  // of the collector, a URL; "" = as the OTEL_* variables say
	Protocol    string  // ProtocolHTTP or ProtocolGRPC; "" = as the OTEL_* variables say, else ProtocolHTTP
	SampleRatio float64 // of requests that come without a sampling decision, 0 to 1; negative = as OTEL_TRACES_SAMPLER says, else all
	Cluster     string
	Version     string
	Buffer      int // requests that wait to be made into spans; 0 = 2048

	// Activation gives the last activation of an instance; false = nothing is known of one. It is called from Run. Nil = none is ever known.
	Activation func(instance string) (fleet.Activation, bool)
	Getenv     func(string) string // the SDK itself reads the process's own environment
	Log        *slog.Logger        // nil = discard
}

// Tracer makes a trace of each request and sends it to a collector. Begin and what it returns never wait for anything.
//
//	Begin … End ── queue, bounded ──► Run ── spans ──► the SDK's batches, bounded ──► collector
type Tracer struct {
	c        TracerConfig
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	ended    chan *Trace
	outbox   outbox
	shared   shared
}

// NewTracer checks the config. It starts nothing, and reaches for no collector.
func NewTracer(c TracerConfig) (*Tracer, error) {
	if c.Buffer <= 0 {
		c.Buffer = tracesHeld
	}
	if c.Activation == nil {
		c.Activation = func(string) (fleet.Activation, bool) { return fleet.Activation{}, false }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if _, err := c.protocol(); err != nil {
		return nil, err
	}
	t := &Tracer{c: c, ended: make(chan *Trace, c.Buffer), shared: newShared()}
	if err := t.outbox.init(c); err != nil {
		return nil, err
	}
	about, err := c.resource()
	if err != nil {
		return nil, fmt.Errorf("reading what traces say of this server: %w", err)
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithSpanProcessor(&t.outbox), sdktrace.WithResource(about)}
	if c.SampleRatio >= 0 {
		options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.SampleRatio))))
	}
	t.provider = sdktrace.NewTracerProvider(options...)
	t.tracer = t.provider.Tracer(instrumented, trace.WithInstrumentationVersion(c.Version), trace.WithSchemaURL(semconv.SchemaURL))
	return t, nil
}

// Metrics gives what was exported and what was dropped.
func (t *Tracer) Metrics() *metrics.Set { return t.outbox.set }

// Begin begins the trace of a request, in that of its caller where traceparent, as W3C has it, names one. It is called before anything is known of it but that
// it came.
func (t *Tracer) Begin(traceparent, tracestate string, at time.Time) *Trace {
	ctx := context.Background()
	if traceparent != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent, "tracestate": tracestate})
	}
	ctx, span := t.tracer.Start(ctx, "request", trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindServer))
	return &Trace{t: t, ctx: ctx, server: span, sampled: span.IsRecording()}
}

// Run sends traces until ctx is done, then those that are left. It is called once.
func (t *Tracer) Run(ctx context.Context) error {
	exporter, err := t.c.exporter(context.WithoutCancel(ctx)) // it outlives ctx by the last traces
	if err != nil {
		return fmt.Errorf("making the exporter of traces: %w", err)
	}
	// What the SDK has to say of itself goes where all else is said. It has one such place for the whole process.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.c.Log.Warn("traces are in trouble", "reason", err) }))
	t.outbox.begin(exporter)
	for {
		select {
		case tr := <-t.ended:
			t.finish(tr)
		case <-ctx.Done():
			return t.end(ctx)
		}
	}
}

// end sends what is left, as far as the collector takes it in time. The SDK's own time limit for that would leave its goroutine behind, at work.
func (t *Tracer) end(ctx context.Context) error {
	for len(t.ended) > 0 {
		t.finish(<-t.ended)
	}
	late := time.AfterFunc(lastExport, t.outbox.giveUp)
	defer late.Stop()
	if err := t.provider.Shutdown(context.WithoutCancel(ctx)); err != nil {
		t.c.Log.Warn("the last traces were not sent", "reason", err)
	}
	t.outbox.giveUp()
	return nil
}

// submit hands on a trace whose request is over.
func (t *Tracer) submit(tr *Trace) {
	select {
	case t.ended <- tr:
	default:
		t.shared.left(tr)
		t.outbox.overflow.Inc()
	}
}
