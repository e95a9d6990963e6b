package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	patience     = 30 * time.Second // with one request
	firstWait    = time.Second      // after a first failure; doubled with each
	longestWait  = 5 * time.Minute
	longestAsked = time.Hour // that Retry-After may ask for
	answerLimit  = 64 << 10  // of an answer's body that is read, so that its connection can serve again
)

// errGone is the cause where an endpoint says that it is gone for good.
var errGone = errors.New("it answered 410 Gone")

// refusal is an answer that was not 2xx.
type refusal struct {
	status int
	after  time.Duration // that it asks to wait; 0 = it does not say
}

func (r *refusal) Error() string {
	return fmt.Sprintf("it answered %d %s", r.status, http.StatusText(r.status))
}

// newClient makes the client of all endpoints. A redirect is an answer like any other that is not 2xx: where events go, the config says.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// deliver sends a message. nil = the endpoint has taken it.
func (e *endpoint) deliver(ctx context.Context, m message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.w.URL, bytes.NewReader(m.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", m.contentType)
	req.Header.Set("User-Agent", "pilotlight")
	e.authorize(req.Header, m)
	resp, err := e.client.Do(req)
	if err != nil {
		var wrapped *url.Error // whose text has the whole URL
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return err
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, answerLimit)
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode == http.StatusGone:
		return errGone
	}
	return &refusal{resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), time.Now())}
}

// authorize gives a message its ID, and proves whose it is.
func (e *endpoint) authorize(h http.Header, m message) {
	switch e.w.Format {
	case CloudEvents:
		id, timestamp := messageID(m.ids), strconv.FormatInt(time.Now().Unix(), 10)
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", timestamp)
		h.Set("webhook-signature", sign(e.key, id, timestamp, m.body))
	case Stripe:
		h.Set("Idempotency-Key", m.ids[0])
		h.Set("Authorization", "Bearer "+e.w.Secret)
	case OpenMeter:
		h.Set("Authorization", "Bearer "+e.w.Secret)
	}
}

// messageID is the same for the same events, whoever sends them.
func messageID(ids []string) string {
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return "msg_" + hex.EncodeToString(sum[:16])
}

// retryAfter reads the header Retry-After: seconds, or a moment.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), longestAsked)
}

// backoff is how long to wait after some failures in a row: twice as long each time, a half of it by chance.
func backoff(failures int) time.Duration {
	d := longestWait
	if failures < 16 {
		d = min(firstWait<<(failures-1), longestWait)
	}
	return d/2 + rand.N(d/2)
}
