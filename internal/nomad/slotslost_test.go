//go:build unix

package nomad_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// gate stands before a supervisor, and can be shut.
type gate struct {
	*httptest.Server
	mu      sync.Mutex // guards all below
	shut    bool
	streams int
	slow    time.Duration // until a stream begins
	cut     context.CancelFunc
}

func guard(t *testing.T, addr string) *gate {
	t.Helper()
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	behind.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // broken connections are what it is for
	behind.FlushInterval = -1
	g := &gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		g.mu.Lock()
		shut, slow := g.shut, g.slow
		if r.Method == http.MethodGet {
			g.streams++
			g.cut = cancel
		}
		g.mu.Unlock()
		if shut {
			http.Error(w, "shut", http.StatusBadGateway)
			return
		}
		select {
		case <-time.After(slow):
			defer func() { _ = recover() }() // the proxy's way to end a stream that breaks off
			behind.ServeHTTP(w, r.WithContext(ctx))
		case <-ctx.Done():
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gate) set(shut bool, slow time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.slow = shut, slow
	if shut {
		g.cut()
	}
}

func (g *gate) opened() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.streams
}

func (g *gate) addr() string { return g.Listener.Addr().String() }

// withSlot starts a back end whose slot s1 runs behind a gate, and waits until its supervisor has spoken.
func withSlot(t *testing.T) (*world, *fake, *gate, *nomad.Slots) {
	g := guard(t, supervise(t))
	w, f := pretend(t)
	j := slotJob("s1")
	f.put(j)
	f.put(of(j, "a1", "running", "running", g.addr()))
	slots := w.Slots()
	w.observe(w.Nomad.Watch)
	w.observe(slots.Watch)
	w.supervised("s1")
	return w, f, g, slots
}

// observe runs an observer until the test's end.
func (w *world) observe(watch func(context.Context, func(fleet.Observation)) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with ctx, for which the clean-up waits
		defer close(done)
		_ = watch(ctx, func(o fleet.Observation) { w.said <- o })
	}()
	w.t.Cleanup(func() { cancel(); <-done })
}

func TestSlots_LostOnceAnOutage(t *testing.T) {
	t.Parallel()
	w, _, g, _ := withSlot(t)
	for outage := range 2 {
		g.set(true, 0)
		w.until("s1 to be lost", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
			return o.Source == "slot/s1" && errors.Is(o.Lost, fleet.ErrUnreachable) && !o.At.IsZero()
		})
		tried := g.opened()
		w.eventually("it to be tried again", func() bool { return g.opened() > tried+1 })
		g.set(false, 0)
		w.until("s1 to speak again", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
			if o.Lost != nil {
				t.Errorf("outage %d: it is said to be lost a second time", outage)
			}
			return o.Source == "slot/s1" && o.Complete
		})
	}
}

func TestSlots_AStreamThatBreaksOffOnceIsNoLoss(t *testing.T) {
	t.Parallel()
	w, _, g, _ := withSlot(t)
	g.mu.Lock()
	g.cut()
	g.mu.Unlock()
	w.until("s1 to speak again", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		if o.Lost != nil {
			t.Errorf("it is said to be lost: %v", o.Lost)
		}
		return o.Source == "slot/s1" && o.Complete
	})
}

// One slot that says nothing keeps nobody from hearing of Nomad, nor of other slots.
func TestSlots_ASilentOneHoldsNobodyUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	w, f := pretend(t)
	for id, addr := range map[string]string{"s1": supervise(t), "s2": silent.Addr().String()} {
		j := slotJob(id)
		f.put(j)
		f.put(of(j, "a-"+id, "running", "running", addr))
	}
	began := time.Now()
	w.follow(w.Nomad)
	w.slotIs("Nomad to have spoken", "s2", func(s *fleet.Slot) bool { return s != nil && !s.Pending && s.Supervisor == "slot/s2" })
	w.supervised("s1")
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("that took %v; a silent slot was waited for", took)
	}
}

func TestSlots_AskAgain(t *testing.T) {
	w, _, g, slots := withSlot(t)
	streams := g.opened()
	slots.AskAgain("slot/other")
	slots.AskAgain("nomad")
	asked := time.Now()
	slots.AskAgain("slot/s1")
	w.until("s1's list", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return o.Source == "slot/s1" && o.Complete && o.Lost == nil && !o.At.Before(asked.Add(-time.Second))
	})
	if got := g.opened(); got != streams+1 {
		t.Errorf("%d streams were opened, want one more than %d", got, streams)
	}
}

// A supervisor that needs longer for its list than there is between two questions is heard all the same.
func TestSlots_AskedMoreOftenThanItAnswers(t *testing.T) {
	t.Parallel()
	w, _, g, slots := withSlot(t)
	g.set(false, 300*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() {
		for ctx.Err() == nil {
			slots.AskAgain("slot/s1")
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	for range 3 {
		w.supervised("s1")
	}
}
