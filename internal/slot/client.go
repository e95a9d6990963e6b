package slot

import (
	"bufio"
	"bytes"
	"context"
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
	Models []*fleet.Model // that launches may name
}

// Client is a Slot on another machine. Its methods are safe for concurrent use, and start no goroutine that outlives them; Close ends idle
// connections.
type Client struct {
	cfg    ClientConfig
	models map[string]*fleet.Model
	http   *http.Client
}

// NewClient makes a client. It connects to nothing yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Addr == "" || cfg.Key == "" {
		return nil, errors.New("a slot's client needs an address and a key")
	}
	c := &Client{cfg: cfg, models: map[string]*fleet.Model{}, http: &http.Client{Transport: &http.Transport{IdleConnTimeout: time.Minute}}}
	for _, m := range cfg.Models {
		c.models[m.ID] = m
	}
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do is Slot.Do at a distance. After any error but this package's own nothing is known: the act may have been accepted, and may be
// sent again.
func (c *Client) Do(ctx context.Context, act fleet.Act) error {
	o := request{Act: act}
	if act.Kind == fleet.ActLaunch {
		if o.Model = c.models[act.Model]; o.Model == nil {
			return fmt.Errorf("%s %s: %w: %s", act.Kind, act.Instance, ErrUnknownModel, act.Model)
		}
	}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("%s %s: %w", act.Kind, act.Instance, err)
	}
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	resp, err := c.ask(ctx, http.MethodPost, actsPath, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", act.Kind, act.Instance, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return readError(resp) // which says what the act was
	}
	return nil
}

func (c *Client) ask(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.cfg.Addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	return c.http.Do(req)
}

// readError reads the error that the supervisor has answered.
func readError(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, orderMost))
	var said errorBody
	if err != nil || json.Unmarshal(data, &said) != nil || said.Error.Code == "" {
		return fmt.Errorf("supervisor answered %s", resp.Status)
	}
	if known := errorOf(said.Error.Code); known != nil {
		return &remoteError{said.Error.Message, known}
	}
	return errors.New(said.Error.Message)
}

// remoteError is one of this package's errors in the supervisor's words.
type remoteError struct {
	message string
	kind    error
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
		err = context.Cause(watching)
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
	var ahead time.Duration // of the supervisor's clock, at most
	for first := true; lines.Scan(); {
		alive()
		data, found := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !found {
			continue
		}
		var o fleet.Observation
		if err := json.Unmarshal(data, &o); err != nil {
			return fmt.Errorf("reading an observation: %w", err)
		}
		if first {
			first, ahead = false, o.At.Sub(asked)
		}
		o.At = o.At.Add(-ahead)
		tell(o)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
