package secret

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// readAgainAfter is how long what was read of a file is taken for all there is.
const readAgainAfter = time.Second

// ErrEmpty is returned for a token file that holds no token.
var ErrEmpty = errors.New("the file holds no token")

// Token is a token that may be replaced while the program runs. Its methods are safe for concurrent use.
type Token struct {
	variable string
	file     string // "" = the token never changes

	reading sync.Mutex // has one read the file at a time; guards readAt
	readAt  time.Time

	mu    sync.Mutex // guards value
	value string
}

// Fixed is a token that never changes; "" = none.
func Fixed(value string) *Token { return &Token{value: value} }

// FromEnvironment is the token that an environment variable holds, or that a file holds which the variable with _FILE at the end of its name names: the
// file wins. Where there is neither the token is empty.
//
// A file holds the token alone, or lines as an environment file has them, of which the variable's counts.
func FromEnvironment(getenv func(string) string, variable string) (*Token, error) {
	t := &Token{variable: variable, file: getenv(variable + "_FILE"), value: getenv(variable)}
	if t.file == "" {
		return t, nil
	}
	value, err := t.readFile()
	if err != nil {
		return nil, err
	}
	t.value, t.readAt = value, time.Now()
	return t, nil
}

// Value is the token as it was read last.
func (t *Token) Value() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.value
}

// Refresh reads the token anew, because one was refused, and reports whether there is another one to try. It reads at most once a second.
func (t *Token) Refresh(refused string) (another bool, err error) {
	if t.file == "" {
		return false, nil
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.Value() != refused {
		return true, nil // somebody else was refused before
	}
	now := time.Now()
	if now.Sub(t.readAt) < readAgainAfter {
		return false, nil
	}
	t.readAt = now
	value, err := t.readFile()
	if err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.value = value
	return value != refused, nil
}

// String keeps the token out of what is formatted.
func (t *Token) String() string { return "(secret)" }

func (t *Token) readFile() (string, error) {
	text, err := os.ReadFile(t.file)
	if err != nil {
		return "", fmt.Errorf("reading the token file that %s_FILE names: %w", t.variable, err)
	}
	value := t.parse(string(text))
	if value == "" {
		return "", fmt.Errorf("reading the token file %s that %s_FILE names: %w", t.file, t.variable, ErrEmpty)
	}
	return value, nil
}

// parse finds the token in a file's text.
func (t *Token) parse(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if value, found := strings.CutPrefix(line, t.variable+"="); found {
			return strings.Trim(value, `"'`)
		}
	}
	return strings.TrimSpace(text)
}
