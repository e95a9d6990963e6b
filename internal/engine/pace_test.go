package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

// looks gives the moments, from its start, at which an engine is looked at that writes as write does.
func looks(t *testing.T, during time.Duration, write func(output chan<- struct{})) (at []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	output := make(chan struct{}, 1)
	began := time.Now()
	next := engine.NewPace(output)
	written := make(chan struct{})
	go func() {
		defer close(written)
		write(output)
	}()
	for next(ctx) == nil {
		at = append(at, time.Since(began))
	}
	<-written
	return at
}

// lines writes n of them, so far apart, as a log does that nobody waits for.
func lines(output chan<- struct{}, n int, apart time.Duration) {
	for range n {
		time.Sleep(apart)
		select {
		case output <- struct{}{}:
		default:
		}
	}
}

// nextAfter gives how long after a moment the next look comes.
func nextAfter(t *testing.T, at []time.Duration, moment time.Duration) time.Duration {
	t.Helper()
	for _, look := range at {
		if look >= moment {
			return look - moment
		}
	}
	t.Fatalf("no look after %v", moment)
	return 0
}

// The pause is held against the wait so far, beside which it is to be small, and against what looking costs.
func TestPace_AddsLittleToAStart(t *testing.T) {
	for _, c := range []struct{ waited, want time.Duration }{
		{0, time.Millisecond},
		{10 * time.Millisecond, time.Millisecond},
		{128 * time.Millisecond, 4 * time.Millisecond},
		{2 * time.Second, 62500 * time.Microsecond},
		{time.Minute, 100 * time.Millisecond},
	} {
		if got := engine.PauseAfter(c.waited); got != c.want {
			t.Errorf("after %v: got a pause of %v, want %v", c.waited, got, c.want)
		}
	}
}

func TestPace_LooksAtOnceWhenTheEngineWrites(t *testing.T) {
	for _, loaded := range []time.Duration{100 * time.Millisecond, 10 * time.Second, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			at := looks(t, loaded+time.Second, func(output chan<- struct{}) { lines(output, 1, loaded) })
			if late := nextAfter(t, at, loaded); late > time.Millisecond {
				t.Errorf("written after %v, and looked at %v later, want 1 ms at most", loaded, late)
			}
			// One that writes its line and then begins to listen.
			if late := nextAfter(t, at, loaded+3*time.Millisecond); late > 4*time.Millisecond {
				t.Errorf("listens 3 ms after its line, and is looked at %v later, want 4 ms at most", late)
			}
		})
	}
}

// Ten looks a second are what 5 ms of CPU a second allow with room to spare, and twenty where the engine writes all the time.
func TestPace_IsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		write  func(chan<- struct{})
		second int // looks in it
	}{
		"silent":         {func(chan<- struct{}) {}, 10},
		"a progress bar": {func(o chan<- struct{}) { lines(o, 600, 100*time.Millisecond) }, 20},
		"a chatterbox":   {func(o chan<- struct{}) { lines(o, 60_000, time.Millisecond) }, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := looks(t, time.Minute, c.write)
				if most := 60*c.second + 250; len(at) > most { // the young start's, and a burst
					t.Errorf("got %d looks in a minute, want at most %d", len(at), most)
				}
				last := time.Duration(0)
				for _, look := range at {
					if look-last > 101*time.Millisecond {
						t.Errorf("not looked at from %v to %v", last, look)
					}
					last = look
				}
			})
		})
	}
}

// The lines of a start come in a burst, and its last one counts.
func TestPace_SeesTheLastOfABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const loaded = 30 * time.Second
		at := looks(t, loaded+time.Second, func(output chan<- struct{}) {
			time.Sleep(loaded - 10*time.Millisecond)
			lines(output, 10, time.Millisecond)
		})
		if late := nextAfter(t, at, loaded); late > 2*time.Millisecond {
			t.Errorf("looked at %v after the last line, want 2 ms at most", late)
		}
	})
}

func TestPace_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("stopped")
	cancel(cause)
	if err := engine.NewPace(nil)(ctx); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}
