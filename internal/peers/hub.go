package peers

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/certs"
	"github.com/pilotlight-io/pilotlight/internal/httpserver"
)

// MinKey is the least length of a servers key.
const MinKey = 24

// api is whose certificates the key makes.
const api = "servers"

// Leader is what a hub asks of its server; activator.Servers is one.
type Leader interface {
	Hear(*protocol.Report) (activator.Heard, bool, error)
	Tables(ctx context.Context, server string, f func([]*protocol.Table) error) error
}

// HubConfig is what a Hub needs. All fields but Operate and Log are required.
type HubConfig struct {
	Key     string // of MinKey characters or more
	Cluster string
	Leader  Leader
	Term    func() (uint64, bool) // the term in which this server leads; false = it does not
	Self    func() (Info, Parts)  // this server
	// Known gives the parts that this server plans with, where those are more than its own config has, for a server with these: nil = its own.
	Known   func(ctx context.Context, theirs Parts) Parts
	Operate func(ctx context.Context, c Call) (*Answer, error) // answers an operator's call; nil = none is
	Log     *slog.Logger                                       // nil = discard
}

// Hub is where the servers that follow meet the one that leads. Every server has one, for it may lead at any time. It is safe for concurrent use.
type Hub struct {
	cfg     HubConfig
	log     *slog.Logger
	tls     *tls.Config
	mux     *http.ServeMux
	members members
}

// NewHub makes a hub. It starts nothing.
func NewHub(cfg HubConfig) (*Hub, error) {
	if len(cfg.Key) < MinKey || cfg.Cluster == "" || cfg.Leader == nil || cfg.Term == nil || cfg.Self == nil {
		return nil, fmt.Errorf("a hub needs a key of %d characters or more, Cluster, Leader, Term and Self", MinKey)
	}
	h := &Hub{cfg: cfg, log: cfg.Log, mux: http.NewServeMux()}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.members = members{log: h.log, known: map[string]*member{}}
	var err error
	if h.tls, err = certs.ByKey(cfg.Key, api); err != nil {
		return nil, err
	}
	h.mux.HandleFunc("POST "+followPath, h.serveFollow)
	h.mux.HandleFunc("POST "+reportPath, h.serveReport)
	h.mux.HandleFunc("POST "+operatePath, h.serveOperate)
	return h, nil
}

// Members lists the servers that this one has heard while it led, in the order of their hosts.
func (h *Hub) Members() []Member {
	_, parts := h.cfg.Self()
	return h.members.list(time.Now(), parts)
}

// Forget forgets the servers that were heard: a term has ended.
func (h *Hub) Forget() { h.members.clear() }

// Serve answers on ln until ctx is done; then streams end, and it returns nil. It closes ln.
func (h *Hub) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: http.HandlerFunc(h.serve), ReadHeaderTimeout: sendWithin, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(&seldom{Handler: h.log.Handler()}, slog.LevelWarn),
	}
	if err := httpserver.Serve(ctx, server, tls.NewListener(ln, h.tls)); err != nil {
		return fmt.Errorf("serving other servers: %w", err)
	}
	return nil
}

// serve admits who is of this cluster and speaks this version.
func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sendWithin))
	if theirs := r.Header.Get(versionHeader); theirs != strconv.Itoa(Version) {
		h.refuse(w, r, fmt.Errorf("%w: %q here is %d", ErrVersion, theirs, Version))
		return
	}
	if theirs := r.Header.Get(clusterHeader); theirs != h.cfg.Cluster {
		h.refuse(w, r, fmt.Errorf("%w: %q, and here %q", ErrCluster, theirs, h.cfg.Cluster))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, messageMost)
	h.mux.ServeHTTP(w, r)
}

// refuse answers with an error, and logs what an operator has to mend.
func (h *Hub) refuse(w http.ResponseWriter, r *http.Request, err error) {
	body, status := errorBody{Code: "failed", Message: err.Error()}, http.StatusInternalServerError
	for _, c := range codes {
		if errors.Is(err, c.err) {
			body.Code, status = c.code, c.status
		}
	}
	if !errors.Is(err, ErrNotLeading) {
		h.log.Warn("another server was refused", "from", r.RemoteAddr, "reason", err)
	}
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who has left does not read it
}

