// Package access knows who may use the admin API and the console for all organisations: admin tokens, each with a name and a role.
//
// It promises that a token which is taken out of its file, or whose file others may read, is refused within a second, that one which is added works as soon,
// and that a token is never logged, shown or kept but as its SHA-256. It never decides what a role may do: who asks does.
package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/private"
)

// Role says what an admin token is for.
type Role string

// The roles.
const (
	Operator Role = "operator" // everything
	Auditor  Role = "auditor"  // reads everything, and changes nothing
	Billing  Role = "billing"  // reads usage and invoices, closes months and corrects records
)

// Roles lists all roles, for messages.
func Roles() []Role { return []Role{Operator, Auditor, Billing} }

// Root is the name of the admin token that every server has.
const Root = "root"

// MinToken is the least length of an admin token, in characters: of the alphabet of crypto/rand.Text, 120 bits.
const MinToken = 24

// Token is a named admin token, and where its secret is: in an environment variable or in a file, of which each line is one. Several are valid at once, so
// that one can be replaced before the other is taken away.
type Token struct {
	Name string
	Role Role
	Env  string
	File string // "" = it is in Env
}

// Admin is whoever has an admin token.
type Admin struct {
	Name string
	Role Role
}

// Is reports whether the role is one of these.
func (a Admin) Is(roles []Role) bool { return slices.Contains(roles, a.Role) }

// Config is what New needs.
type Config struct {
	Root   string // the secret of Root, an operator; at least MinToken characters
	Tokens []Token
	Getenv func(string) string // needed where a token has an Env
	Log    *slog.Logger        // nil = discard
}

// Admins knows all admin tokens. It is safe for concurrent use.
type Admins struct {
	c     Config
	known atomic.Pointer[set]

	reading sync.Mutex // held by one who looks at the files
	looked  atomic.Int64
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// set is all tokens as of one reading. It is immutable.
type set struct {
	tokens []Token
	admins map[[sha256.Size]byte]Admin // by SHA-256 of the secret
	marks  map[string]Admin            // by the beginning of that in hexadecimal digits
	files  map[string]fileState        // of tokens that have one
}

// fileState tells whether a file has changed; the zero value = it could not be read.
type fileState struct {
	modified time.Time
	size     int64
	mode     fs.FileMode
}

// New reads the tokens. The error names the token that cannot be used, and why.
func New(c Config) (*Admins, error) {
	if len(c.Root) < MinToken {
		return nil, fmt.Errorf("the admin token has %d characters; it must have %d or more", len(c.Root), MinToken)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	a := &Admins{c: c}
	commit, err := a.Prepare(c.Tokens)
	if err != nil {
		return nil, err
	}
	commit()
	return a, nil
}

// Prepare reads other tokens, which commit puts in the place of those that there are. The error names the token that cannot be used, and why.
func (a *Admins) Prepare(tokens []Token) (commit func(), err error) {
	next, wrong := a.read(tokens)
	if wrong != nil {
		return nil, wrong
	}
	return func() {
		a.reading.Lock()
		defer a.reading.Unlock()
		a.known.Store(next)
	}, nil
}

// Find gives whoever has a secret.
func (a *Admins) Find(secret []byte) (Admin, bool) {
	found, ok := a.now().admins[sha256.Sum256(bytes.TrimSpace(secret))]
	return found, ok
}

// Mark gives what a secret can be known by without being told, and ByMark whoever has the secret with a mark.
func Mark(secret string) string {
	digest := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	return hex.EncodeToString(digest[:16])
}

// ByMark gives whoever has the secret that a mark is of, as long as it is valid.
func (a *Admins) ByMark(mark string) (Admin, bool) {
	found, ok := a.now().marks[mark]
	return found, ok
}

// RootMark is the mark of Root's secret.
func (a *Admins) RootMark() string { return Mark(a.c.Root) }

// now gives the tokens as the files have them, looked at within the last second.
func (a *Admins) now() *set {
	at := time.Now().UnixNano()
	if at-a.looked.Load() < int64(lookEvery) || !a.reading.TryLock() {
		return a.known.Load()
	}
	defer a.reading.Unlock()
	a.looked.Store(at)
	known := a.known.Load()
	for file, was := range known.files {
		if is, err := stateOf(file); err == nil && is == was || err != nil && was == (fileState{}) {
			continue
		}
		next, wrong := a.read(known.tokens) // what cannot be used is left out
		if wrong != nil {
			a.c.Log.Error("an admin token is refused until this is mended", "reason", wrong)
		} else {
			a.c.Log.Info("admin tokens were read anew", "tokens", len(next.admins))
		}
		a.known.Store(next)
		break
	}
	return a.known.Load()
}

// read reads all tokens, and gives those that can be used, with what is wrong with the others.
func (a *Admins) read(tokens []Token) (next *set, wrong error) {
	next = &set{tokens: tokens, admins: map[[sha256.Size]byte]Admin{}, marks: map[string]Admin{}, files: map[string]fileState{}}
	wrong = next.add(Admin{Root, Operator}, a.c.Root)
	for _, t := range tokens {
		if err := a.readOne(next, t); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("admin token %q: %w", t.Name, err))
		}
	}
	return next, wrong
}

func (a *Admins) readOne(next *set, t Token) error {
	if t.File == "" {
		text := a.c.Getenv(t.Env)
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("%s is not set; it must hold the token, of %d characters or more", t.Env, MinToken)
		}
		return next.add(Admin{t.Name, t.Role}, text)
	}
	next.files[t.File] = fileState{}
	state, err := stateOf(t.File)
	if err != nil {
		return err
	}
	next.files[t.File] = state
	if err := private.CheckSecret(t.File); err != nil {
		return err
	}
	text, err := os.ReadFile(t.File)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(text)) == "" {
		return fmt.Errorf("%s is empty; it must hold the token, of %d characters or more", t.File, MinToken)
	}
	return next.add(Admin{t.Name, t.Role}, string(text))
}

func stateOf(file string) (fileState, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return fileState{}, err
	}
	return fileState{info.ModTime(), info.Size(), info.Mode()}, nil
}

// add adds the secrets of a text, one a line.
func (s *set) add(admin Admin, text string) error {
	for line := range strings.Lines(text) {
		secret := strings.TrimSpace(line)
		if secret == "" {
			continue
		}
		if len(secret) < MinToken {
			return fmt.Errorf("it has %d characters; it must have %d or more", len(secret), MinToken)
		}
		digest := sha256.Sum256([]byte(secret))
		if other, taken := s.admins[digest]; taken && other != admin {
			return fmt.Errorf("it is the same as that of %q; make another", other.Name)
		}
		s.admins[digest] = admin
		s.marks[hex.EncodeToString(digest[:16])] = admin
	}
	return nil
}
