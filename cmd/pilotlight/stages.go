package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// stage is one part of a server with a lifetime of its own.
type stage struct {
	name   string
	run    func(context.Context) error // blocks until its context is done and all that it started has ended
	before func()                      // called before the stage's context is cancelled; nil = nothing
}

var (
	errStopping = errors.New("the server is stopping")
	errHurry    = errors.New("stopped at once, without waiting for requests in flight")
)

// hurryGrace is how long stages get to end once there is no more time.
const hurryGrace = time.Second

// runStages runs all stages until ctx is done or one of them ends by itself, and then cancels them in order: each has
// ended before the next is told.
//
//	ctx done ──► stage 1 cancelled ──► ended ──► stage 2 cancelled ──► … ──► last ended
//
// Once hurry is closed, all are cancelled at once, and whatever has not ended after hurryGrace is left behind with errHurry:
// the process must then exit. That is as safe as being killed, which engines and ledger are made for.
func runStages(ctx context.Context, hurry <-chan struct{}, stages []stage) error {
	all, stopAll := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopAll(errStopping)
	g, failed := errgroup.WithContext(all)
	cancels := make([]context.CancelCauseFunc, len(stages))
	ended := make([]chan struct{}, len(stages))
	for i, s := range stages {
		own, cancel := context.WithCancelCause(all)
		cancels[i], ended[i] = cancel, make(chan struct{})
		g.Go(func() error {
			defer close(ended[i])
			return s.outcome(own, s.run(own))
		})
	}
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-failed.Done():
		}
		for i, s := range stages {
			if s.before != nil {
				s.before()
			}
			cancels[i](errStopping)
			<-ended[i]
		}
		return nil
	})
	return waitOrHurry(g.Wait, hurry, stopAll)
}

// waitOrHurry gives what wait returns, or errHurry soon after hurry is closed.
func waitOrHurry(wait func() error, hurry <-chan struct{}, stopAll context.CancelCauseFunc) error {
	var waiter sync.WaitGroup
	result := make(chan error, 1)
	waiter.Go(func() { result <- wait() })
	select {
	case err := <-result:
		waiter.Wait()
		return err
	case <-hurry:
		stopAll(errHurry)
	}
	late := time.NewTimer(hurryGrace)
	defer late.Stop()
	select {
	case <-result:
	case <-late.C:
	}
	return errHurry
}

// outcome tells an end that was asked for from one that was not.
func (s stage) outcome(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil && err == nil:
		return fmt.Errorf("%s has ended by itself", s.name)
	case cause == nil:
		return fmt.Errorf("running %s: %w", s.name, err)
	case err == nil, errors.Is(err, cause), errors.Is(err, context.Canceled):
		return nil
	}
	return fmt.Errorf("stopping %s: %w", s.name, err)
}
