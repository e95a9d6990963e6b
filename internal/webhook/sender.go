package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

const (
	// noticesKept is longer than any budget's period, so that none of its thresholds is told twice.
	noticesKept    = 62 * 24 * time.Hour
	dropEvery      = 24 * time.Hour
	noticeTimeout  = 5 * time.Second
	idleConns      = 2 // to an endpoint
	idleConnsUntil = 90 * time.Second
)

// Where a webhook may be resumed, beside where it stopped and any record's ID.
const (
	FromStart = "start" // with the first record that is kept
	FromNow   = "now"   // with what comes from now on: what it has not sent, it never sends
)

// ErrUnknown is the cause where there is no webhook of a name.
var ErrUnknown = errors.New("there is no such webhook")

// Records are the usage records in the order in which they reached the store. A ledger.Ledger is.
type Records interface {
	Records(ctx context.Context, org, cursor string, limit int) (ledger.Page, error)
	End(ctx context.Context) (cursor string, err error)
}

// Config is what New needs.
type Config struct {
	Webhooks  []Webhook
	Cluster   string // the events' source is /pilotlight/CLUSTER
	Records   Records
	Store     *store.Store      // stays the caller's; keeps notices, and where each webhook is
	Transport http.RoundTripper // nil = one of its own
	Log       *slog.Logger      // nil = discard
}

// Sender sends events to webhooks. It is safe for concurrent use.
type Sender struct {
	store     *store.Store
	endpoints []*endpoint
	set       *metrics.Set
	log       *slog.Logger
	transport *http.Transport // ours; nil = the caller's is used
}

// New makes a sender. A webhook that is new begins with the records that reach the store from now on.
func New(ctx context.Context, c Config) (*Sender, error) {
	if c.Records == nil || c.Store == nil {
		return nil, errors.New("webhook: records and a store are required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sender{store: c.Store, set: metrics.NewSet(), log: c.Log}
	if c.Transport == nil {
		s.transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: idleConns, IdleConnTimeout: idleConnsUntil,
			TLSHandshakeTimeout: patience, ForceAttemptHTTP2: true,
		}
		c.Transport = s.transport
	}
	client := newClient(c.Transport)
	for _, w := range c.Webhooks {
		e, err := s.newEndpoint(ctx, c, w, client)
		if err != nil {
			return nil, err
		}
		s.endpoints = append(s.endpoints, e)
	}
	return s, nil
}

func (s *Sender) newEndpoint(ctx context.Context, c Config, w Webhook, client *http.Client) (*endpoint, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	if s.find(w.Name) != nil {
		return nil, fmt.Errorf("there are two webhooks %q", w.Name)
	}
	e := &endpoint{
		w: w, source: "/pilotlight/" + c.Cluster, records: c.Records, store: c.Store, client: client, log: c.Log, wake: make(chan struct{}, 1),
	}
	if w.Format == CloudEvents {
		e.key, _ = signingKey(w.Secret) // which check has read
	}
	var known bool
	var err error
	if e.state, known, err = recall(ctx, c.Store, w.Name); err != nil {
		return nil, err
	}
	if !known {
		if e.state.cursor, err = c.Records.End(ctx); err != nil {
			return nil, fmt.Errorf("beginning webhook %s: %w", w.Name, err)
		}
		if err := e.state.keep(ctx, c.Store, w.Name, nil); err != nil {
			return nil, fmt.Errorf("beginning webhook %s: %w", w.Name, err)
		}
	}
	if e.state.held != "" {
		e.since = time.Now()
		s.log.Error("a webhook is held until it is resumed (pilotlight webhook resume)", "webhook", w.Name, "reason", string(e.state.held))
	}
	e.meter(s.set)
	return e, nil
}

// Run sends until ctx is done. Notify works without it.
func (s *Sender) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, e := range s.endpoints {
		running.Go(func() { e.run(ctx) })
	}
	running.Go(func() { s.forget(ctx) })
	running.Wait()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	return nil
}

// forget drops old notices now and then.
func (s *Sender) forget(ctx context.Context) {
	ticks := time.NewTicker(dropEvery)
	defer ticks.Stop()
	for {
		if err := s.store.DropNotices(ctx, time.Now().Add(-noticesKept)); err != nil && ctx.Err() == nil {
			s.log.Warn("old notices were not forgotten", "reason", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// Metrics gives the sender's metrics: pilotlight_webhook_events_total{webhook}, pilotlight_webhook_failures_total{webhook} and
// pilotlight_webhook_state{webhook,state}.
func (s *Sender) Metrics() *metrics.Set { return s.set }

// Notice is an event that is no usage.
type Notice struct {
	ID    string // the same for the same fact, such as budget.threshold/acme/2026-11/80: it is told once, over restarts too, for 62 days
	Event string // one of Events
	Org   string
	At    time.Time // the zero time = now
	Data  any       // its JSON, an object
}

// Notify keeps a notice and has it sent to the webhooks that ask for its event. It returns once the notice is in the store, and waits for no
// endpoint; still it is nothing for the way of a request, for a store may take seconds. first is false where its ID was told before; then nothing
// is done. After an error it may be told again.
func (s *Sender) Notify(ctx context.Context, n Notice) (first bool, err error) {
	if n.ID == "" || n.Org == "" || n.Event == EventUsage || !slices.Contains(Events, n.Event) {
		return false, fmt.Errorf("telling %q of %q: a notice has an ID, an org and a known event", n.Event, n.Org)
	}
	data, err := json.Marshal(n.Data)
	if err != nil {
		return false, fmt.Errorf("telling %s: %w", n.ID, err)
	}
	if n.At.IsZero() {
		n.At = time.Now()
	}
	var to []string
	for _, e := range s.endpoints {
		if e.w.wants(n.Event) {
			to = append(to, e.w.Name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, noticeTimeout)
	defer cancel()
	return s.store.AddNotice(ctx, store.Notice{ID: n.ID, Event: n.Event, Org: n.Org, At: n.At, Data: string(data)}, to)
}

// List says how each webhook is, in the config's order.
func (s *Sender) List() []Status {
	all := make([]Status, len(s.endpoints))
	for i, e := range s.endpoints {
		all[i] = e.status()
	}
	return all
}

// Resume has a webhook send again at once, held or not: from where it stopped (from empty), FromStart, FromNow, or after a record's ID. It is an
// operator's word that what has ended until now is sent, however old it is. The error is ErrUnknown, or a *ledger.InvalidError where there
// is no such record.
func (s *Sender) Resume(ctx context.Context, name, from string) (Status, error) {
	e := s.find(name)
	if e == nil {
		return Status{}, fmt.Errorf("%w as %q", ErrUnknown, name)
	}
	var cursor *string
	switch from {
	case "":
	case FromStart:
		cursor = new(string)
	case FromNow:
		end, err := e.records.End(ctx)
		if err != nil {
			return Status{}, err
		}
		cursor = &end
	default:
		_, err := e.records.Records(ctx, "", from, 1)
		var invalid *ledger.InvalidError
		if errors.As(err, &invalid) {
			err = &ledger.InvalidError{Field: "from", Message: "there is no such record; write start, now, or the ID of a record that is kept"}
		}
		if err != nil {
			return Status{}, err
		}
		cursor = &from
	}
	if err := e.resume(ctx, cursor); err != nil {
		return Status{}, err
	}
	return e.status(), nil
}

func (s *Sender) find(name string) *endpoint {
	for _, e := range s.endpoints {
		if e.w.Name == name {
			return e
		}
	}
	return nil
}
