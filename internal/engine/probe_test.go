package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestMain has more tests run at once than there are cores: those that are parallel wait, and compute next to nothing.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel, which is read later, beats it
	goleak.VerifyTestMain(m)
}

const token = `{"choices":[{"message":{"content":"hi"}}],"usage":{"completion_tokens":1}}`

func model(k fleet.EngineKind, endpoints ...fleet.Endpoint) *fleet.Model {
	return &fleet.Model{ID: `org/"m"`, Endpoints: endpoints, Engine: fleet.EngineSpec{Kind: k}}
}

// serve runs an engine that answers with the function until the test ends, and gives its address.
func serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestProbe_ReadyOnlyAfterAToken(t *testing.T) {
	var health, asked atomic.Int32
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health":
			if health.Add(1) < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		case "/v1/chat/completions":
			var body struct {
				Model     string
				MaxTokens int `json:"max_tokens"`
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Model != `org/"m"` || body.MaxTokens != 1 {
				t.Errorf("asked %+v, %v", body, err)
			}
			switch asked.Add(1) {
			case 1: // What a TensorRT-LLM with a dead executor says.
				io.WriteString(w, "null")
			case 2:
				io.WriteString(w, `{"choices":[]}`)
			case 3:
				http.Error(w, `{"error":"not yet"}`, http.StatusBadRequest)
			default:
				io.WriteString(w, token)
			}
		}
	})
	var phases []fleet.Phase
	err := engine.Probe(within(t, 10*time.Second), model("trtllm", "chat"), addr, func(p fleet.Phase) { phases = append(phases, p) })
	if err != nil || health.Load() != 3 || asked.Load() != 4 {
		t.Errorf("got %v after %d looks at health and %d questions, want nil, 3 and 4", err, health.Load(), asked.Load())
	}
	if want := []fleet.Phase{fleet.PhaseLoading, fleet.PhaseProbing}; !slices.Equal(phases, want) {
		t.Errorf("phases: got %v, want %v", phases, want)
	}
}

func TestProbe_WaitsForTheListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	done := make(chan error, 1)
	loading := make(chan struct{})
	go func() {
		done <- engine.Probe(within(t, 10*time.Second), model("vllm", "completions"), addr, func(p fleet.Phase) {
			if p == fleet.PhaseLoading {
				close(loading)
			}
		})
	}()
	<-loading
	ln, err = net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("somebody else took the port: %v", err)
	}
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/completions" {
			io.WriteString(w, token)
		}
	})}}
	s.Start()
	defer s.Close()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

// TestAwait_TellsOnceThatNobodyListens: with the moment at which it looked; and nothing where somebody listens, whatever he says.
func TestAwait_TellsOnceThatNobodyListens(t *testing.T) {
	busy := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "loading", http.StatusServiceUnavailable) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	for addr, want := range map[string]int{busy: 0, ln.Addr().String(): 1} {
		began, told := time.Now(), 0
		err := engine.Starting{Model: model("vllm", "chat"), Addr: addr, Phase: func(fleet.Phase) {}, Refuses: func(at time.Time) {
			if told++; at.Before(began) || at.After(time.Now()) {
				t.Errorf("%s: nobody listened at %v, want a look since %v", addr, at, began)
			}
		}}.Await(within(t, 100*time.Millisecond))
		if told != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: told %d times, want %d; ended with %v", addr, told, want, err)
		}
	}
}

func TestProbe_HealthIsOptionalForKindOpenAIOnly(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/chat/completions" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, token)
	})
	if err := engine.Probe(within(t, 10*time.Second), model("openai", "chat"), addr, func(fleet.Phase) {}); err != nil {
		t.Errorf("openai: got %v, want nil", err)
	}
	if err := engine.Probe(within(t, 50*time.Millisecond), model("trtllm", "chat"), addr, func(fleet.Phase) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("trtllm: got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestProbe_TriesTheNextEndpoint(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/chat/completions":
			http.Error(w, "no chat template", http.StatusBadRequest)
		case "/v1/completions":
			io.WriteString(w, token)
		}
	})
	if err := engine.Probe(within(t, 10*time.Second), model("vllm", "chat", "completions"), addr, func(fleet.Phase) {}); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestProbe_EndsWithItsContext(t *testing.T) {
	asked := make(chan struct{}, 1)
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			asked <- struct{}{}
			io.Copy(io.Discard, r.Body) // or the server does not notice that the client has left
			<-r.Context().Done()
		}
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("stopped")
	go func() {
		<-asked
		cancel(cause)
	}()
	if err := engine.Probe(ctx, model("sim", "chat"), addr, func(fleet.Phase) {}); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

func TestProbe_GivesUpOnAnEngineThatKeepsRefusing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as an engine may refuse")
	}
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			http.Error(w, "no such model", http.StatusNotFound)
		}
	})
	err := engine.Probe(within(t, time.Minute), model("vllm", "chat"), addr, func(fleet.Phase) {})
	if !errors.Is(err, engine.ErrProbe) || !strings.Contains(err.Error(), "404: no such model") {
		t.Errorf("got %v, want %v with the engine's answer", err, engine.ErrProbe)
	}
}

func TestAsk_TellsATokenFromARefusal(t *testing.T) {
	var refuse atomic.Bool
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() || r.URL.Path == "/v1/chat/completions" {
			http.Error(w, "parked", http.StatusBadRequest)
			return
		}
		io.WriteString(w, token)
	})
	m := model("trtllm", "chat", "completions")
	if err := engine.Ask(within(t, 10*time.Second), m, addr); err != nil {
		t.Errorf("got %v, want nil: the second endpoint answers", err)
	}
	refuse.Store(true)
	if err := engine.Ask(within(t, 10*time.Second), m, addr); !errors.Is(err, engine.ErrProbe) || !strings.Contains(err.Error(), "400: parked") {
		t.Errorf("got %v, want %v with the engine's answer", err, engine.ErrProbe)
	}
}

func TestAlive_IsAnyAnswerButAServersError(t *testing.T) {
	var status atomic.Int32
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
	for code, alive := range map[int32]bool{200: true, 404: true, 503: false} {
		status.Store(code)
		if err := engine.Alive(t.Context(), "trtllm", addr, time.Minute); (err == nil) != alive {
			t.Errorf("%d: got %v, want alive %t", code, err, alive)
		}
	}
	deaf := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if err := engine.Alive(t.Context(), "trtllm", deaf, 20*time.Millisecond); err == nil {
		t.Error("got alive from an engine that does not answer")
	}
}
