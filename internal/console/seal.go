package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// session is what a browser keeps of a sign-in.
type session struct {
	Operator string    `json:"o,omitempty"` // the mark of an admin token: where there is no such token any more, it ends
	Secret   string    `json:"s,omitempty"` // of an organisation's token: a caller's own, or the one whose organisation pays for an operator's chats
	Until    time.Time `json:"u"`
}

// sessionLasts is for how long a sign-in holds.
const sessionLasts = 12 * time.Hour

// sealer keeps what a browser keeps secret from it, and unchanged: AES-GCM with a nonce at random.
type sealer struct{ aead cipher.AEAD }

func newSealer(key [32]byte) (sealer, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

var sealed = []byte("pilotlight console session 1")

func (s sealer) seal(v session) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("sealing a session: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, sealed)), nil
}

var errNoSession = errors.New("there is no session")

func (s sealer) open(text string, now time.Time) (v session, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return session{}, errNoSession
	}
	if b, err = s.aead.Open(nil, nil, b, sealed); err != nil {
		return session{}, errNoSession
	}
	if err := json.Unmarshal(b, &v); err != nil || !now.Before(v.Until) {
		return session{}, errNoSession
	}
	return v, nil
}

// codes are words that sign in once each, for a link on the server's own terminal.
type codes struct {
	mu   sync.Mutex // guards left
	left map[string]coded
}

type coded struct {
	session session
	until   time.Time
}

// codeLasts is for how long a link on the terminal may wait to be followed.
const codeLasts = time.Hour

// SignInLink gives a path that signs whoever follows it first in as an operator, once and within an hour. secret is of a token whose organisation
// pays for chats; it may be empty.
func (c *Console) SignInLink(secret string) string {
	code := rand.Text()
	now := c.c.Now()
	c.codes.mu.Lock()
	defer c.codes.mu.Unlock()
	if c.codes.left == nil {
		c.codes.left = map[string]coded{}
	}
	c.codes.left[code] = coded{session{Operator: c.c.Admins.RootMark(), Secret: secret, Until: now.Add(sessionLasts)}, now.Add(codeLasts)}
	return "/signin?code=" + code
}

func (c *codes) use(code string, now time.Time) (session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for known, of := range c.left {
		if !now.Before(of.until) {
			delete(c.left, known)
		}
	}
	of, ok := c.left[code]
	delete(c.left, code)
	return of.session, ok
}
