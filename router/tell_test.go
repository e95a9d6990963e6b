package router_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/telemetry"
	"github.com/pilotlight-io/pilotlight/internal/telemetry/collector"
	"github.com/pilotlight-io/pilotlight/router"
)

const callerTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// seen has an engine note the head of each request.
func seen(w *world) func() http.Header {
	var mu sync.Mutex
	var last http.Header
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		last = r.Header.Clone()
		mu.Unlock()
		answerChat(rw, r)
	})
	return func() http.Header {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

func TestTraceparentIsPassedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		head := seen(w)
		for _, tt := range []struct{ parent, state, wantParent, wantState string }{
			{callerTrace, "", callerTrace, ""},
			{callerTrace, "vendor=1,other=2", callerTrace, "vendor=1,other=2"},
			{"01" + callerTrace[2:] + "-more", "", callerTrace, ""}, // of a later version: what is known of it
			{"", "vendor=1", "", ""},
			{callerTrace + "-more", "", "", ""},
			{strings.ToUpper(callerTrace), "", "", ""},
			{"ff" + callerTrace[2:], "", "", ""},
			{"00-" + strings.Repeat("0", 32) + callerTrace[35:], "", "", ""},
			{callerTrace[:36] + strings.Repeat("0", 16) + "-01", "", "", ""},
			{callerTrace, strings.Repeat("a", 513), callerTrace, ""},
			{callerTrace, "vendor=\x80", callerTrace, ""},
		} {
			a := w.do(call{body: chat(chatModel), header: map[string]string{"Traceparent": tt.parent, "Tracestate": tt.state, "Baggage": "a=b", "X-Other": "c"}})
			if a.err != nil || a.StatusCode != 200 {
				t.Fatalf("%+v: got %+v, want 200", tt, a)
			}
			h := head()
			if h.Get("Traceparent") != tt.wantParent || h.Get("Tracestate") != tt.wantState || h.Get("Baggage") != "" || h.Get("X-Other") != "" {
				t.Errorf("%q, %q: got %v at the engine, want %q, %q and nothing else of the caller's", tt.parent, tt.state, h, tt.wantParent, tt.wantState)
			}
		}
	})
}

