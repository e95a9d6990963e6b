package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Sender sends one request and fills in what became of it. Intended and Model are set. It is called by many goroutines at once. When
// ctx is done it returns soon, with Interrupted as the failure.
type Sender interface {
	Send(ctx context.Context, r *Request, s *Sample)
}

// Config says how a run is driven.
type Config struct {
	Plan   Plan
	Sender Sender

	// Closed: so many requests are always under way (AtOnce), each meant to be sent when the one before it has ended. Else each is meant to be
	// sent at its own time, however many are under way then.
	Closed bool
	AtOnce int           // requests under way at most; 0 = no bound, and not in a closed loop. In an open one, what waits for it counts as latency
	For    time.Duration // nothing is sent later than this; 0 = until the plan ends
	Warmup int           // of the first requests nothing is kept; a closed loop of n needs at least n

	// Stop: when it is closed nothing more is sent, and what is under way is waited for. nil = never.
	Stop <-chan struct{}
	// Keep is told of each sample that counts, and must not keep it; it is called by many goroutines at once.
	Keep func(*Sample)
}

func (c *Config) check() error {
	switch {
	case c.Plan == nil || c.Sender == nil || c.Keep == nil:
		return errors.New("a run needs a plan, a sender, and somebody who keeps what it came to")
	case c.Closed && c.AtOnce < 1:
		return fmt.Errorf("a closed loop of %d requests at once; write a number of 1 or more", c.AtOnce)
	}
	return nil
}

// Run sends what the plan says, and returns when all of it has ended. A ctx that is done cuts off what is under way; that is no error.
func Run(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	r := &running{Config: c, start: time.Now()}
	if c.Closed {
		return r.closed(ctx)
	}
	if c.AtOnce > 0 {
		r.places = make(chan struct{}, c.AtOnce)
	}
	err := r.open(ctx)
	r.underWay.Wait()
	return err
}

// running is a run that goes on.
type running struct {
	Config
	start    time.Time
	places   chan struct{} // one element a request under way; nil = no bound
	underWay sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the plan
	planned int
	failed  error
}

// next plans a request; false = there are no more.
func (r *running) next() (*Request, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, false
	}
	q := &Request{Number: r.planned}
	if r.failed = r.Plan(q); r.failed != nil {
		return nil, false
	}
	r.planned++
	return q, true
}

// end gives why there are no more.
func (r *running) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.failed, io.EOF) {
		return nil
	}
	return r.failed
}

// closed has as many workers as requests are to be under way.
func (r *running) closed(ctx context.Context) error {
	for range r.AtOnce {
		r.underWay.Go(func() {
			for r.goesOn(ctx) && (r.For == 0 || time.Since(r.start) < r.For) {
				q, more := r.next()
				if !more {
					return
				}
				r.exchange(ctx, q, &Sample{Model: q.Model, Intended: time.Now()})
			}
		})
	}
	r.underWay.Wait()
	return r.end()
}

// open begins one request after the other, each at its time and in a goroutine of its own.
func (r *running) open(ctx context.Context) error {
	for {
		q, more := r.next()
		if !more {
			return r.end()
		}
		if r.For > 0 && q.At >= r.For || !r.until(ctx, r.start.Add(q.At)) || !r.place(ctx) {
			return nil
		}
		r.underWay.Go(func() {
			r.exchange(ctx, q, &Sample{Model: q.Model, Intended: r.start.Add(q.At)})
			if r.places != nil {
				<-r.places
			}
		})
	}
}

func (r *running) exchange(ctx context.Context, q *Request, s *Sample) {
	r.Sender.Send(ctx, q, s)
	if q.Number >= r.Warmup {
		r.Keep(s)
	}
}

// until waits for a moment. It is false when nothing more is to be sent.
func (r *running) until(ctx context.Context, at time.Time) bool {
	if wait := time.Until(at); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-r.Stop:
		}
	}
	return r.goesOn(ctx)
}

func (r *running) goesOn(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-r.Stop:
		return false
	default:
		return true
	}
}

// place waits until one more request may be under way. It is false when nothing more is to be sent.
func (r *running) place(ctx context.Context) bool {
	if r.places == nil {
		return true
	}
	select {
	case r.places <- struct{}{}:
		return r.goesOn(ctx)
	case <-ctx.Done():
	case <-r.Stop:
	}
	return false
}
