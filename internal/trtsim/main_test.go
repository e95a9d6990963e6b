package trtsim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

const (
	llama8B   = "meta-llama/Meta-Llama-3-8B-Instruct"
	llama70B  = "meta-llama/Meta-Llama-3-70B-Instruct"
	llama405B = "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"
)

// TestMain also is the trtsim program, for the tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("TRTSIM_TEST_MAIN") == "1" {
		os.Exit(trtsim.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// start makes an engine that is loaded and runs until the test ends. Loading takes no time unless the config says how much.
func start(t testing.TB, c trtsim.Config) *trtsim.Engine {
	t.Helper()
	if c.Model == "" {
		c.Model = llama8B
	}
	if c.LoadTime == 0 {
		c.LoadTime = -1
	}
	e, err := trtsim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, e)
	return e
}

func run(t testing.TB, e *trtsim.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := e.Close(); err != nil {
			t.Errorf("closing the engine: %v", err)
		}
	})
}

// call sends one request in-process.
func call(e http.Handler, method, path, body string) *httptest.ResponseRecorder {
	return callContext(context.Background(), e, method, path, body)
}

func callContext(ctx context.Context, e http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func chat(e http.Handler, body string) *httptest.ResponseRecorder {
	return call(e, "POST", "/v1/chat/completions", body)
}

func complete(e http.Handler, body string) *httptest.ResponseRecorder {
	return call(e, "POST", "/v1/completions", body)
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("got status %d, want %d", w.Code, status)
	}
	if got := w.Body.String(); got != body {
		t.Errorf("got body %s\nwant %s", got, body)
	}
}

func wantContains(t *testing.T, w *httptest.ResponseRecorder, status int, part string) {
	t.Helper()
	if w.Code != status || !strings.Contains(w.Body.String(), part) {
		t.Errorf("got %d %s, want %d with %q in it", w.Code, w.Body, status, part)
	}
}

// cut reports whether a request's connection is cut by the engine.
func cut(f func()) (aborted bool) {
	defer func() { aborted = recover() == http.ErrAbortHandler }()
	f()
	return false
}

// words is a prompt of so many tokens.
func words(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }

type answer struct {
	ID      string
	Choices []struct {
		Index        int
		Text         string
		Message      struct{ Content string }
		FinishReason string  `json:"finish_reason"`
		StopReason   *string `json:"stop_reason"`
	}
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
}

func parse(t *testing.T, w *httptest.ResponseRecorder) (a answer) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d %s, want 200", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("parsing %s: %v", w.Body, err)
	}
	return a
}

// took is how long f takes on the (virtual) clock.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// timedWriter notes when each write comes.
type timedWriter struct {
	mu     sync.Mutex // guards all below
	header http.Header
	heads  []time.Time
	writes []time.Time
	body   strings.Builder
	fail   bool // writes fail, as to a client that has left
}

func newTimedWriter() *timedWriter { return &timedWriter{header: http.Header{}} }

func (w *timedWriter) Header() http.Header { return w.header }

func (w *timedWriter) WriteHeader(int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heads = append(w.heads, time.Now())
}

func (w *timedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail {
		return 0, io.ErrClosedPipe
	}
	w.writes = append(w.writes, time.Now())
	return w.body.Write(b)
}

func (w *timedWriter) Flush() {}

func (w *timedWriter) events() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.body.String(), "data: ")
}
