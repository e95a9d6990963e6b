package quota

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/rounds"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

const (
	pollEvery    = 100 * time.Millisecond // for what others wish
	pollWaiting  = 20 * time.Millisecond  // while something here waits for them
	beatEvery    = time.Second            // between two signs of life
	liveFor      = 3 * time.Second        // after one; the default of Config.LiveFor
	othersEvery  = 2 * time.Second        // what others have spent is read
	returnEvery  = 30 * time.Second       // what nobody has used in that time is given back
	deniedFor    = 250 * time.Millisecond // what was not to be had is not asked for again
	brokenFor    = 500 * time.Millisecond // a store that has failed is not asked again
	calledBefore = 100 * time.Millisecond // somebody gives up waiting, what is nobody's is drawn
	roundWithin  = 10 * time.Second
	periodsAtime = 64 // in one transaction
)

// Config is what New needs.
type Config struct {
	Store     *store.Store
	Server    string        // ID of this server; that of its log
	DeniedFor time.Duration // how long it is remembered that there is nothing more; 0 = not at all
	LiveFor   time.Duration // how long after a sign of life another server is taken to live, and waited for; 0 = 3 s
	Log       *slog.Logger  // nil = discard
}

// DeniedFor is what DeniedFor of a server is.
const DeniedFor = deniedFor

// Quota draws the blocks of one server. It is safe for concurrent use.
type Quota struct {
	book   book
	server string
	memory time.Duration
	live   time.Duration
	log    *slog.Logger

	mu     sync.Mutex              // guards all below
	asks   map[account.Period]*ask // of which more is wanted, or was
	woken  map[string]bool         // organisations whose blocks are to be looked at
	broken time.Time               // until then the store is not asked
	ended  bool                    // Run has
	wake   chan struct{}           // holds one when there is something to do

	// Of Run alone.
	accounts *account.Accounts
	version  int64                    // of the topic, up to which wishes were answered
	held     map[account.Period]*held // what the store has of this server
	failing  bool
}

// ask is for more of one period's budget.
type ask struct {
	waiting rounds.Waiting
	due     bool      // in the next round
	wish    wish      // of which an answer is waited for
	called  time.Time // the last call was made for who waits until then
	denied  time.Time // until then there is nothing more to be had
}

// wish is a call to the others for what they do not need.
type wish struct {
	version  int64 // 0 = there is none
	reserved int64 // by the others then
}

// block is what the store has of one server and period.
type block struct {
	granted, wished, answered int64
}

// held is a block of this server.
type held struct {
	block
	idle  bool  // when it was last looked at
	spent int64 // then
}

// New makes the quota of a server. Run draws.
func New(c Config) (*Quota, error) {
	if c.Store == nil || c.Server == "" {
		return nil, errors.New("quota: a store and the server's ID are required")
	}
	return newQuota(tables{c.Store}, c), nil
}

func newQuota(b book, c Config) *Quota {
	return &Quota{
		book: b, server: c.Server, memory: c.DeniedFor, live: cmp.Or(c.LiveFor, liveFor), log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)), asks: map[account.Period]*ask{}, woken: map[string]bool{}, wake: make(chan struct{}, 1),
		held: map[account.Period]*held{},
	}
}

// Draw is the Quota's of accounts.
func (q *Quota) Draw(of account.Period, until time.Time) bool {
	now := time.Now()
	if !now.Before(until) {
		return false
	}
	q.mu.Lock()
	a := q.asks[of]
	if a == nil {
		a = &ask{}
		q.asks[of] = a
	}
	if q.ended || now.Before(q.broken) || now.Before(a.denied) {
		q.mu.Unlock()
		return false
	}
	a.due = true
	w := a.waiting.Join(until)
	q.mu.Unlock()
	rounds.Nudge(q.wake)
	return w.Wait(func() { q.leave(of, w) })
}

// leave undoes the waiting of a Draw.
func (q *Quota) leave(of account.Period, w *rounds.Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.asks[of]
	if a == nil {
		return
	}
	a.waiting.Leave(w)
	a.due = true // the others need not give anything more
}

// Wake is the Quota's of accounts.
func (q *Quota) Wake(org string) {
	q.mu.Lock()
	q.woken[org] = true
	for of, a := range q.asks {
		if of.Org == org {
			a.denied = time.Time{}
		}
	}
	q.mu.Unlock()
	rounds.Nudge(q.wake)
}

// due takes what is to be looked at.
func (q *Quota) due() (asked []account.Period, woken []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for of, a := range q.asks {
		switch {
		case a.due, !a.lastCall(now).IsZero():
			a.due = false
			asked = append(asked, of)
		case a.waiting.Len() == 0 && !now.Before(a.denied):
			delete(q.asks, of)
		}
	}
	for org := range q.woken {
		woken = append(woken, org)
	}
	clear(q.woken)
	return asked, woken
}

// lastCall gives the moment at which the first of those who wait for the others' answers gives up, once it is near; zero = it is not, or was called before.
func (a *ask) lastCall(now time.Time) time.Time {
	first := a.waiting.First()
	if a.wish.version == 0 || first.IsZero() || first.Equal(a.called) || now.Before(first.Add(-calledBefore)) {
		return time.Time{}
	}
	return first
}

// asked reports whether somebody waits for more of a period, what the others were asked, and the last call.
func (q *Quota) asked(of account.Period) (is bool, w wish, last time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.asks[of]
	if a == nil {
		return false, wish{}, time.Time{}
	}
	return a.waiting.Look() > 0, a.wish, a.lastCall(time.Now())
}

// wished notes what the others were asked, and a last call that was made.
func (q *Quota) wished(of account.Period, w wish, last time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.asks[of]; a != nil {
		a.wish = w
		if !last.IsZero() {
			a.called = last
		}
	}
}

// waits reports whether somebody waits, and has all that wait looked at again.
func (q *Quota) waits(again bool) (some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range q.asks {
		if a.waiting.Len() > 0 {
			some = true
			a.due = a.due || again
		}
	}
	return some
}

// answer tells those who wait for a period, and whom a round has seen. more = they may look again; else there is nothing.
func (q *Quota) answer(of account.Period, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.asks[of]
	if a == nil {
		return
	}
	a.wish = wish{}
	if told := a.waiting.Answer(more); told > 0 && !more && q.memory > 0 {
		a.denied = time.Now().Add(q.memory)
	}
	if a.waiting.Len() == 0 && a.denied.IsZero() {
		delete(q.asks, of)
	}
}

// release has nobody wait.
func (a *ask) release() {
	a.waiting.Release()
	a.wish, a.due = wish{}, false
}

// fail tells all who wait that the store does not answer.
func (q *Quota) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.broken = time.Now().Add(brokenFor)
	for _, a := range q.asks {
		a.release()
	}
	if !q.failing {
		q.failing = true
		q.log.Error("budgets cannot be drawn from the store; what was drawn is spent", "reason", err)
	}
}

func (q *Quota) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	for _, a := range q.asks {
		a.release()
	}
}

// works notes that the store answers.
func (q *Quota) works(ctx context.Context) {
	if q.failing {
		q.failing = false
		q.log.InfoContext(ctx, "budgets are drawn from the store again")
	}
}
