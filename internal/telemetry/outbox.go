package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// spansHeld is how many spans wait for the collector, or are on their way to it, unless OTEL_BSP_MAX_QUEUE_SIZE says otherwise.
const spansHeld = sdktrace.DefaultMaxQueueSize

// outbox counts what the SDK's batches take and what becomes of it. They drop silently what their queue does not hold, so that it is dropped and counted here.
type outbox struct {
	log      *slog.Logger
	most     int64
	set      *metrics.Set
	exported *metrics.Counter
	overflow *metrics.Counter
	refused  *metrics.Counter

	life    context.Context // done = whatever is on its way to the collector is given up
	giveUp  context.CancelFunc
	held    atomic.Int64           // spans that were handed on and are not exported yet
	batches sdktrace.SpanProcessor // nil until Run. Only its goroutine ends spans
	failing atomic.Bool
}

func (o *outbox) init(c TracerConfig) error {
	o.log, o.most = c.Log, spansHeld
	o.life, o.giveUp = context.WithCancel(context.Background())
	if text := c.Getenv("OTEL_BSP_MAX_QUEUE_SIZE"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 1 {
			return fmt.Errorf("OTEL_BSP_MAX_QUEUE_SIZE is %q; write a number of spans from 1 on", text)
		}
		o.most = n
	}
	o.set = metrics.NewSet()
	o.exported = o.set.NewCounter("pilotlight_spans_exported_total")
	o.overflow = o.set.NewCounter(`pilotlight_spans_dropped_total{reason="queue_full"}`)
	o.refused = o.set.NewCounter(`pilotlight_spans_dropped_total{reason="export_failed"}`)
	return nil
}

func (o *outbox) begin(exporter sdktrace.SpanExporter) {
	o.batches = sdktrace.NewBatchSpanProcessor(counted{exporter, o}, sdktrace.WithMaxQueueSize(int(o.most)))
}

func (o *outbox) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (o *outbox) OnEnd(s sdktrace.ReadOnlySpan) {
	if o.batches == nil || o.held.Load() >= o.most {
		o.overflow.Inc()
		return
	}
	o.held.Add(1)
	o.batches.OnEnd(s)
}

func (o *outbox) Shutdown(ctx context.Context) error {
	if o.batches == nil {
		return nil
	}
	return o.batches.Shutdown(ctx)
}

func (o *outbox) ForceFlush(ctx context.Context) error {
	if o.batches == nil {
		return nil
	}
	return o.batches.ForceFlush(ctx)
}

// counted is an exporter whose failures are told once.
type counted struct {
	sdktrace.SpanExporter
	o *outbox
}

func (c counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer c.o.held.Add(-int64(len(spans)))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.o.life, cancel)()
	if err := c.SpanExporter.ExportSpans(ctx, spans); err != nil {
		c.o.refused.Add(len(spans))
		if !c.o.failing.Swap(true) {
			c.o.log.Warn("traces cannot be sent, they are dropped", "reason", err)
		}
		return nil
	}
	c.o.exported.Add(len(spans))
	if c.o.failing.Swap(false) {
		c.o.log.Info("traces are sent again")
	}
	return nil
}
