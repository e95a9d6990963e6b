package slot

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/httpserver"
)

// MinKey is the least length of a slot key.
const MinKey = 24

const (
	orderMost      = 1 << 20         // bytes of an order
	heartbeatEvery = 5 * time.Second // between two signs of life on a stream
	sendWithin     = 10 * time.Second
	idleMost       = 2 * time.Minute // of a connection between two requests
)

// APIConfig is what an API needs. Slot and Key are required.
type APIConfig struct {
	Slot *Slot
	Key  string       // that callers must know; of MinKey characters or more
	Log  *slog.Logger // nil: discard
}

// API offers a Slot to a back end on another machine: Do, Fence and Watch over HTTP. Whoever does not know the key learns nothing but that
// the supervisor runs (GET /healthz). It speaks TLS, in which both sides show that they know the key, and plain HTTP to who begins with that.
type API struct {
	slot *Slot
	key  [sha256.Size]byte
	tls  *tls.Config
	log  *slog.Logger
	mux  *http.ServeMux
}

// NewAPI makes an API. It starts nothing.
func NewAPI(cfg APIConfig) (*API, error) {
	if cfg.Slot == nil || len(cfg.Key) < MinKey {
		return nil, fmt.Errorf("a slot's API needs a slot and a key of %d characters or more", MinKey)
	}
	a := &API{slot: cfg.Slot, key: sha256.Sum256([]byte(cfg.Key)), log: cfg.Log, mux: http.NewServeMux()}
	var err error
	if a.tls, err = tlsOf(cfg.Key); err != nil {
		return nil, err
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	a.mux.HandleFunc("POST "+actsPath, a.authorized(a.serveActs))
	a.mux.HandleFunc("POST "+fencePath, a.authorized(a.serveFence))
	a.mux.HandleFunc("GET "+watchPath, a.authorized(a.serveWatch))
	return a, nil
}

// Serve answers on ln until ctx is done; then every stream ends with what has happened until then, and it returns nil. It closes ln.
func (a *API) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: http.HandlerFunc(a.serve), ReadHeaderTimeout: sendWithin, IdleTimeout: idleMost, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	if err := httpserver.Serve(ctx, server, either{ln, a.tls}); err != nil {
		return fmt.Errorf("serving the slot's API: %w", err)
	}
	return nil
}

// serve bounds how long a request's body may take, also where nobody reads it: a stranger keeps no connection by being slow.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(sendWithin))
	a.mux.ServeHTTP(w, r)
}

// authorized lets through who knows the key. Hashes of equal length are compared, in a time that tells nothing.
func (a *API) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(key))
		if subtle.ConstantTimeCompare(got[:], a.key[:]) != 1 || !bearer {
			writeError(w, ErrUnauthorized)
			return
		}
		next(w, r)
	}
}

func writeError(w http.ResponseWriter, err error) {
	var c errorBody
	status := 0
	c.Error.Code, status = codeOf(err)
	c.Error.Message = err.Error()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(c)
}

func (a *API) serveActs(w http.ResponseWriter, r *http.Request) {
	var o request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, orderMost)).Decode(&o); err != nil {
		writeError(w, fmt.Errorf("reading the order: %w", err))
		return
	}
	o.Act.Config = o.Model
	answer(w, a.slot.Do(r.Context(), o.Act))
}

func (a *API) serveFence(w http.ResponseWriter, r *http.Request) {
	var f fence
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, orderMost)).Decode(&f); err != nil {
		writeError(w, fmt.Errorf("reading the term: %w", err))
		return
	}
	answer(w, a.slot.Fence(r.Context(), f.Term))
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// serveWatch streams what Watch tells, and a comment where that is nothing for a while. A stream begins with the complete list: one that
// breaks off needs no more than another one.
func (a *API) serveWatch(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	left := false // of the goroutine that tells
	w.Header().Set("Content-Type", "text/event-stream")
	s := &stream{w: w, control: http.NewResponseController(w)}
	s.control.SetReadDeadline(time.Time{}) // the stream lasts
	var heartbeats sync.WaitGroup
	defer heartbeats.Wait()
	heartbeats.Go(func() {
		tick := time.NewTicker(heartbeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if s.send(":\n\n") != nil {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	})
	began := time.Now()
	a.slot.watch(ctx, func(o fleet.Observation) {
		o.At = began.Add(o.At.Sub(began)) // the moments of one stream are as far apart as they were, however the clock is set meanwhile
		data, err := json.Marshal(o)
		if err != nil || s.send(fmt.Sprintf("id: %d-%d\ndata: %s\n\n", o.Term, o.Seq, data)) != nil {
			cancel()
			left = true
		}
	}, func() bool { return !left })
	cancel()
}

// stream is one watcher's connection.
type stream struct {
	mu      sync.Mutex // guards the writing
	w       http.ResponseWriter
	control *http.ResponseController
}

// send writes one event, and fails where that takes too long or the watcher has left.
func (s *stream) send(event string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control.SetWriteDeadline(time.Now().Add(sendWithin))
	if _, err := s.w.Write([]byte(event)); err != nil {
		return err
	}
	return s.control.Flush()
}
