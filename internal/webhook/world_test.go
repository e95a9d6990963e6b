package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

func TestMain(m *testing.M) {
	storetest.Quick()
	goleak.VerifyTestMain(m)
}

// receiver is an endpoint that is up, in the bubble of a test: it talks HTTP over pipes.
type receiver struct {
	t      *testing.T
	accept chan net.Conn
	server *http.Server
	served sync.WaitGroup

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request) // of the next requests; nil = 204
	got    []request
}

// request is one that came, answered or not.
type request struct {
	at     time.Time
	path   string
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, accept: make(chan net.Conn)}
	r.server = &http.Server{Handler: r}
	r.served.Go(func() { r.server.Serve(r) })
	return r
}

func (r *receiver) close() {
	r.server.Close()
	r.served.Wait()
}

// Accept, Close and Addr make the receiver a listener.
func (r *receiver) Accept() (net.Conn, error) {
	c, open := <-r.accept
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (r *receiver) Close() error   { close(r.accept); return nil }
func (r *receiver) Addr() net.Addr { return &net.IPAddr{} }

// transport leads to the receiver, whatever the URL.
func (r *receiver) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case r.accept <- far:
			return near, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.got = append(r.got, request{time.Now(), req.URL.Path, req.Header, body})
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, req)
}

// answers has the receiver answer all requests from now on so; nil = 204.
func (r *receiver) answers(answer func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// take gives the requests that have come since.
func (r *receiver) take() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// event is one of a batch of CloudEvents.
type event struct {
	SpecVersion, ID, Source, Type, Subject, Time, DataContentType string
	Data                                                          json.RawMessage
}

func (q request) events(t *testing.T) []event {
	t.Helper()
	var all []event
	if err := json.Unmarshal(q.body, &all); err != nil {
		t.Fatalf("%s: %v", q.body, err)
	}
	return all
}

func (q request) form(t *testing.T) url.Values {
	t.Helper()
	values, err := url.ParseQuery(string(q.body))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// ids are those of all events of requests, in their order.
func ids(t *testing.T, requests []request) (all []string) {
	t.Helper()
	for _, q := range requests {
		for _, e := range q.events(t) {
			all = append(all, e.ID)
		}
	}
	return all
}

const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// world is a ledger and a store, with a sender that runs between start and stop.
type world struct {
	t        *testing.T
	store    *store.Store
	ledger   *ledger.Ledger
	receiver *receiver
	hook     webhook.Webhook
	sender   *webhook.Sender

	transport *http.Transport
	cancel    context.CancelFunc
	running   sync.WaitGroup
	made      int
}

// newWorld gives a world that ends with its test. It has to be made in the test's bubble.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, receiver: newReceiver(t), hook: webhook.Webhook{
		Name: "billing", URL: "http://receiver.test/usage?key=hidden", Secret: secret, Events: []string{webhook.EventUsage, webhook.EventBudgetThreshold},
	}}
	var err error
	if w.store, err = storetest.TryOpen(t, filepath.Join(dir, "p.db")); err != nil {
		t.Fatal(err)
	}
	w.ledger, err = ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: w.store, Retention: 10_000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) end() {
	w.stop()
	w.receiver.close()
	if err := errors.Join(w.ledger.Close(), w.store.Close()); err != nil {
		w.t.Error(err)
	}
}

// start makes a sender, as a server's start does, and runs it.
func (w *world) start() {
	w.t.Helper()
	w.open()
	ctx, cancel := context.WithCancel(w.t.Context())
	w.cancel = cancel
	w.running.Go(func() { w.sender.Run(ctx) })
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.transport = w.receiver.transport()
	w.sender, err = webhook.New(w.t.Context(), webhook.Config{
		Webhooks: []webhook.Webhook{w.hook}, Cluster: "test", Records: w.ledger, Store: w.store, Transport: w.transport,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// stop ends the sender, as a server's end or its death does: what it does not have in the store is lost.
func (w *world) stop() {
	if w.cancel != nil {
		w.cancel()
		w.running.Wait()
		w.transport.CloseIdleConnections()
		w.cancel = nil
	}
}

// use has n records reach the store, and gives their IDs.
func (w *world) use(n int) (ids []string) {
	w.t.Helper()
	for range n {
		w.made++
		r := &ledger.Record{
			RequestID: fmt.Sprintf("req-%d", w.made), Org: "acme", TokenID: "t1", Model: "m", Instance: "i", GPUs: 2,
			ReceivedAt: time.Now().Add(-2 * time.Second), DispatchedAt: time.Now().Add(-time.Second), Upstream: time.Second, Billed: time.Second,
			PromptTokens: 5, CompletionTokens: 7, Price: 8_250_000_000, Status: ledger.Complete,
		}
		if err := w.ledger.Append(r); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	w.flush()
	return ids
}

// flush has what was appended reach the store.
func (w *world) flush() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	if err := w.ledger.Run(ctx); err != nil { // it moves what is left, and ends
		w.t.Fatal(err)
	}
}

// wantIDs compares IDs in their order.
func (w *world) wantIDs(got, want []string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("got the events %v, want %v", got, want)
	}
}

func (w *world) wantState(state webhook.State, reason string) {
	w.t.Helper()
	if got := w.sender.List()[0]; got.State != state || got.Reason != reason {
		w.t.Errorf("got state %s, reason %q, want %s, %q", got.State, got.Reason, state, reason)
	}
}
