package shares

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/rounds"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

const (
	// leaseFor is how long shares are good without the store: as long as tokens are known then.
	leaseFor = 5 * time.Minute
	// goneAfter is when others take a silent server's shares. It is longer than the lease by more than clocks differ in their rates.
	goneAfter = leaseFor + 10*time.Second

	beatEvery   = time.Second
	aliveFor    = 5 * time.Second        // after a sign of life
	lookEvery   = 100 * time.Millisecond // for what others lack, where nothing tells
	askAgain    = 20 * time.Millisecond  // for what was not to be had
	returnEvery = 5 * time.Second        // what nobody has used in that time is given back
	unusedFor   = 10 * time.Minute       // then nothing is kept of a limit
	brokenFor   = 500 * time.Millisecond // a store that has failed is not asked again
	listenAgain = time.Second
	roundWithin = 5 * time.Second
	limitsAtime = 64 // in one transaction

	topic = "pilotlight_shares"
)

// What servers tell each other: a kind, a space, and who says it.
const (
	tellLacks = "lacks" // requests wait there for more of a limit
	tellFreed = "freed" // some of a limit has become free
)

// Config is what New needs.
type Config struct {
	Store  *store.Store
	Server string       // ID of this server, which nobody else has at the same time; that of its log
	Log    *slog.Logger // nil = discard
}

// Shares has the shares of one server. It is safe for concurrent use.
type Shares struct {
	book   book
	server string
	log    *slog.Logger

	mu     sync.Mutex               // guards all below
	asks   map[account.Limited]*ask // of which more is wanted
	broken time.Time                // until then the store is not asked
	ended  bool                     // Run has
	wake   chan struct{}            // holds one when somebody asks
	lacks  chan struct{}            // holds one when another server lacks something
	freed  chan struct{}            // holds one when another server has given something back

	// Of Run alone.
	accounts *account.Accounts
	held     map[account.Limited]*holding // what the store has of this server
	others   map[string]*other
	failing  bool
}

// ask is for more of one limit.
type ask struct {
	waiting rounds.Waiting
	next    time.Time // it is looked at then
}

// holding is what the store has of this server and one limit.
type holding struct {
	share, lacks int       // share may be uncertain
	unused       time.Time // since then no request has used it; zero = some have
}

// uncertain is a share of which is not known whether the store has it: more than any is, so that it is soon told again.
const uncertain = math.MaxInt

func (s *Shares) holding(of account.Limited) *holding {
	h := s.held[of]
	if h == nil {
		h = &holding{}
		s.held[of] = h
	}
	return h
}

// other is another server.
type other struct {
	beats int64
	at    time.Time // when that was first seen
}

func (o *other) alive(now time.Time) bool { return now.Sub(o.at) < aliveFor }

// alive gives how many others live.
func (s *Shares) alive(now time.Time) (n int) {
	for _, o := range s.others {
		if o.alive(now) {
			n++
		}
	}
	return n
}

// mayLive reports whether another server lives, as far as is known.
func (s *Shares) mayLive(server string, now time.Time) bool {
	o := s.others[server]
	return o == nil || o.alive(now)
}

// New makes the shares of a server, which has none yet. Run joins the others.
func New(c Config) (*Shares, error) {
	if c.Store == nil || c.Server == "" {
		return nil, errors.New("shares: a store and the server's ID are required")
	}
	return newShares(tables{c.Store}, c), nil
}

func newShares(b book, c Config) *Shares {
	return &Shares{
		book: b, server: c.Server, log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)), asks: map[account.Limited]*ask{},
		wake: make(chan struct{}, 1), lacks: make(chan struct{}, 1), freed: make(chan struct{}, 1), held: map[account.Limited]*holding{}, others: map[string]*other{},
	}
}

// Ask is the Shares' of accounts.
func (s *Shares) Ask(of account.Limited, until time.Time) bool {
	now := time.Now()
	if !now.Before(until) {
		return false
	}
	s.mu.Lock()
	if s.ended || now.Before(s.broken) {
		s.mu.Unlock()
		return false
	}
	a := s.asks[of]
	if a == nil {
		a = &ask{next: now}
		s.asks[of] = a
	}
	w := a.waiting.Join(until)
	s.mu.Unlock()
	rounds.Nudge(s.wake)
	return w.Wait(func() { s.leave(of, w) })
}

// leave undoes the waiting of an Ask. What was asked of the others for it is taken back by the next look.
func (s *Shares) leave(of account.Limited, w *rounds.Waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.asks[of]; a != nil {
		a.waiting.Leave(w)
	}
}

// due gives the limits that are to be looked at now, and when the next is. again = all for which somebody waits.
func (s *Shares) due(now time.Time, again bool) (all []account.Limited, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, a := range s.asks {
		switch {
		case a.waiting.Len() == 0 && !now.Before(a.next):
			delete(s.asks, of)
		case a.waiting.Len() == 0:
		case again || !now.Before(a.next):
			all = append(all, of)
		case next.IsZero() || a.next.Before(next):
			next = a.next
		}
	}
	return all, next
}

// waiting gives how many wait for more of a limit.
func (s *Shares) waiting(of account.Limited) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.asks[of]
	if a == nil {
		return 0
	}
	return a.waiting.Look()
}

// answer tells those who wait for a limit, and whom a round has seen, whether to look again. wait = the others were asked: there may be more soon.
func (s *Shares) answer(of account.Limited, more, wait bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.asks[of]
	if a == nil {
		return
	}
	a.next = time.Now()
	if !more {
		a.next = a.next.Add(askAgain)
	}
	if !more && wait {
		return
	}
	a.waiting.Answer(more)
}

// release has nobody wait. s.mu is held.
func (s *Shares) release() {
	for _, a := range s.asks {
		a.waiting.Release()
	}
	clear(s.asks)
}

// check tells all who wait if the store has failed.
func (s *Shares) check(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	if !s.failing {
		s.failing = true
		s.log.ErrorContext(ctx, "limits of requests at once cannot be shared with other servers; what this one has of them is good for five minutes", "reason", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = time.Now().Add(brokenFor)
	s.release()
}

// works notes that the store answers.
func (s *Shares) works(ctx context.Context) {
	if s.failing {
		s.failing = false
		s.log.InfoContext(ctx, "limits of requests at once are shared again")
	}
}

func (s *Shares) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.release()
}
