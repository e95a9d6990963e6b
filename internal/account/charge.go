package account

import (
	"sync/atomic"
	"time"
)

// stage is how far a request has come, as far as others' shares depend on it.
type stage uint8

const (
	closed stage = iota
	uploading
	waiting
	running
	stages
)

// Kind says whose bytes are held.
type Kind uint8

const (
	Request Kind = iota // what a caller has sent
	Answer              // what an engine has answered
	kinds
)

const (
	// small is the size up to which a charge is never reclaimed, so that most requests take no lock.
	small = 16 << 10
	// large is the size from which a charge leaves room for smaller ones.
	large = 1 << 20
)

// Holder is a request that can be ended so that its memory is free.
type Holder interface {
	// Reclaim ends the request with an error for its caller. It is called once at most, from another request's goroutine, and
	// must neither block nor use the accounts.
	Reclaim()
}

// Charge is what one request has in use. The zero value is closed. All methods are its request's to call, one at a time.
type Charge struct {
	all    *Accounts
	token  *Token
	holder Holder
	stage  stage
	held   [kinds]int64
	sum    atomic.Int64 // of held

	standing Standing
	open     bool  // it counts among the requests at once
	timed    bool  // and for how long
	since    int64 // when it was admitted, in microseconds

	run   run  // on its organisation's meter
	known bool // it was listed once

	// Guarded by the organisation's mu.
	listed     bool
	reclaimed  int64 // what it held when it was ended for its memory
	prev, next *Charge
}

// Admit opens the charge of a request that has shown its token, or says which limit is in its way: a *LimitError. What it holds later may be reclaimed
// through holder until it runs; nil = never. It holds a lock for some dozens of nanoseconds where there are limits, and none where there are none.
func (a *Accounts) Admit(c *Charge, claim *Claim, holder Holder) error {
	t := a.token(claim.Org, claim.Token)
	standing, err := t.enter(claim, true)
	if err != nil && a.shared != nil {
		standing, err = a.shared.enter(t, claim, standing, err)
	}
	if err != nil {
		*c = Charge{standing: standing}
		return err
	}
	*c = Charge{all: a, token: t, holder: holder, standing: standing, open: true}
	if claim.OrgLimits.Concurrency > 0 || claim.TokenLimits.Concurrency > 0 {
		c.timed, c.since = true, a.micros(claim.At)
	}
	c.move(uploading)
	return nil
}

// Accounts of requests that are no organisation's. No organisation can have such a name.
const (
	Operator = "(operator)" // all of the admin API's
	Console  = "(console)"  // all of the console's at the public listener
)

// Open opens the charge of a request that is no organisation's: only what it holds of memory is counted, and nothing is reclaimed.
func (a *Accounts) Open(c *Charge, account string) {
	_ = a.Admit(c, &Claim{Org: account, Token: account}, nil) // there are no limits that could be in its way
}

// MayAdmit gives the error that Admit would give at this moment. It takes nothing.
func (a *Accounts) MayAdmit(claim *Claim) (Standing, error) {
	return a.token(claim.Org, claim.Token).enter(claim, false)
}

// Standing is how the request has left the limits of requests a minute when it was admitted, or refused.
func (c *Charge) Standing() Standing { return c.standing }

// Leave says that all that is to be done for the request is done, or never will be: it does not count among its organisation's requests at once any
// more. It comes before the answer's last part goes out, so that who has an answer may ask again. What the request holds stays charged. It may be
// called again.
func (c *Charge) Leave() {
	if !c.open {
		return
	}
	c.open = false
	stayed := int64(0)
	if c.timed {
		stayed = max(c.all.micros(time.Time{})-c.since, 1)
	}
	c.token.Org.gate.leave(stayed)
	c.token.gate.leave(stayed)
}

// Join says that the request is read and waits for an engine.
func (c *Charge) Join() { c.move(waiting) }

// Run says that an engine works on the request, which is not ended for its memory any more.
func (c *Charge) Run() {
	c.move(running)
	c.unlist()
}

// Settle closes the charge and gives back what it still holds. It may be called again.
func (c *Charge) Settle() {
	if c.token == nil {
		return
	}
	c.Leave()
	c.closeRun()
	c.Free(Request)
	c.Free(Answer)
	c.unlist()
	if c.reclaimed > 0 {
		c.all.memory.coming.Add(-c.reclaimed)
		c.all.memory.wake() // who has looked since the memory was given back took it for still to come
	}
	c.move(closed)
	c.all, c.token, c.holder = nil, nil, nil
}

func (c *Charge) move(to stage) {
	if c.token == nil {
		return
	}
	requests := &c.token.Org.requests
	if c.stage != closed {
		requests[c.stage].Add(-1)
	}
	if to != closed {
		requests[to].Add(1)
	}
	c.stage = to
}

// Take adds n bytes at once, or none of them and says why: ErrShare or ErrFull.
func (c *Charge) Take(kind Kind, n int64) error {
	if c.token == nil {
		return nil // nobody's: an operator's request
	}
	sum := c.sum.Add(n)
	if err := c.all.memory.take(c.token.Org, n, sum); err != nil {
		c.sum.Add(-n)
		return err
	}
	c.add(kind, n)
	if sum > small && !c.known {
		c.list()
	}
	return nil
}

// Force adds n bytes whatever others hold. It is for what is small, and held already.
func (c *Charge) Force(kind Kind, n int64) {
	if c.token == nil {
		return
	}
	c.all.memory.add(c.token.Org, n)
	c.sum.Add(n)
	c.add(kind, n)
}

// Await is Take that waits until there is room, for as long as patience and no longer than until stop gives something or is closed.
// Where all memory is taken by organisations above their share, some of it is reclaimed.
func (c *Charge) Await(kind Kind, n int64, patience time.Duration, stop <-chan struct{}) error {
	err := c.Take(kind, n)
	if err == nil {
		return nil
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		freed := c.all.memory.wait() // before the try: what is given back after it is not missed
		if err = c.Take(kind, n); err == nil {
			return nil
		}
		if err == ErrFull {
			c.all.reclaim(n, c.token.Org)
		}
		select {
		case <-freed:
			continue
		case <-stop:
		case <-over.C:
		}
		c.all.memory.refused(err)
		return err
	}
}

// Give gives n bytes back.
func (c *Charge) Give(kind Kind, n int64) {
	if c.token == nil || n == 0 {
		return
	}
	c.sum.Add(-n)
	c.add(kind, -n)
	c.all.memory.give(c.token.Org, n)
}

// Free gives back all bytes of a kind.
func (c *Charge) Free(kind Kind) { c.Give(kind, c.held[kind]) }

// Held is the number of bytes of a kind that the request holds.
func (c *Charge) Held(kind Kind) int64 { return c.held[kind] }

func (c *Charge) add(kind Kind, n int64) {
	c.held[kind] += n
	if kind == Answer {
		c.all.memory.answers.Add(n)
	}
}
