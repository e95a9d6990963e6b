package telemetry_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/telemetry"
	"github.com/pilotlight-io/pilotlight/internal/telemetry/collector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment is one in which only these variables are set.
func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// begin runs a tracer until the test ends, or until the function that it gives is called.
func begin(t *testing.T, c telemetry.TracerConfig) (*telemetry.Tracer, func()) {
	t.Helper()
	if c.Getenv == nil {
		c.Getenv = environment(nil)
	}
	c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	tracer, err := telemetry.NewTracer(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tracer.Run(ctx) }()
	stop := func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return tracer, stop
}

// read reads the value of a series from its line.
func read(t *testing.T, line, series string, to *int) {
	t.Helper()
	text, found := strings.CutPrefix(line, series)
	if !found {
		return
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Error(err)
	}
	*to = n
}

const (
	caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	model  = "meta-llama/Meta-Llama-3-8B-Instruct"
)

func TestTracer_OneTraceOfARequest(t *testing.T) {
	for name, open := range map[string]func(testing.TB) (*collector.Collector, string){
		telemetry.ProtocolHTTP: collector.OverHTTP, telemetry.ProtocolGRPC: collector.OverGRPC,
	} {
		t.Run(name, func(t *testing.T) {
			c, endpoint := open(t)
			tracer, stop := begin(t, telemetry.TracerConfig{Endpoint: endpoint, Protocol: name, SampleRatio: 1, Cluster: "blue", Version: "1.2.3"})
			from := time.Now()
			tr := tracer.Begin(caller, "vendor=1", from)
			lines := string(tr.Dispatch("k3x-1"))
			tr.Attempted(telemetry.Attempt{Dispatched: from.Add(time.Millisecond), FirstByte: from.Add(2 * time.Millisecond), Ended: from.Add(3 * time.Millisecond)})
			tr.End(&telemetry.Request{
				At: from, Took: 3 * time.Millisecond, ID: "r-1", Org: "acme", TokenID: "t-1", Method: "POST", Path: "/v1/chat/completions", Endpoint: "chat", Model: model,
				Stream: true, Instance: "k3x-1", Start: "hot", Status: 200, Outcome: "complete", TTFT: time.Millisecond, Billed: 2 * time.Millisecond,
				PromptTokens: 500, CompletionTokens: 100, TokensKnown: true,
			})
			stop()
			spans := c.Await(func(s []collector.Span) bool { return len(s) == 2 })
			server, upstream := collector.Named(spans, "chat")[0], collector.Named(spans, "upstream")[0]
			if server.Trace != caller[3:35] || server.Parent != caller[36:52] || server.Kind != "server" || server.TraceStateRaw != "vendor=1" {
				t.Errorf("got %+v, want a server's span in its caller's trace", server)
			}
			if upstream.Trace != server.Trace || upstream.Parent != server.ID || upstream.Kind != "client" {
				t.Errorf("got %+v, want a client's span below the server's", upstream)
			}
			if want := "traceparent: 00-" + server.Trace + "-" + upstream.ID + "-01\r\ntracestate: vendor=1\r\n"; lines != want {
				t.Errorf("got %q for the engine, want %q", lines, want)
			}
			if server.Name != "chat "+model {
				t.Errorf("got name %q, want operation and model", server.Name)
			}
			for key, want := range map[string]any{
				"gen_ai.operation.name": "chat", "gen_ai.provider.name": "pilotlight", "gen_ai.request.model": model, "gen_ai.request.stream": true,
				"gen_ai.usage.input_tokens": int64(500), "gen_ai.usage.output_tokens": int64(100),
				"http.request.method": "POST", "http.response.status_code": int64(200), "url.path": "/v1/chat/completions",
				"pilotlight.request_id": "r-1", "pilotlight.org": "acme", "pilotlight.token_id": "t-1", "pilotlight.instance": "k3x-1", "pilotlight.start": "hot",
				"pilotlight.status": "complete", "pilotlight.ttft_us": int64(1000), "pilotlight.billed_us": int64(2000),
			} {
				if server.Attributes[key] != want {
					t.Errorf("%s: got %v, want %v", key, server.Attributes[key], want)
				}
			}
			for key, want := range map[string]any{"service.name": "pilotlight", "service.version": "1.2.3", "pilotlight.cluster": "blue"} {
				if server.Resource[key] != want {
					t.Errorf("resource %s: got %v, want %v", key, server.Resource[key], want)
				}
			}
			if got := server.End.Sub(server.Start); got != 3*time.Millisecond {
				t.Errorf("got %v long, want 3 ms", got)
			}
		})
	}
}

