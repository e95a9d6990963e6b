package secret

import (
	"io"
	"log/slog"
	"net/http"
)

// drainMost is how much of a refusal is read, so that its connection can be used again.
const drainMost = 64 << 10

// Transport adds a token to each request. One that is answered with 403 is repeated, once, where the token has been replaced.
type Transport struct {
	Base   http.RoundTripper
	Header string // of the token
	Token  *Token
	Whose  string       // for the log: who asks for the token
	Log    *slog.Logger // nil: discard
}

// RoundTrip performs a request with the token.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	token := t.Token.Value()
	resp, err := t.Base.RoundTrip(t.with(r, token))
	if err != nil || resp.StatusCode != http.StatusForbidden || r.Body != nil && r.GetBody == nil {
		return resp, err
	}
	if !t.another(token) {
		return resp, nil
	}
	again := t.with(r, t.Token.Value())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return resp, nil
		}
	}
	_, _ = io.CopyN(io.Discard, resp.Body, drainMost)
	resp.Body.Close()
	return t.Base.RoundTrip(again)
}

// CloseIdleConnections closes those of Base.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.Base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// with is the request with a token; the caller's own stays as it is.
func (t *Transport) with(r *http.Request, token string) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del(t.Header)
	if token != "" {
		r.Header.Set(t.Header, token)
	}
	return r
}

// another reports whether there is another token than the refused one.
func (t *Transport) another(refused string) bool {
	log := t.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	another, err := t.Token.Refresh(refused)
	switch {
	case err != nil:
		log.Warn("a token was refused, and cannot be read anew", "whose", t.Whose, "reason", err)
	case another:
		log.Info("a token was refused, and has been replaced", "whose", t.Whose)
	}
	return another
}
