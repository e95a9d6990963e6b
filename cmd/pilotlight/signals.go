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
	ctx, cancel := context.WithCancelCause(env.ctx)
	signals, unwatch := env.Signals()
	ended, hurry := make(chan struct{}), make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case sig := <-signals:
			env.say("%s: finishing requests in flight; once more ends them", sig)
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
	ballast := newBallast(env.Getenv)
	err := s.run(ctx, hurry)
	runtime.KeepAlive(ballast)
	close(ended)
	watch.Wait()
	unwatch()
	cancel(nil)
	if errors.Is(err, errHurry) {
		return err // what was left behind still uses the store
	}
	return errors.Join(err, s.close())
}