// TestTracer_AnActivationIsOnceAndLinked has three requests wait for one activation. It is in the trace of the one that has waited longest, whoever of them
// is over first; the others link to it.
func TestTracer_AnActivationIsOnceAndLinked(t *testing.T) {
	for name, order := range map[string][]int{"the first ends first": {0, 1, 2}, "the first ends last": {2, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			c, endpoint := collector.OverHTTP(t)
			began := time.Now().Add(-10 * time.Second)
			ready := began.Add(8 * time.Second)
			act := fleet.Activation{
				ID: 7, Model: model, Instance: "k3x-1", From: fleet.Cold, Began: began, Ended: ready,
				Phases: []fleet.PhaseTime{{Phase: fleet.PhaseQueued, At: began}, {Phase: fleet.PhaseLoading, At: began.Add(2 * time.Second)}, {Phase: fleet.PhaseReady, At: ready}},
			}
			tracer, stop := begin(t, telemetry.TracerConfig{
				Endpoint: endpoint, SampleRatio: 1,
				Activation: func(instance string) (fleet.Activation, bool) { return act, instance == act.Instance },
			})
			var waiting [3]*telemetry.Trace
			for i := range waiting {
				since := began.Add(time.Duration(i) * time.Second)
				waiting[i] = tracer.Begin("", "", since)
				waiting[i].Waits(model, since)
			}
			for _, i := range order {
				waiting[i].Granted(act.Instance, 0, 8*time.Second)
				waiting[i].End(&telemetry.Request{At: began, Took: 9 * time.Second, ID: string(rune('a' + i)), Method: "POST", Endpoint: "chat", Model: model, Status: 200})
			}
			stop()
			spans := c.Await(func(s []collector.Span) bool { return len(s) == 3+3+2 })
			servers := collector.Named(spans, "chat")
			var owner collector.Span
			for _, s := range servers {
				if s.Attributes["pilotlight.request_id"] == "a" {
					owner = s
				}
			}
			var own collector.Span
			linked := 0
			for _, a := range collector.Named(spans, "activate") {
				if len(a.Links) == 0 {
					own = a
				}
			}
			if own.Trace != owner.Trace || own.Parent != owner.ID || !own.Start.Equal(began.Truncate(time.Nanosecond)) || !own.End.Equal(ready) {
				t.Errorf("got the activation %+v, want it in the trace of the one who has waited longest, from %v to %v", own, began, ready)
			}
			for _, a := range collector.Named(spans, "activate") {
				if len(a.Links) == 1 && a.Links[0] == (collector.Link{Trace: own.Trace, Span: own.ID}) && a.Trace != own.Trace {
					linked++
				}
			}
			if linked != 2 {
				t.Errorf("got %d links to it, want 2", linked)
			}
			phases := collector.Named(spans, "phase")
			if len(phases) != 2 || phases[0].Parent != own.ID || phases[1].Parent != own.ID {
				t.Errorf("got phases %+v, want each once, below the activation", phases)
			}
			for _, p := range phases {
				if p.Name == "phase loading" && p.End.Sub(p.Start) != 6*time.Second {
					t.Errorf("got loading %v long, want 6 s", p.End.Sub(p.Start))
				}
			}
		})
	}
}

func TestTracer_WaitInVainIsAQueueSpan(t *testing.T) {
	c, endpoint := collector.OverHTTP(t)
	tracer, stop := begin(t, telemetry.TracerConfig{Endpoint: endpoint, SampleRatio: 1})
	at := time.Now()
	tr := tracer.Begin("", "", at)
	tr.Waits(model, at)
	tr.End(&telemetry.Request{At: at, Took: time.Second, Method: "POST", Endpoint: "chat", Model: model, Status: 503, Code: "activation_timeout"})
	stop()
	spans := c.Await(func(s []collector.Span) bool { return len(s) == 2 })
	if q := collector.Named(spans, "queue"); len(q) != 1 || q[0].End.Sub(q[0].Start) != time.Second {
		t.Errorf("got %+v, want a second in the queue", q)
	}
	if s := collector.Named(spans, "chat")[0]; !s.Failed || s.Attributes["error.type"] != "activation_timeout" {
		t.Errorf("got %+v, want it failed with its code", s)
	}
}

