package router_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// network is how the world's parts reach each other.
type network interface {
	listen(name string) net.Listener
	addr(name string) string
	dial(ctx context.Context, network, addr string) (net.Conn, error)
	close()
}

// memory is a network in memory, fit for bubbles.
type memory struct {
	mu        sync.Mutex
	listeners map[string]*fasthttputil.InmemoryListener
}

func newMemory() *memory { return &memory{listeners: map[string]*fasthttputil.InmemoryListener{}} }

func (m *memory) listen(name string) net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	ln := fasthttputil.NewInmemoryListener()
	m.listeners[m.addr(name)] = ln
	return pipes{ln}
}

// pipes gives connections whose timeouts net/http knows for what they are.
type pipes struct{ net.Listener }

func (p pipes) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	return pipe{c}, err
}

type pipe struct{ net.Conn }

func (p pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if errors.Is(err, fasthttputil.ErrTimeout) {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (*memory) addr(name string) string { return name + ":1" }

func (m *memory) dial(_ context.Context, _, addr string) (net.Conn, error) {
	m.mu.Lock()
	ln := m.listeners[addr]
	m.mu.Unlock()
	if ln == nil {
		return nil, errors.New("connection refused")
	}
	c, err := ln.Dial()
	if err != nil {
		return nil, err
	}
	return pipe{c}, nil
}

func (*memory) close() {}

// sockets is TCP on loopback.
type sockets struct {
	mu        sync.Mutex
	listeners map[string]net.Listener
}

func (s *sockets) listen(name string) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		s.listeners = map[string]net.Listener{}
	}
	s.listeners[name] = ln
	return ln
}

func (s *sockets) addr(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listeners[name].Addr().String()
}

func (s *sockets) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

func (*sockets) close() {}

// engines serves every instance's API with one handler.
type engines struct {
	tb  testing.TB
	net network

	mu      sync.Mutex
	handler http.HandlerFunc
	probed  http.HandlerFunc // answers the server's own requests; nil = as an engine in order does
	servers []*http.Server
	wg      sync.WaitGroup
}

// swap changes the handler of all engines and gives the former one.
func (e *engines) swap(h http.HandlerFunc) http.HandlerFunc {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.handler
	e.handler = h
	return old
}

type instanceKey struct{}

// start serves the instance and gives its address.
func (e *engines) start(instance string) string {
	ln := e.net.listen(instance)
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e.mu.Lock()
			h, probed := e.handler, e.probed
			e.mu.Unlock()
			// Only behind the body does net/http see that the other side leaves.
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte(`"content":"probe"`)) {
				if h = answerChat; probed != nil {
					h = probed
				}
			}
			h(w, r.WithContext(context.WithValue(r.Context(), instanceKey{}, instance)))
		}),
	}
	e.mu.Lock()
	e.servers = append(e.servers, s)
	e.mu.Unlock()
	e.wg.Go(func() { _ = s.Serve(ln) })
	return e.net.addr(instance)
}

func (e *engines) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.servers {
		_ = s.Close()
	}
	e.wg.Wait()
}

// parkTime and wakeTime are what a park and a resume take.
const parkTime, wakeTime = 2 * time.Second, 3 * time.Second

// host is a fake machine: back end and observer. An instance is ready load after its launch.
type host struct {
	ctx     context.Context
	engines *engines
	load    time.Duration
	wg      sync.WaitGroup

	parks bool          // its engines can be parked
	proof time.Duration // from ready until the supervisor has seen a token of an engine that was resumed; 0 = it has by then

	mu       sync.Mutex
	gpus     int
	tell     func(fleet.Observation)
	seq      uint64
	seen     map[string]fleet.Sighting
	launched []string
	fail     string // if not empty, launches fail with it
}

func newHost(ctx context.Context, gpus int, load time.Duration, e *engines) *host {
	return &host{ctx: ctx, gpus: gpus, load: load, engines: e, seen: map[string]fleet.Sighting{}}
}

func (h *host) wait() { h.wg.Wait() }

func (h *host) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	h.mu.Lock()
	h.tell = tell
	h.mu.Unlock()
	h.say()
	<-ctx.Done()
	return ctx.Err()
}

