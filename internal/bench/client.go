package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// ClientConfig says what a Client sends, and where to.
type ClientConfig struct {
	URL      string // base URL of the API, such as http://127.0.0.1:8080/v1
	Token    string // "" = none is sent
	Endpoint string // EndpointChat or EndpointCompletions
	Whole    bool   // answers are asked for whole, not as streams
	Seed     uint64 // of prompts
	Prefix   string // of request IDs, so that they can be found again
	Extra    map[string]json.RawMessage
	Header   http.Header   // also sent
	Timeout  time.Duration // of one request; 0 = none

	// Dial opens connections; nil = as net/http does.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client is the Sender for any server of the OpenAI API. It is safe for concurrent use.
type Client struct {
	ClientConfig
	http *http.Client
}

// NewClient makes a client. It connects to nothing.
func NewClient(c ClientConfig) (*Client, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q is not the base URL of an API; write one such as http://127.0.0.1:8080/v1", c.URL)
	case c.Endpoint != EndpointChat && c.Endpoint != EndpointCompletions:
		return nil, fmt.Errorf("no endpoint %q; there are %s and %s", c.Endpoint, EndpointChat, EndpointCompletions)
	}
	c.URL = strings.TrimRight(c.URL, "/")
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: c.Dial, DisableCompression: true,
		MaxIdleConns: 0, MaxIdleConnsPerHost: 1 << 16, IdleConnTimeout: 30 * time.Second, // a run keeps as many as it has needed at once
	}
	return &Client{ClientConfig: c, http: &http.Client{Transport: transport}}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Send makes one exchange.
func (c *Client) Send(ctx context.Context, q *Request, s *Sample) {
	s.ID = c.Prefix + strconv.Itoa(q.Number)
	sent, err := c.exchange(ctx, q, s)
	if s.End.IsZero() {
		s.End = time.Now()
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		s.Failure = Interrupted
		return
	case s.Failure == "":
		s.Failure = failureOf(err)
	}
	if sent && s.Receipt.Start != "" && !s.Receipt.Priced {
		c.fetchReceipt(ctx, s)
	}
}

// exchange sends a request and reads its answer to its end. It reports whether an answer's head has come.
func (c *Client) exchange(run context.Context, q *Request, s *Sample) (answered bool, err error) {
	ctx := run
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(run, s.Intended.Add(c.Timeout))
		defer cancel()
	}
	content, err := body(c.Endpoint, q, prompt(c.Seed, q.Number, q.Input), !c.Whole, c.Extra)
	if err != nil {
		return false, err
	}
	r, err := c.request(ctx, http.MethodPost, "/"+c.Endpoint, content)
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", s.ID)
	s.Sent = time.Now()
	response, err := c.http.Do(r)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	s.Status = response.StatusCode
	s.Receipt.readHeader(response.Header)
	if id := response.Header.Get("X-Request-Id"); id != "" {
		s.ID = id
	}
	a := answer{sample: s}
	switch {
	case response.StatusCode != http.StatusOK:
		return true, a.readError(response.Body)
	case strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream"):
		return true, a.readStream(response.Body)
	}
	return true, a.readWhole(response.Body)
}

func (c *Client) request(ctx context.Context, method, path string, content []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	for name, values := range c.Header {
		r.Header[name] = values
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return r, nil
}

// FetchReceipt asks a Pilotlight for the receipt of a request. It says so with a nil receipt if there is none yet.
func (c *Client) FetchReceipt(ctx context.Context, id string) (*Receipt, error) {
	r, err := c.request(ctx, http.MethodGet, "/usage/"+url.PathEscape(id), nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking for a receipt: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading a receipt: %w", err)
	case response.StatusCode == http.StatusNotFound:
		return nil, nil
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answers %d to the receipt of %s: %s", response.StatusCode, id, openai.EngineError(response.StatusCode, text))
	}
	var receipt Receipt
	if err := json.Unmarshal(text, &receipt); err != nil {
		return nil, fmt.Errorf("the receipt of %s is none of Pilotlight's: %w", id, err)
	}
	receipt.Priced = true
	return &receipt, nil
}

// fetchReceipt asks for what the answer has not said. A record can be read at most half a second after its request ended.
func (c *Client) fetchReceipt(ctx context.Context, s *Sample) {
	const tries, pause = 6, 100 * time.Millisecond
	for range tries {
		switch receipt, err := c.FetchReceipt(ctx, s.ID); {
		case receipt != nil:
			s.Receipt = *receipt
			return
		case err != nil:
			return // what it cost stays unknown, and is counted as that
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// failureOf names what went wrong before an answer was whole.
func failureOf(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, errIncomplete):
		return "incomplete"
	case errors.Is(err, errMalformed):
		return "malformed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return "connection_lost"
	}
	return "transport"
}