// TestTracer_UnsampledStillTellsTheEngine leaves a request out that its caller does not sample, and one that the ratio does not.
func TestTracer_UnsampledStillTellsTheEngine(t *testing.T) {
	c, endpoint := collector.OverHTTP(t)
	tracer, stop := begin(t, telemetry.TracerConfig{Endpoint: endpoint, SampleRatio: 0})
	for _, parent := range []string{"", strings.TrimSuffix(caller, "1") + "0"} {
		tr := tracer.Begin(parent, "", time.Now())
		lines := string(tr.Dispatch("k3x-1"))
		if !strings.HasPrefix(lines, "traceparent: 00-"+tr.ID()+"-") || !strings.HasSuffix(lines, "-00\r\n") {
			t.Errorf("of %q: got %q for the engine, want the trace, not sampled", parent, lines)
		}
		tr.End(&telemetry.Request{Status: 200})
	}
	sampled := tracer.Begin(caller, "", time.Now()) // its caller has decided
	sampled.End(&telemetry.Request{At: time.Now(), Method: "POST", Status: 200})
	stop()
	spans := c.Await(func(s []collector.Span) bool { return len(s) > 0 })
	if len(spans) != 1 || spans[0].Trace != caller[3:35] {
		t.Errorf("got %+v, want the one that its caller samples", spans)
	}
}

// TestTracer_ADeadCollectorCostsNothing sends more than the queues hold to a collector that never answers, and to one that is not there.
func TestTracer_ADeadCollectorCostsNothing(t *testing.T) {
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer silent.Close()
	defer close(over)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + ln.Addr().String()
	_ = ln.Close()
	for name, endpoint := range map[string]string{"silent": silent.URL, "absent": nobody} {
		t.Run(name, func(t *testing.T) {
			tracer, stop := begin(t, telemetry.TracerConfig{Endpoint: endpoint, SampleRatio: 1})
			const requests = 20_000
			var worst time.Duration
			for range requests {
				at := time.Now()
				tr := tracer.Begin("", "", at)
				tr.Dispatch("k3x-1")
				tr.End(&telemetry.Request{At: at, Method: "POST", Status: 200})
				worst = max(worst, time.Since(at))
			}
			if worst > time.Second { // an export would take 10 s and more
				t.Errorf("got a request that took %v, want none to wait for the collector", worst)
			}
			stop()
			var out strings.Builder
			tracer.Metrics().WritePrometheus(&out)
			var full, failed, exported int
			for line := range strings.Lines(out.String()) {
				read(t, line, `pilotlight_spans_dropped_total{reason="queue_full"} `, &full)
				read(t, line, `pilotlight_spans_dropped_total{reason="export_failed"} `, &failed)
				read(t, line, `pilotlight_spans_exported_total `, &exported)
			}
			if full == 0 || exported != 0 {
				t.Errorf("got %d dropped for want of room, %d refused and %d exported; want some dropped, none exported", full, failed, exported)
			}
		})
	}
}

func TestConfigured(t *testing.T) {
	for _, tt := range []struct {
		endpoint  string
		variables map[string]string
		want      bool
	}{
		{"", nil, false},
		{"http://127.0.0.1:4318", nil, true},
		{"", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, true},
		{"", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, true},
		{"http://127.0.0.1:4318", map[string]string{"OTEL_SDK_DISABLED": "true"}, false},
		{"http://127.0.0.1:4318", map[string]string{"OTEL_TRACES_EXPORTER": "none"}, false},
	} {
		if got := telemetry.Configured(tt.endpoint, environment(tt.variables)); got != tt.want {
			t.Errorf("Configured(%q, %v): got %v, want %v", tt.endpoint, tt.variables, got, tt.want)
		}
	}
}

func TestNewTracer_SaysWhatIsWrong(t *testing.T) {
	for name, value := range map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_BSP_MAX_QUEUE_SIZE": "many"} {
		_, err := telemetry.NewTracer(telemetry.TracerConfig{Getenv: environment(map[string]string{name: value})})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), value) {
			t.Errorf("%s=%s: got %v, want it named", name, value, err)
		}
	}
}

// TestTracer_TheStandardVariablesAreEnough says nothing in the config.
func TestTracer_TheStandardVariablesAreEnough(t *testing.T) {
	c, endpoint := collector.OverHTTP(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	t.Setenv("OTEL_SERVICE_NAME", "front-door")
	tracer, stop := begin(t, telemetry.TracerConfig{SampleRatio: -1, Getenv: os.Getenv})
	tracer.Begin("", "", time.Now()).End(&telemetry.Request{At: time.Now(), Method: "POST", Status: 200})
	stop()
	spans := c.Await(func(s []collector.Span) bool { return len(s) == 1 })
	if spans[0].Resource["service.name"] != "front-door" {
		t.Errorf("got %v, want the name that the variable gives", spans[0].Resource["service.name"])
	}
}