// traced is a world whose router sends traces.
func traced(t *testing.T, s setup) (*world, *collector.Collector, func()) {
	c, endpoint := collector.OverHTTP(t)
	var w *world
	tracer, err := telemetry.NewTracer(telemetry.TracerConfig{
		Endpoint: endpoint, SampleRatio: 1, Getenv: os.Getenv,
		Activation: func(instance string) (fleet.Activation, bool) { return activator.LastActivation(w.act, instance) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = tracer.Run(ctx) })
	s.tcp, s.router = true, func(c *router.Config) { c.Tracer = tracer }
	w = newWorld(t, s)
	return w, c, func() {
		w.stopRouter()
		w.served <- <-w.served // all requests are over
		cancel()
		running.Wait()
	}
}

// TestTraceOfAColdStart has three requests wait for one start, and one find the model hot.
func TestTraceOfAColdStart(t *testing.T) {
	w, c, stop := traced(t, setup{load: 300 * time.Millisecond})
	head := seen(w)
	var callers sync.WaitGroup
	first := make(chan struct{})
	for i := range 3 {
		callers.Go(func() {
			header := map[string]string{"X-Request-Id": string(rune('a' + i))}
			if i == 0 {
				header["Traceparent"] = callerTrace
			} else {
				<-first
			}
			if a := w.do(call{body: strings.Replace(chat(chatModel, stream), `"hi"`, `"secret-prompt"`, 1), header: header}); a.err != nil || a.StatusCode != 200 {
				t.Errorf("got %+v, want 200", a)
			}
		})
		if i == 0 {
			waitUntil(t, func() bool { return w.act.ModelState(chatModel) == "starting" })
			close(first)
		}
	}
	callers.Wait()
	if a := w.do(call{body: chat(chatModel), header: map[string]string{"X-Request-Id": "hot"}}); a.StatusCode != 200 {
		t.Fatalf("got %+v, want 200", a)
	}
	last := head()
	stop()
	spans := c.Await(func(s []collector.Span) bool { return len(collector.Named(s, "chat")) == 4 })
	servers := map[string]collector.Span{}
	for _, s := range collector.Named(spans, "chat") {
		servers[s.Attributes["pilotlight.request_id"].(string)] = s
	}
	if a := servers["a"]; a.Trace != callerTrace[3:35] || a.Parent != callerTrace[36:52] || a.Attributes["pilotlight.start"] != "cold" || a.Attributes["gen_ai.usage.output_tokens"] == nil {
		t.Errorf("got %+v, want a cold start in its caller's trace, with its tokens", a)
	}
	if hot := servers["hot"]; len(hot.Parent) > 0 || hot.Attributes["pilotlight.start"] != "hot" {
		t.Errorf("got %+v, want a trace of its own", hot)
	}
	ups := collector.Named(spans, "upstream")
	if len(ups) != 4 {
		t.Errorf("got %d tries on engines, want 4", len(ups))
	}
	for _, u := range ups {
		if u.Trace == servers["hot"].Trace && last.Get("Traceparent") != "00-"+u.Trace+"-"+u.ID+"-01" {
			t.Errorf("got %q at the engine, want the span of its own try, %s", last.Get("Traceparent"), u.ID)
		}
	}
	own, linked := 0, 0
	for _, a := range collector.Named(spans, "activate") {
		switch {
		case len(a.Links) == 0 && a.Trace == servers["a"].Trace && a.Parent == servers["a"].ID:
			own++
		case len(a.Links) == 1 && a.Links[0].Trace == servers["a"].Trace:
			linked++
		}
	}
	if own != 1 || linked != 2 {
		t.Errorf("got %d activations and %d links to them, want 1 in the trace of the request that has caused it, and 2", own, linked)
	}
	for _, p := range collector.Named(spans, "phase") {
		if p.Trace != servers["a"].Trace {
			t.Errorf("got phase %+v, want it below the activation", p)
		}
	}
	if n := len(collector.Named(spans, "phase")); n < 2 {
		t.Errorf("got %d phases, want them", n)
	}
	for _, s := range spans {
		if text := fmt.Sprint(s); strings.Contains(text, "secret-prompt") || strings.Contains(text, w.secret) || strings.Contains(text, "hello") {
			t.Errorf("got %s, want neither prompts nor answers nor secrets", text)
		}
	}
}

func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("got nothing in 10 s")
		}
	}
}

// TestTraceOfARetry has the first engine fail.
func TestTraceOfARetry(t *testing.T) {
	w, c, stop := traced(t, setup{})
	w.heat(chatModel)
	var once sync.Once
	w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
		failed := false
		once.Do(func() { failed = true })
		if failed {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		answerChat(rw, r)
	})
	if a := w.do(call{body: chat(chatModel), header: map[string]string{"X-Request-Id": "again"}}); a.StatusCode != 200 {
		t.Fatalf("got %+v, want 200", a)
	}
	stop()
	spans := c.Await(func(s []collector.Span) bool { return len(collector.Named(s, "chat")) == 2 })
	failed, fine := 0, 0
	for _, s := range collector.Named(spans, "chat") {
		if s.Attributes["pilotlight.request_id"] != "again" {
			continue
		}
		for _, u := range collector.Named(spans, "upstream") {
			switch {
			case u.Parent != s.ID:
			case u.Failed && u.Attributes["error.type"] == "engine_error":
				failed++
			default:
				fine++
			}
		}
	}
	if failed != 1 || fine != 1 {
		t.Errorf("got %d failed tries and %d others, want one of each", failed, fine)
	}
}

