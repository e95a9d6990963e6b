package peers

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/certs"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	dialWithin = 2 * time.Second
	againFirst = 20 * time.Millisecond // the next leader is known by the lock before it has begun
	againMost  = time.Second

	lackingAgain = 5 * time.Second
)

// Follower is what a link asks of its server; activator.Servers is one.
type Follower interface {
	NextReport(ctx context.Context) (*protocol.Report, bool)
	Told(*protocol.Report, activator.Heard)
	Take(*protocol.Table)
}

// LinkConfig is what a Link needs. All fields but Log are required.
type LinkConfig struct {
	Key      string // of MinKey characters or more
	Cluster  string
	Follower Follower
	Self     func() (Info, Parts) // this server
	// Leader gives where the server that leads is reached, host:port, and what is closed when that has changed; "" = nobody leads, or this server does.
	Leader func() (at string, changed <-chan struct{})
	Log    *slog.Logger // nil = discard
}

// Link is a server's way to the one that leads. It is safe for concurrent use.
type Link struct {
	cfg  LinkConfig
	log  *slog.Logger
	http *http.Client

	lacked unknown // of Run alone: what the server that leads did not know when it was met last

	mu    sync.Mutex // guards what follows
	state State
}

// State is how a link stands.
type State struct {
	Leader Info      // whom it follows; the zero value = it has not followed any yet
	Term   uint64    // of that one
	Linked bool      // the link stands
	Since  time.Time // it has stood, or been broken
	Why    error     // it is broken; nil = nobody leads, or it stands
}

// NewLink makes a link. It connects to nothing yet.
func NewLink(cfg LinkConfig) (*Link, error) {
	if len(cfg.Key) < MinKey || cfg.Cluster == "" || cfg.Follower == nil || cfg.Self == nil || cfg.Leader == nil {
		return nil, fmt.Errorf("a link needs a key of %d characters or more, Cluster, Follower, Self and Leader", MinKey)
	}
	spoken, err := certs.ByKey(cfg.Key, api)
	if err != nil {
		return nil, err
	}
	l := &Link{cfg: cfg, log: cfg.Log, state: State{Since: time.Now()}}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: spoken, DialContext: (&net.Dialer{Timeout: dialWithin}).DialContext, TLSHandshakeTimeout: dialWithin, IdleConnTimeout: time.Minute,
	}}
	return l, nil
}

// State tells how the link stands.
func (l *Link) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Run follows whoever leads, until ctx is done; then it returns nil.
func (l *Link) Run(ctx context.Context) error {
	defer l.http.CloseIdleConnections()
	for delay := againFirst; ctx.Err() == nil; {
		at, changed := l.cfg.Leader()
		if at == "" {
			l.broken(nil)
			delay = againFirst
		} else if l.followWhile(ctx, at) {
			delay = againFirst
		}
		if at == "" {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
			delay = againFirst
		case <-time.After(delay):
			delay = min(2*delay, againMost)
		}
	}
	return nil
}

// followWhile follows the leader there as long as it is the leader. It is true where the link has stood.
func (l *Link) followWhile(ctx context.Context, at string) bool {
	following, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for now, changed := l.cfg.Leader(); ; now, changed = l.cfg.Leader() {
			if now != at {
				cancel(errAnotherLeads)
				return
			}
			select {
			case <-following.Done():
				return
			case <-changed:
			}
		}
	})
	stood, err := l.follow(following, at)
	if cause := context.Cause(following); cause != nil {
		err = cause
	}
	cancel(nil)
	watch.Wait()
	if ctx.Err() == nil {
		l.broken(err)
	}
	return stood
}

var (
	errAnotherLeads = errors.New("another server leads")
	errSilent       = errors.New("the server that leads gives no sign of life")
)

// follow opens a stream, and reads it to its end.
func (l *Link) follow(ctx context.Context, at string) (stood bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silenceMost, func() { cancel(errSilent) })
	defer silence.Stop()
	info, parts := l.cfg.Self()
	resp, err := l.post(ctx, at, followPath, hello{info, parts})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, messageMost)
	var w welcome
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &w) != nil {
		return false, fmt.Errorf("%w: no welcome: %w", ErrBadMessage, cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
	}
	l.linked(&w)
	lacks, relieved := lacking(parts, w.Parts), l.lacked
	l.lacked = lacks
	if len(lacks) > 0 { // it may know more when it is asked again
		again := time.AfterFunc(lackingAgain, func() { cancel(errNewConfig) })
		defer again.Stop()
	}
	var reporting sync.WaitGroup
	defer reporting.Wait()
	reporting.Go(func() { cancel(l.report(ctx, at, parts.Version())) })
	for lines.Scan() {
		silence.Reset(silenceMost)
		if len(lines.Bytes()) == 0 {
			continue
		}
		var m letter
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			err = fmt.Errorf("%w: %w", ErrBadMessage, err)
			cancel(err)
			return true, err
		}
		for _, t := range m.Tables {
			l.cfg.Follower.Take(lacks.in(t, relieved))
			if !t.Hello {
				relieved = nil
			}
		}
	}
	err = cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(err)
	return true, err
}

