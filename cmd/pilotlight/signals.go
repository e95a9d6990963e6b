package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

var errSignalled = errors.New("a signal asked the server to stop")

// serveUntilSignalled runs the server. The first signal drains it, which is success; the second ends it at once.
func serveUntilSignalled(env *Env, s *server) error {
	ballast := newBallast(env.Getenv)
	err := untilSignalled(env, func() string { return finishing }, s.run)
	runtime.KeepAlive(ballast)
	return s.closeAfter(err)
}

const finishing = "finishing requests in flight"

// closeAfter closes a server whose run has ended so.
func (s *server) closeAfter(err error) error {
	if errors.Is(err, errHurry) {
		return err // what was left behind still uses the store
	}
	return errors.Join(err, s.close())
}

// untilSignalled runs something. The first signal asks it to end in order, which is told as what it then does; the second hurries it.
func untilSignalled(env *Env, ending func() string, run func(ctx context.Context, hurry <-chan struct{}) error) error {
	ctx, cancel := context.WithCancelCause(env.ctx)
	defer cancel(nil)
	signals, unwatch := env.Signals()
	defer unwatch()
	ended, hurry := make(chan struct{}), make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case sig := <-signals:
			env.say("%s: %s; once more ends them", sig, ending())
			cancel(errSignalled)
		case <-ended:
			return
		}
		select {
		case <-signals:
			close(hurry)
		case <-ended:
		}
	})
	err := run(ctx, hurry)
	close(ended)
	watch.Wait()
	return err
}