// TestAccessLog holds the line of each request against its usage record.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, err := telemetry.NewAccessLog(telemetry.AccessLogConfig{Path: telemetry.Stdout, Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = log.Run(ctx) })
		w := newWorld(t, setup{load: 2 * time.Second, router: func(c *router.Config) { c.AccessLog = log }})
		long := chat(chatModel, `,"user":"a-prompt-like-word"`)
		w.do(call{body: long, header: map[string]string{"X-Request-Id": "cold", "Traceparent": callerTrace}})
		w.do(call{body: chat(chatModel, stream), header: map[string]string{"X-Request-Id": "stream"}})
		w.do(call{body: chat("acme/none"), header: map[string]string{"X-Request-Id": "nomodel"}})
		w.do(call{body: chat(chatModel), secret: "-", header: map[string]string{"X-Request-Id": "nobody"}})
		w.do(call{method: "GET", path: "/v1/models", header: map[string]string{"X-Request-Id": "list"}})
		w.do(call{method: "GET", path: "/nowhere?token=" + w.secret, secret: "-", header: map[string]string{"X-Request-Id": "nowhere"}})
		w.do(call{body: chat(rareModel), header: map[string]string{"X-Request-Id": "nothot", "X-Pilotlight-Max-Wait": "0s"}})
		w.do(call{body: chat(rareModel), header: map[string]string{"X-Request-Id": "tooslow", "X-Pilotlight-Max-Wait": "1s"}})
		records := w.records(2)
		w.stopRouter()
		w.served <- <-w.served
		cancel()
		running.Wait()
		text := out.String()
		for _, never := range []string{w.secret, "a-prompt-like-word", `"hi"`, "Bearer"} {
			if strings.Contains(text, never) {
				t.Errorf("got %s, want no %q in it", text, never)
			}
		}
		lines := map[string]map[string]any{}
		for line := range strings.Lines(text) {
			var l map[string]any
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("got %q: %v", line, err)
			}
			id := l["request_id"].(string)
			if lines[id] != nil {
				t.Errorf("got two lines of %s", id)
			}
			lines[id] = l
		}
		for _, r := range records {
			l := lines[r.RequestID]
			for key, want := range map[string]any{
				"org": r.Org, "token_id": r.TokenID, "model": r.Model, "instance": r.Instance, "start": string(r.Start), "status": 200.0, "code": nil,
				"queue_us": us(r.Queue), "activate_us": us(r.Activate), "ttft_us": us(r.TTFT), "upstream_us": us(r.Upstream), "billed_us": us(r.Billed),
				"prompt_tokens": float64(r.PromptTokens), "completion_tokens": float64(r.CompletionTokens), "method": "POST", "path": "/v1/chat/completions",
			} {
				if l[key] != want {
					t.Errorf("%s: %s: got %v, want %v as in its record", r.RequestID, key, l[key], want)
				}
			}
			if l["bytes_out"].(float64) == 0 || l["bytes_in"].(float64) == 0 {
				t.Errorf("%s: got %v, want its bytes", r.RequestID, l)
			}
		}
		if l := lines["cold"]; l["bytes_in"] != float64(len(long)) || l["trace_id"] != callerTrace[3:35] || l["stream"] != false {
			t.Errorf("got %v, want the body's bytes and the caller's trace", l)
		}
		for id, want := range map[string][4]any{ // status, code, org, model
			"nomodel": {404.0, "model_not_found", "acme", nil}, "nobody": {401.0, "invalid_api_key", nil, nil},
			"list": {200.0, nil, "acme", nil}, "nowhere": {404.0, "not_found", nil, nil},
			"nothot": {503.0, "not_hot", "acme", rareModel}, "tooslow": {503.0, "activation_timeout", "acme", rareModel},
		} {
			l := lines[id]
			if got := [4]any{l["status"], l["code"], l["org"], l["model"]}; got != want {
				t.Errorf("%s: got %v, want %v", id, got, want)
			}
		}
		if l := lines["tooslow"]; l["queue_us"] != 1e6 || l["took_us"] != 1e6 {
			t.Errorf("got %v, want the second that it has waited in vain", l)
		}
	})
}

func us(d time.Duration) float64 { return float64(d.Microseconds()) }