// read reads a message.
func read(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	return nil
}

func (h *Hub) serveReport(w http.ResponseWriter, r *http.Request) {
	var t told
	if err := read(r, &t); err != nil || t.Report == nil {
		h.refuse(w, r, errors.Join(ErrBadMessage, err))
		return
	}
	t.Report.Farewell = t.Report.Farewell || t.Farewell // earlier builds say so beside the report
	got, taken, err := h.cfg.Leader.Hear(t.Report)
	if errors.Is(err, activator.ErrFollows) {
		err = ErrNotLeading
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.members.hear(time.Now(), t.Report.From)
	if t.Farewell {
		h.members.leave(t.Report.From)
	}
	answer(w, http.StatusOK, heard{got.Term, got.Seq, taken})
}

func (h *Hub) serveOperate(w http.ResponseWriter, r *http.Request) {
	var c Call
	if err := read(r, &c); err != nil {
		h.refuse(w, r, err)
		return
	}
	if _, leads := h.cfg.Term(); !leads {
		h.refuse(w, r, ErrNotLeading)
		return
	}
	if h.cfg.Operate == nil {
		h.refuse(w, r, ErrNoCalls)
		return
	}
	a, err := h.cfg.Operate(r.Context(), c)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, a)
}

// serveFollow sends a server its tables as they come.
func (h *Hub) serveFollow(w http.ResponseWriter, r *http.Request) {
	var theirs hello
	if err := read(r, &theirs); err != nil || theirs.Info.Name == "" {
		h.refuse(w, r, errors.Join(ErrBadMessage, err))
		return
	}
	term, leads := h.cfg.Term()
	if !leads {
		h.refuse(w, r, ErrNotLeading)
		return
	}
	self, parts := h.cfg.Self()
	if theirs.Info.Store != self.Store {
		h.refuse(w, r, fmt.Errorf("%w: %q, and here %q", ErrStore, theirs.Info.Store, self.Store))
		return
	}
	h.members.meet(time.Now(), &theirs, parts)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := &stream{w: w, control: http.NewResponseController(w)}
	_ = s.control.SetReadDeadline(time.Time{}) // the stream lasts
	if h.cfg.Known != nil {
		parts = h.cfg.Known(ctx, theirs.Parts)
	}
	if s.send(welcome{self, term, parts}) != nil {
		return
	}
	var heartbeats sync.WaitGroup
	defer heartbeats.Wait()
	heartbeats.Go(func() {
		tick := time.NewTicker(heartbeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if s.write([]byte("\n")) != nil {
					cancel()
				}
			}
		}
	})
	_ = h.cfg.Leader.Tables(ctx, theirs.Info.Name, func(tables []*protocol.Table) error { return s.send(letter{tables}) })
	cancel()
}

// stream is one follower's connection.
type stream struct {
	mu      sync.Mutex // guards the writing
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *stream) send(line any) error {
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	return s.write(append(data, '\n'))
}

// write fails where the follower does not read, or has left.
func (s *stream) write(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.control.SetWriteDeadline(time.Now().Add(sendWithin))
	if _, err := s.w.Write(data); err != nil {
		return err
	}
	return s.control.Flush()
}

// seldom is a log of what strangers bring about: a line a minute at most.
type seldom struct {
	slog.Handler
	mu   sync.Mutex // guards said
	said time.Time
}

// Handle drops what comes within a minute of the last. What is of nobody's concern is left out: connections that say nothing, such as those of a check.
func (s *seldom) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "EOF") {
		return nil
	}
	s.mu.Lock()
	again := time.Since(s.said) < time.Minute
	if !again {
		s.said = time.Now()
	}
	s.mu.Unlock()
	if again {
		return nil
	}
	said := slog.NewRecord(r.Time, r.Level, "a connection of other servers has failed", r.PC)
	said.Add("reason", strings.TrimSpace(r.Message))
	return s.Handler.Handle(ctx, said)
}
