package joined_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// What a lock in Consul promises, and how often servers look at it: see internal/consul.
const (
	sessionTTL = 3 * time.Second
	lockDelay  = time.Second
	lookEvery  = 250 * time.Millisecond
	lookWithin = time.Second
)

// lock says who leads. Its holder is lost that has not renewed its session in time; then nobody has it for the lock delay.
type lock struct {
	faultsim.Ways

	mu      sync.Mutex // guards what follows
	holder  *contender // nil = nobody has it
	renewed time.Time
	free    time.Time // nobody gets it before
	term    uint64    // the largest that was claimed
	by      *contender
	left    []byte // by who gave it up last, for the next; nil = nothing
}

// seen is what a look at the lock finds.
type seen struct {
	ours bool
	at   *life  // who has it; nil = nobody
	term uint64 // the largest that was claimed
	by   *contender
}

// look gives how the lock stands, and renews who has it, or has a contender get it.
func (l *lock) look(c *contender) seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.holder != nil && now.Sub(l.renewed) > sessionTTL {
		l.holder, l.free = nil, now.Add(lockDelay)
	}
	if l.holder == nil && c != nil && !now.Before(l.free) {
		l.holder = c
		c.find(l.left)
		l.left = nil
	}
	if c != nil && l.holder == c {
		l.renewed = now
	}
	s := seen{ours: c != nil && l.holder == c, term: l.term, by: l.by}
	if l.holder != nil {
		s.at = l.holder.of
	}
	return s
}

// claim writes a term into the lock.
func (l *lock) claim(c *contender, term uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder != c {
		return false
	}
	l.term, l.by = term, c
	return true
}

func (l *lock) leave(c *contender) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder == c {
		l.holder, l.left = nil, c.note()
	}
}

// stage is how a contender stands to the lock.
type stage string

const (
	waits   stage = "waiting"
	holds   stage = "holding"
	unsure  stage = "unsure"
	retired stage = "taken"
)

// contender is one try of a server for the lock.
type contender struct {
	of *life

	mu        sync.Mutex // guards what follows
	stage     stage
	confirmed time.Time
	claimed   uint64        // 0 = none yet
	seen      uint64        // the largest term
	looked    chan struct{} // closed after each look
	found     []byte        // what was left for it
	leaves    []byte        // what it leaves
}

func (l *life) newContender() *contender {
	return &contender{of: l, stage: waits, looked: make(chan struct{})}
}

// find notes what was left for it.
func (c *contender) find(left []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = left
}

// note gives what it leaves to the next: where it has not led, what it has found.
func (c *contender) note() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.claimed == 0 {
		return c.found
	}
	return c.leaves
}

// former gives what the leader before has left; nil = nothing.
func (c *contender) former() *protocol.Handover {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, err := protocol.DecodeHandover(c.found); err == nil {
		c.of.w.Count("a leader found what the one before had left")
		return h
	}
	return nil
}

// hand leaves something to the next leader, when the lock is given up.
func (c *contender) hand(h *protocol.Handover) error {
	text, err := h.Encode(1 << 20)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaves = text
	return err
}

// run looks at the lock until ctx is done; then it gives it up.
func (c *contender) run(ctx context.Context) {
	lock := c.of.w.lock
	for ctx.Err() == nil {
		asked := time.Now()
		got, err := c.of.ask(ctx, "contend", func() seen { return lock.look(c) })
		c.conclude(asked, got, err)
		c.of.sleep(ctx, lookEvery)
	}
	if leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookWithin); c.of.lockWay.Pause(leaving, "leave") == nil {
		cancel()
		lock.leave(c)
	} else {
		cancel()
	}
}

// ask asks the lock something.
func (l *life) ask(ctx context.Context, name string, what func() seen) (s seen, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if err := l.lockWay.Pause(ctx, name); err != nil {
		return seen{}, err
	}
	s = what()
	return s, l.lockWay.Pause(ctx, name)
}

func (c *contender) conclude(asked time.Time, got seen, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.seen = max(c.seen, got.term)
		switch {
		case c.stage == retired:
		case c.claimed > 0 && (got.term > c.claimed || !got.ours && got.at != nil):
			c.stage = retired
		case got.ours:
			c.stage, c.confirmed = holds, asked
		}
	}
	if c.stage == holds && time.Since(c.confirmed) >= lockDelay {
		if c.stage = unsure; c.claimed == 0 {
			c.stage = waits
		}
	}
	close(c.looked)
	c.looked = make(chan struct{})
}

func (c *contender) standing() (stage, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stage, c.looked
}

// await waits until the lock is ours.
func (c *contender) await(ctx context.Context) bool {
	for {
		s, looked := c.standing()
		if s == holds {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-looked:
		}
	}
}

// confirm waits until it is certain that nobody else has the lock.
func (c *contender) confirm(ctx context.Context) error {
	for {
		c.mu.Lock()
		s, fresh, looked := c.stage, time.Since(c.confirmed) < lockDelay, c.looked
		c.mu.Unlock()
		switch {
		case s == retired:
			return fleet.ErrFenced
		case s == holds && fresh:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-looked:
		}
	}
}

var errNotOurs = errors.New("the lock is not ours any more")

// begin takes a term, claims it and has the back end refuse older ones.
func (c *contender) begin(ctx context.Context) (term uint64, fenced bool, err error) {
	c.mu.Lock()
	above := c.seen
	c.mu.Unlock()
	if term, err = c.of.store.NextTerm(ctx, time.Now(), above); err != nil {
		return 0, false, err
	}
	got, err := c.of.ask(ctx, "claim", func() seen { return seen{ours: c.of.w.lock.claim(c, term)} })
	if err != nil || !got.ours {
		return 0, false, fmt.Errorf("%w: %w", errNotOurs, err)
	}
	c.mu.Lock()
	c.claimed = term
	c.mu.Unlock()
	fencing, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	switch err := c.of.backend().Fence(fencing, term); {
	case err == nil:
		return term, true, nil
	case errors.Is(err, fleet.ErrFenced):
		return 0, false, err
	}
	return term, false, nil
}