// say tells everything that the host knows.
func (h *host) say() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tell == nil {
		return
	}
	h.seq++
	o := fleet.Observation{
		Source: "local", Seq: h.seq, At: time.Now(), Complete: true,
		Nodes: []fleet.Node{{ID: "local", GPUs: h.gpus, Condition: fleet.PlaceHealthy}},
		Slots: []fleet.Slot{{ID: "local-0", Pool: fleet.LocalPool, Node: "local", GPUs: h.gpus, Host: 1 << 40}},
	}
	for id, s := range h.seen {
		o.Instances = append(o.Instances, s)
		if s.Gone {
			delete(h.seen, id)
		}
	}
	h.tell(o)
}

func (h *host) set(id string, change func(*fleet.Sighting)) {
	h.mu.Lock()
	s := h.seen[id]
	change(&s)
	h.seen[id] = s
	h.mu.Unlock()
	h.say()
}

func (h *host) Fence(context.Context, uint64) error { return nil }

func (h *host) Do(_ context.Context, a fleet.Act) error {
	h.wg.Go(func() { h.carryOut(a) })
	return nil
}

func (h *host) carryOut(a fleet.Act) {
	switch a.Kind {
	case fleet.ActLaunch:
		h.mu.Lock()
		fail := h.fail
		h.launched = append(h.launched, a.Instance)
		h.mu.Unlock()
		h.set(a.Instance, func(s *fleet.Sighting) {
			s.Instance = fleet.Instance{ID: a.Instance, Model: a.Model, Slot: a.Slot, GPU: a.GPU, GPUs: a.GPUs, State: fleet.Starting}
			s.Phase, s.Act, s.Running = fleet.PhaseLoading, a.Seq, -1
		})
		if !h.pass(h.load) {
			return
		}
		if fail != "" {
			h.set(a.Instance, func(s *fleet.Sighting) { s.State, s.Failure, s.Gone = fleet.Failed, fail, true })
			return
		}
		addr := h.engines.start(a.Instance)
		h.set(a.Instance, func(s *fleet.Sighting) {
			s.State, s.Phase, s.Addr, s.Parks = fleet.Ready, fleet.PhaseReady, addr, h.parks
		})
	case fleet.ActPark:
		h.set(a.Instance, func(s *fleet.Sighting) { s.State, s.Act, s.Unproven = fleet.Parking, a.Seq, false })
		if h.pass(parkTime) {
			h.set(a.Instance, func(s *fleet.Sighting) { s.State = fleet.Asleep })
		}
	case fleet.ActResume:
		h.set(a.Instance, func(s *fleet.Sighting) { s.State, s.Act = fleet.Resuming, a.Seq })
		if h.pass(wakeTime) {
			h.set(a.Instance, func(s *fleet.Sighting) { s.State, s.Unproven = fleet.Ready, h.proof > 0 })
		}
		if h.pass(h.proof) {
			h.set(a.Instance, func(s *fleet.Sighting) { s.Unproven = false })
		}
	case fleet.ActStop:
		h.set(a.Instance, func(s *fleet.Sighting) { s.ID, s.Act, s.Gone = a.Instance, a.Seq, true })
	}
}

// pass waits, and is false where the host ends meanwhile.
func (h *host) pass(d time.Duration) bool {
	select {
	case <-h.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (h *host) launches() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.launched)
}

const usageChunk = `data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}` + "\n\n"

func token(text string) string {
	return fmt.Sprintf(`data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":%q}}]}`+"\n\n", text)
}

// answerChat answers as TensorRT-LLM does: three tokens, or a whole body.
func answerChat(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !contains(body, `"stream":true`) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"c-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}`)
		return
	}
	events(w, token("a"), token("b"), token("c"), usageChunk, "data: [DONE]\n\n")
}

// answerCompletion answers a prompt, and whether the engine lives.
func answerCompletion(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/completions" {
		answerChat(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"id":"c-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"hello","finish_reason":"stop"}],"usage":{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}`)
}

// events writes pieces of a stream, each in a write of its own.
func events(w http.ResponseWriter, pieces ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.(http.Flusher).Flush()
	for _, p := range pieces {
		_, _ = io.WriteString(w, p)
		w.(http.Flusher).Flush()
	}
}

// die cuts the engine's connection.
func die(w http.ResponseWriter) { panic(http.ErrAbortHandler) }
