package slot

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
	"net/http"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ErrSilent is returned by Client.Watch when the supervisor has not given a sign of life for too long.
var ErrSilent = errors.New("no sign of life")

const (
	silenceMost = 3 * heartbeatEvery
	orderWithin = 10 * time.Second
	eventMost   = 16 << 20 // bytes of one observation
)

// ClientConfig is what a Client needs. Addr and Key are required.
type ClientConfig struct {
	Addr   string         // of the supervisor's API, host:port
	Key    string         // the slot key
	Plain  bool           // speak plain HTTP, as supervisors of before there was TLS do
	Models []*fleet.Model // that launches may name which do not bring their own along
}

// Client is a Slot on another machine. Its methods are safe for concurrent use, and start no goroutine that outlives them; Close ends idle
// connections.
type Client struct {
	cfg    ClientConfig
	models map[string]*fleet.Model
	scheme string
	http   *http.Client
}

// NewClient makes a client. It connects to nothing yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Addr == "" || cfg.Key == "" {
		return nil, errors.New("a slot's client needs an address and a key")
	}
	transport := &http.Transport{IdleConnTimeout: time.Minute}
	c := &Client{cfg: cfg, models: map[string]*fleet.Model{}, scheme: "http://", http: &http.Client{Transport: transport}}
	if !cfg.Plain {
		var err error
		if transport.TLSClientConfig, err = tlsOf(cfg.Key); err != nil {
			return nil, err
		}
		c.scheme, transport.TLSHandshakeTimeout = "https://", orderWithin
	}
	for _, m := range cfg.Models {
		c.models[m.ID] = m
	}
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do is Slot.Do at a distance; fleet.ErrUnreachable says that there was no answer. After any error but this package's own nothing is known: the act
// may have been accepted, and may be sent again.
func (c *Client) Do(ctx context.Context, act fleet.Act) error {
	o := request{Act: act}
	if act.Kind == fleet.ActLaunch {
		o.Model = act.Config
		if o.Model == nil {
			o.Model = c.models[act.Model]
		}
		if o.Model == nil {
			return fmt.Errorf("%s %s: %w: %s", act.Kind, act.Instance, ErrUnknownModel, act.Model)
		}
	}
	if err := c.order(ctx, actsPath, o); err != nil {
		var said *remoteError
		if errors.As(err, &said) {
			return err // which says what the act was
		}
		return fmt.Errorf("%s %s: %w", act.Kind, act.Instance, err)
	}
	return nil
}

// Fence is Slot.Fence at a distance. After fleet.ErrUnreachable nothing is known.
func (c *Client) Fence(ctx context.Context, term uint64) error {
	return c.order(ctx, fencePath, fence{term})
}

// order posts something, which is accepted or refused.
func (c *Client) order(ctx context.Context, path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	resp, err := c.ask(ctx, http.MethodPost, path, data)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return readError(resp)
	}
	return nil
}

func (c *Client) ask(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.scheme+c.cfg.Addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	resp, err := c.http.Do(req)
	var stranger *tls.CertificateVerificationError
	if errors.As(err, &stranger) {
		return nil, fmt.Errorf("%w: it has another key than this server, or is no supervisor", ErrUnauthorized)
	}
	if err != nil {
		return nil, unreachable(err)
	}
	return resp, nil
}

// unreachable says that it is the way to the supervisor that has failed.
func unreachable(err error) error {
	return fmt.Errorf("the slot's supervisor %w: %w", fleet.ErrUnreachable, err)
}

// readError reads the error that the supervisor has answered.
func readError(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, orderMost))
	var said errorBody
	if err != nil || json.Unmarshal(data, &said) != nil || said.Error.Code == "" {
		return unreachable(fmt.Errorf("it answered %s", resp.Status))
	}
	if known := errorOf(said.Error.Code); known != nil {
		return &remoteError{said.Error.Message, known}
	}
	return &remoteError{said.Error.Message, nil}
}

// remoteError is an error in the supervisor's words.
type remoteError struct {
	message string
	kind    error // one of this package's; nil = it has none
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.kind }

// Watch is Slot.Watch at a distance, except that it returns an error when the supervisor cannot be reached or falls silent: then it is to be
// called again, and begins with a complete list again. The moments it tells are moments of this machine's clock, and rather too early than too late.
func (c *Client) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silenceMost, func() { cancel(ErrSilent) })
	defer silence.Stop()
	err := c.follow(watching, tell, func() { silence.Reset(silenceMost) })
	switch {
	case ctx.Err() != nil:
		return nil
	case watching.Err() != nil:
		err = unreachable(context.Cause(watching))
	}
	return fmt.Errorf("watching the slot at %s: %w", c.cfg.Addr, err)
}

// follow reads one stream to its end.
func (c *Client) follow(ctx context.Context, tell func(fleet.Observation), alive func()) error {
	asked := time.Now()
	resp, err := c.ask(ctx, http.MethodGet, watchPath, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return readError(resp)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, eventMost)
	var began time.Time // the supervisor's moment that was asked here, or later
	for lines.Scan() {
		alive()
		data, found := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !found {
			continue
		}
		var o fleet.Observation
		if err := json.Unmarshal(data, &o); err != nil {
			return unreachable(fmt.Errorf("reading an observation: %w", err))
		}
		if began.IsZero() {
			began = o.At
		}
		o.At = asked.Add(o.At.Sub(began)) // with asked's reading of the monotonic clock: this machine's may be set, too
		tell(o)
	}
	return unreachable(cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}
