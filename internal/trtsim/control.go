package trtsim

import (
	"crypto/subtle"
	"net/http"
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

// The rules of the strict variant of the control signature. They are protocol constants: the speed does not touch them.
const (
	signatureWindow = 300 * time.Second // each way, both ends included
	nonceCapacity   = 4096
)

// nonces remembers used nonces until their timestamps leave the window. A full memory refuses rather than forgets.
type nonces struct {
	until map[string]time.Time // nonce -> end of its life
}

// authenticate checks the signature of a control call: headers, HMAC, time, nonce, in this order, so that a wrong signature
// uses up no nonce.
func (e *Engine) authenticate(r *http.Request, body []byte) error {
	const prefix = "Runtime control "
	refuse := func(detail string) error { return &detailError{http.StatusUnauthorized, detail} }
	auth := r.Header.Get(engine.HeaderAuth)
	stamp, nonce := r.Header.Get(engine.HeaderTimestamp), r.Header.Get(engine.HeaderNonce)
	unix, ok := decimal(stamp)
	if auth == "" || !ok || !isNonce(nonce) {
		return refuse("Invalid runtime control request authentication.")
	}
	want := engine.Signature(e.cfg.ControlKey, r.Method, r.URL.Path, stamp, nonce, body)
	if subtle.ConstantTimeCompare([]byte(auth), []byte(want)) != 1 {
		return refuse("Invalid runtime control request authentication.")
	}
	if e.cfg.LaxControl {
		return nil
	}
	now := time.Now()
	window := int64(signatureWindow / time.Second)
	if distance := now.Unix() - unix; distance > window || distance < -window {
		return refuse(prefix + "timestamp is outside the validity window.")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.memory.nonces.use(nonce, now, time.Unix(unix, 0).Add(signatureWindow))
}

func (n *nonces) use(nonce string, now, until time.Time) error {
	for old, end := range n.until {
		if end.Before(now.Truncate(time.Second)) {
			delete(n.until, old)
		}
	}
	if _, used := n.until[nonce]; used {
		return &detailError{http.StatusUnauthorized, "Runtime control nonce has already been used."}
	}
	if len(n.until) >= nonceCapacity {
		return &detailError{http.StatusUnauthorized, "Runtime control replay cache capacity exceeded."}
	}
	n.until[nonce] = until
	return nil
}

// decimal reads ASCII digits and nothing else.
func decimal(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func isNonce(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 32
}
