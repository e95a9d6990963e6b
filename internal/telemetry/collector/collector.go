// Package collector is for tests: an OTLP receiver on loopback, over HTTP and over gRPC, that keeps what it was sent. It decodes OpenTelemetry's own
// protobufs, so that what the SDK's exporters send is read by other code than ours.
package collector

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Collector keeps spans. It is safe for concurrent use.
type Collector struct {
	tb testing.TB
	collectorpb.UnimplementedTraceServiceServer

	mu    sync.Mutex // guards spans
	spans []Span
}

// Span is one that has come, in plain words.
type Span struct {
	Name          string
	Kind          string // server, client or internal
	Trace, ID     string // in hexadecimal
	Parent        string // "" = it is the first of its trace
	Links         []Link
	Start, End    time.Time
	Failed        bool
	Attributes    map[string]any // int64, string, bool or float64
	Resource      map[string]any
	Events        []string
	SchemaURL     string
	TraceStateRaw string
}

// Link is one to another span.
type Link struct{ Trace, Span string }

// OverHTTP starts one that speaks http/protobuf, until the test ends, and gives its endpoint.
func OverHTTP(t testing.TB) (c *Collector, endpoint string) {
	c = &Collector{tb: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", c.serve)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return c, s.URL
}

// OverGRPC starts one that speaks gRPC, until the test ends, and gives its endpoint.
func OverGRPC(t testing.TB) (c *Collector, endpoint string) {
	c = &Collector{tb: t}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(s, c)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ln) })
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
	return c, "http://" + ln.Addr().String()
}

func (c *Collector) serve(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	var sent collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &sent)
	}
	if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.tb.Errorf("collector: got %q that is no export: %v", r.Header.Get("Content-Type"), err)
		http.Error(w, "no export", http.StatusBadRequest)
		return
	}
	answer, _ := c.Export(r.Context(), &sent)
	text, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(text)
}

// Export is gRPC's.
func (c *Collector) Export(_ context.Context, sent *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range sent.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, plain(s, of.Resource.GetAttributes(), scope.SchemaUrl))
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func plain(s *tracepb.Span, resource []*commonpb.KeyValue, schema string) Span {
	p := Span{
		Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
		Start: time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)),
		Failed: s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR, Attributes: values(s.Attributes), Resource: values(resource),
		SchemaURL: schema, TraceStateRaw: s.TraceState,
	}
	switch s.Kind {
	case tracepb.Span_SPAN_KIND_SERVER:
		p.Kind = "server"
	case tracepb.Span_SPAN_KIND_CLIENT:
		p.Kind = "client"
	default:
		p.Kind = "internal"
	}
	for _, l := range s.Links {
		p.Links = append(p.Links, Link{hex.EncodeToString(l.TraceId), hex.EncodeToString(l.SpanId)})
	}
	for _, e := range s.Events {
		p.Events = append(p.Events, e.Name)
	}
	return p
}

func values(all []*commonpb.KeyValue) map[string]any {
	m := map[string]any{}
	for _, kv := range all {
		switch v := kv.Value.GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[kv.Key] = v.IntValue
		case *commonpb.AnyValue_BoolValue:
			m[kv.Key] = v.BoolValue
		case *commonpb.AnyValue_DoubleValue:
			m[kv.Key] = v.DoubleValue
		}
	}
	return m
}

// Await gives all spans, once there are those that enough wants, or fails the test after ten seconds.
func (c *Collector) Await(enough func([]Span) bool) []Span {
	c.tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		c.mu.Lock()
		spans := append([]Span(nil), c.spans...)
		c.mu.Unlock()
		if enough(spans) {
			return spans
		}
		if time.Now().After(end) {
			c.tb.Fatalf("collector: got %d spans in ten seconds, which is not what was awaited: %+v", len(spans), spans)
		}
	}
}

// Named gives the spans of a name, or of names that begin with it and a space.
func Named(spans []Span, name string) (found []Span) {
	for _, s := range spans {
		if s.Name == name || len(s.Name) > len(name) && s.Name[:len(name)+1] == name+" " {
			found = append(found, s)
		}
	}
	return found
}
