package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

const (
	untilWoken  = time.Hour   // a held webhook waits for a Resume, whose note wakes it
	pollEvery   = time.Second // for new records and notices, where there were none
	batchSize   = 250         // events of a message: about 160 KB, less than receivers commonly take
	meterSize   = 100         // records that are read at once, where each is a message
	keepTimeout = 5 * time.Second

	// stripeMemory is how long Stripe knows an identifier again. What is older than that may be billed twice.
	stripeMemory = 24 * time.Hour
)

// endpoint sends one webhook's events, one message at a time.
//
//	          ┌───────────── taken, nothing left: wait ◄──┐
//	          ▼                                           │
//	sending ──┴─► failing ── back-off, again ── taken ────┘
//	   │             │
//	   └─────────────┴─► held ── an operator's Resume ──► sending
type endpoint struct {
	w       Webhook
	key     []byte // of signatures
	source  string
	records Records
	store   *store.Store
	client  *http.Client
	log     *slog.Logger
	meters  meters
	wake    chan struct{} // holds one when there was a Resume: then nothing is waited for

	changing sync.Mutex // one change of the state at a time, across its I/O

	mu       sync.Mutex
	state    state
	resumes  int  // that there were; a message that was on its way meanwhile moves nothing
	unkept   bool // the store does not have the state yet
	failures int  // in a row
	reason   string
	since    time.Time // it has been failing or held
	drained  string    // the ledger's end when there was nothing left to send; a Resume forgets it
}

// run sends until ctx is done.
func (e *endpoint) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := e.step(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step sends what is there, and gives for how long there is nothing to do.
func (e *endpoint) step(ctx context.Context) time.Duration {
	at, resumes := e.now()
	if e.isUnkept() {
		if err := e.change(ctx, resumes, func(*state) {}); err != nil {
			return e.fail(err)
		}
	}
	if at.held != "" {
		return untilWoken
	}
	messages, err := e.next(ctx, at, resumes)
	if held := Held(""); errors.As(err, &held) {
		e.hold(ctx, resumes, held)
		return untilWoken
	}
	if err != nil {
		return e.failUnless(ctx, err)
	}
	for _, m := range messages {
		if wait, more := e.send(ctx, resumes, m); !more {
			return wait
		}
	}
	if len(messages) > 0 {
		return 0
	}
	e.succeed(0) // what had failed was the store, and it does not any more
	return pollEvery
}

// send delivers a message, then moves behind it. more is false where nothing may follow before wait is over.
func (e *endpoint) send(ctx context.Context, resumes int, m message) (wait time.Duration, more bool) {
	if _, now := e.now(); now != resumes { // an operator has said to go on from elsewhere
		return 0, false
	}
	if len(m.ids) > 0 {
		err := e.deliver(ctx, m)
		if errors.Is(err, errGone) {
			e.hold(ctx, resumes, HeldGone)
			return untilWoken, false
		}
		if err != nil {
			return e.failUnless(ctx, err), false
		}
		e.succeed(len(m.ids))
	}
	kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	var err error
	if len(m.notices) > 0 {
		err = e.store.NoticesSent(kept, e.w.Name, m.notices)
	} else {
		err = e.change(kept, resumes, func(s *state) { s.cursor = m.cursor })
	}
	if err != nil {
		return e.fail(err), false
	}
	return 0, true
}

// next gives the messages that come next; none = there is nothing new. The error is a Held where an operator has to say how to go on.
func (e *endpoint) next(ctx context.Context, at state, resumes int) ([]message, error) {
	if e.w.Format == CloudEvents {
		pending, err := e.store.PendingNotices(ctx, e.w.Name, batchSize)
		if err != nil {
			return nil, err
		}
		if len(pending) > 0 {
			m, err := e.notices(pending)
			return []message{m}, err
		}
	}
	if !e.w.wants(EventUsage) {
		return nil, nil
	}
	end, err := e.records.End(ctx)
	if err != nil || e.isDrained(end) {
		return nil, err
	}
	limit := batchSize
	if e.w.Format == Stripe {
		limit = meterSize
	}
	page, err := e.records.Records(ctx, "", at.cursor, limit)
	var invalid *ledger.InvalidError
	switch {
	case errors.As(err, &invalid):
		return nil, HeldCursorLost
	case err != nil:
		return nil, err
	case len(page.Records) == 0:
		e.drain(resumes, end)
		return nil, nil
	}
	if e.w.Format == Stripe && e.tooOld(page.Records, at) {
		return nil, HeldTooOld
	}
	return e.usage(page.Records, page.Last)
}

// tooOld reports whether Stripe may have taken one of the records and forgotten it. What it has not forgotten has ended within its memory, for
// nothing is sent before its end.
func (e *endpoint) tooOld(records []ledger.Record, at state) bool {
	for i := range records {
		end := endOf(&records[i])
		if e.w.Customers[records[i].Org] != "" && time.Since(end) >= stripeMemory && !end.Before(at.asked) {
			return true
		}
	}
	return false
}

// Error makes a Held an error within next.
func (h Held) Error() string { return "it is held: " + string(h) }

// change changes the state and keeps it. What a message that was sent before a Resume would change is dropped. Where the store does
// not keep it, it holds all the same, and is kept later: whoever takes events has them.
func (e *endpoint) change(ctx context.Context, resumes int, f func(*state)) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	s, now := e.now()
	if now != resumes {
		return nil
	}
	f(&s)
	err := s.keep(ctx, e.store, e.w.Name, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state, e.unkept = s, err != nil
	return err
}

// resume sends again, from a cursor on; nil = where it stopped.
func (e *endpoint) resume(ctx context.Context, cursor *string) error {
	e.changing.Lock()
	defer e.changing.Unlock()
	s, _ := e.now()
	before := s.audited()
	s.held, s.asked = "", time.Now()
	if cursor != nil {
		s.cursor = *cursor
	}
	also := audit.Noting(ctx, audit.Change{Subject: "webhook/" + e.w.Name, Before: before, After: s.audited()})
	if err := s.keep(ctx, e.store, e.w.Name, also); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state, e.unkept, e.failures, e.reason, e.drained = s, false, 0, "", ""
	e.resumes++
	signal(e.wake)
	return nil
}

func (e *endpoint) now() (s state, resumes int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state, e.resumes
}

func (e *endpoint) isDrained(end string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drained != "" && e.drained == end
}

func (e *endpoint) drain(resumes int, end string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resumes == resumes {
		e.drained = end
	}
}

func (e *endpoint) isUnkept() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unkept
}

// signal leaves a note in c unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