// report tells what there is to tell, until ctx is done or a report cannot be brought.
func (l *Link) report(ctx context.Context, at, config string) error {
	for {
		r, more := l.cfg.Follower.NextReport(ctx)
		if !more {
			return errAnotherLeads
		}
		if _, parts := l.cfg.Self(); parts.Version() != config {
			return errNewConfig
		}
		h, err := l.tell(ctx, at, told{Config: config, Report: r})
		if err != nil {
			return err
		}
		if h.Taken {
			l.cfg.Follower.Told(r, activator.Heard{Term: h.Term, Seq: h.Seq})
		}
	}
}

var errNewConfig = errors.New("this server has another config now")

func (l *Link) tell(ctx context.Context, at string, t told) (h heard, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	return ask[heard](ctx, l, at, reportPath, t)
}

// Farewell tells whoever leads that this server ends. Nobody is told where nobody leads.
func (l *Link) Farewell(ctx context.Context, r *protocol.Report) error {
	at, _ := l.cfg.Leader()
	if at == "" {
		return nil
	}
	_, err := l.tell(ctx, at, told{Farewell: true, Report: r})
	return err
}

// Operate has an operator's call answered by whoever leads. The error is ErrNotLeading where nobody does.
func (l *Link) Operate(ctx context.Context, c Call) (*Answer, error) {
	at, _ := l.cfg.Leader()
	if at == "" {
		return nil, ErrNotLeading
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	a, err := ask[Answer](ctx, l, at, operatePath, c)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

func ask[T any](ctx context.Context, l *Link, at, path string, message any) (answer T, err error) {
	resp, err := l.post(ctx, at, path, message)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, messageMost)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64)) // so that the connection can be used again
	return answer, nil
}

// post gives an answer of 200, whose body the caller closes.
func (l *Link) post(ctx context.Context, at, path string, message any) (*http.Response, error) {
	data, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+at+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set(versionHeader, strconv.Itoa(Version))
	req.Header.Set(clusterHeader, l.cfg.Cluster)
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.http.Do(req)
	var stranger *tls.CertificateVerificationError
	if errors.As(err, &stranger) {
		return nil, ErrKey
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("reaching the server that leads: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var said errorBody
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said) != nil || said.Code == "" {
		return nil, fmt.Errorf("the server that leads answered %s", resp.Status)
	}
	return nil, errorOf(said)
}

// linked notes that the link stands.
func (l *Link) linked(w *welcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = State{Leader: w.Info, Term: w.Term, Linked: true, Since: time.Now()}
	l.log.Info("following the server that leads", "leader", w.Info.Host, "pid", w.Info.PID, "term", w.Term)
}

// broken notes that the link does not stand, and logs what is new.
func (l *Link) broken(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.state.Linked && said(l.state.Why) == said(why) {
		return
	}
	passing := errors.Is(why, ErrNotLeading) || errors.Is(why, errAnotherLeads) || errors.Is(why, errNewConfig)
	if l.state.Linked {
		l.state.Since = time.Now()
	}
	l.state.Linked, l.state.Why = false, why
	switch {
	case why == nil || passing:
		l.log.Info("following nobody", "reason", why)
	default:
		l.log.Warn("the server that leads is not reached", "reason", why)
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// unknown are the models of this server that the one that leads does not know: nothing would ever be started for who waits for one.
type unknown map[string]bool

func lacking(own, leaders Parts) unknown {
	there := leaders.models()
	all := unknown{}
	for id := range own.models() {
		if !there[id] {
			all[id] = true
		}
	}
	return all
}

// in has a whole table say so, and the next one no longer of those that are known by now.
func (u unknown) in(t *protocol.Table, before unknown) *protocol.Table {
	if t.Hello {
		return t
	}
	for id := range before {
		if !u[id] && !slices.ContainsFunc(t.Outlooks, func(o protocol.Outlook) bool { return o.Model == id }) {
			t.Outlooks = append(t.Outlooks, protocol.Outlook{Outlook: fleet.Outlook{Model: id}})
		}
	}
	if t.Partial {
		return t
	}
	for id := range u {
		t.Outlooks = append(t.Outlooks, protocol.Outlook{Outlook: fleet.Outlook{
			Model: id, Answer: fleet.NeverFits, Reason: "the server that leads the cluster has a config without this model",
		}})
	}
	return t
}
