package whatif_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// past is a ledger of arrivals, each of which held an engine for a second.
type past struct {
	arrivals []ledger.Arrival
	hold     chan struct{} // until it is closed, nobody is answered; nil = everybody is
}

func (p *past) Arrivals(ctx context.Context, from, to time.Time, f func(ledger.Arrival)) error {
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, a := range p.arrivals {
		if !a.At.Before(from) && a.At.Before(to) {
			f(a)
		}
	}
	return nil
}

// ago gives arrivals of a model so long before now, in any order.
func ago(model string, before ...time.Duration) *past {
	p := &past{}
	for _, d := range before {
		p.arrivals = append(p.arrivals, ledger.Arrival{Model: []byte(model), At: now.Add(-d), Waited: 20 * time.Second, Took: time.Second})
	}
	return p
}

func newSimulator(t *testing.T, p whatif.Ledger, change ...func(*whatif.Config)) *whatif.Simulator {
	t.Helper()
	c := whatif.Config{
		Ledger: p, Now: func() time.Time { return now }, Price: func() fleet.NanoUSD { return 8_250_000_000 },
		Moves: func(context.Context) ([]fleet.Learned, error) {
			return []fleet.Learned{{Model: "m", From: fleet.Cold, Durations: []time.Duration{20 * time.Second}}}, nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	s, err := whatif.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// setting is a pool of slots of two GPUs, which are given back after so long.
func setting(slotIdle time.Duration) whatif.Setting {
	return whatif.Setting{
		Pool: fleet.Pool{Name: "p", GPUsPerSlot: 2, MaxParkedPerGPU: 2, SlotIdle: slotIdle, Slots: fleet.Range{Max: 2}}, GPUs: 2,
		Models: []*fleet.Model{{
			ID: "m", GPUs: 1, Pool: "p", MaxConcurrency: 4, IdleAfter: 10 * time.Second, Instances: fleet.Range{Max: 2}, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM},
		}},
		Policy: func() activator.Policy { return autoscaler.NewFixed(autoscaler.FixedConfig{Park: true}) },
	}
}

func question(now, then time.Duration) *whatif.Question {
	return &whatif.Question{Now: setting(now), Then: setting(then), Changes: []whatif.Change{{Key: "slot_idle", Now: fleet.FormatDuration(now), Then: fleet.FormatDuration(then)}}}
}

func ask(t *testing.T, s *whatif.Simulator, q *whatif.Question) *whatif.Answer {
	t.Helper()
	a, err := s.Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Two requests an hour apart: a slot that is kept for a minute has to be had twice, and one that is kept for two hours holds its GPUs between them.
func TestAsk_BothSidesAreWorkedOut(t *testing.T) {
	a := ask(t, newSimulator(t, ago("m", 2*time.Hour, 3*time.Hour)), question(time.Minute, 2*time.Hour))
	if a.Requests != 2 || !a.From.Equal(now.Add(-3*time.Hour)) || !a.To.Equal(now) || a.WaitedP99 != 20e6 || !a.Simulated {
		t.Errorf("got %+v, want what was recorded, from its first request on", a)
	}
	// Each time: 20 s to start, 1 s of service, 10 s idle, 3 s to park, which was never measured, and a minute until the slot is given back.
	const each = 20 + 1 + 10 + 3
	want := whatif.Outcome{
		SlotGPUUS: 2 * 2 * (each + 60) * 1e6, AwakeGPUUS: 2 * each * 1e6, BusyGPUUS: 2e6, WaitP50: 30e6, WaitP99: 30e6, ColdStarts: 2, Slots: 2,
		Cost: ledger.Cost(2*2*(each+60)*time.Second, 1, 8_250_000_000), Awake: ledger.Cost(2*each*time.Second, 1, 8_250_000_000),
	}
	alike(t, "now", a.Now, want)
	// The second wakes in 3 s, and the slot is there until two hours after it was parked for the second time: longer than until now.
	const second = 3 + 1 + 10 + 3
	held := 2 * (3*time.Hour - 10*time.Second)
	want = whatif.Outcome{
		SlotGPUUS: held.Microseconds(), AwakeGPUUS: (each + second) * 1e6, BusyGPUUS: 2e6, WaitP50: 30e6, WaitP99: 30e6, ColdStarts: 1, Resumes: 1, Slots: 1,
		Cost: ledger.Cost(held, 1, 8_250_000_000), Awake: ledger.Cost((each+second)*time.Second, 1, 8_250_000_000),
	}
	alike(t, "then", a.Then, want)
	said := strings.Join(a.Difference, " ")
	for _, want := range []string{"It would cost $48.59 more", "slots would hold GPUs for 5.99 GPU-hours instead of 0.10 GPU-hours", "1 cold start instead of 2", "1 resume instead of 0"} {
		if !strings.Contains(said, want) {
			t.Errorf("got %q, want %q in it", said, want)
		}
	}
	for _, want := range []string{"both begin with nothing parked", "resumes of 1 of 1 models were never measured, and take 3s", "10s after it was asked for"} {
		if said := strings.Join(a.Assumptions, " "); !strings.Contains(said, want) {
			t.Errorf("got assumptions %q, want %q in them", said, want)
		}
	}
}

// alike compares outcomes; waits are of a histogram whose bins are half a per cent wide.
func alike(t *testing.T, what string, got, want whatif.Outcome) {
	t.Helper()
	for _, p := range []struct{ got, want *int64 }{{&got.WaitP50, &want.WaitP50}, {&got.WaitP99, &want.WaitP99}} {
		if d := *p.got - *p.want; d > *p.want/100 || d < -*p.want/100 {
			t.Errorf("%s: got a wait of %d us, want %d", what, *p.got, *p.want)
		}
		*p.got = *p.want
	}
	if got != want {
		t.Errorf("%s: got\n%+v, want\n%+v", what, got, want)
	}
}

// What came the day before is lived through, and not counted.
func TestAsk_TheDayBeforeIsWarmUp(t *testing.T) {
	a := ask(t, newSimulator(t, ago("m", time.Hour, 30*time.Hour)), question(15*time.Minute, 90*24*time.Hour))
	if a.Requests != 1 || !a.From.Equal(now.Add(-24*time.Hour)) || a.Now.ColdStarts != 1 || a.Then.ColdStarts != 0 || a.Then.Resumes != 1 {
		t.Errorf("got %+v, want one request, which finds its model parked where the slot is kept", a)
	}
	if got, want := a.Then.SlotGPUUS, int64(2*24*3600*1e6); got != want {
		t.Errorf("got %d GPU-microseconds of slots, want the whole day, %d", got, want)
	}
}

// Of more requests than are simulated at once the latest are, and the answer says so.
func TestAsk_TooManyAreCutToTheLatest(t *testing.T) {
	p := &past{}
	for i := range 1000 { // out of order
		p.arrivals = append(p.arrivals, ago("m", time.Duration(i*7%1000+1)*time.Minute).arrivals...)
	}
	a := ask(t, newSimulator(t, p, func(c *whatif.Config) { c.Most = 100 }), question(time.Minute, time.Hour))
	if a.Requests != 100 || !a.From.Equal(now.Add(-100*time.Minute)) || !strings.Contains(strings.Join(a.Assumptions, " "), "only the latest 100 are") {
		t.Errorf("got %d requests from %s on, assumptions %q; want the latest 100", a.Requests, a.From, a.Assumptions)
	}
}

func TestAsk_NothingRecorded(t *testing.T) {
	for name, p := range map[string]*past{"nothing": ago("m"), "of others": ago("other", time.Hour), "long ago": ago("m", 30*time.Hour)} {
		if _, err := newSimulator(t, p).Ask(t.Context(), question(time.Minute, time.Hour)); !errors.Is(err, whatif.ErrNothing) {
			t.Errorf("%s: got %v, want that there is nothing", name, err)
		}
	}
}

// One is worked on, some wait, and the others are refused; who leaves makes room.
func TestAsk_OneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ago("m", time.Hour)
		p.hold = make(chan struct{})
		s := newSimulator(t, p, func(c *whatif.Config) { c.Queue = 2 })
		left := errors.New("left")
		ctx, leave := context.WithCancelCause(t.Context())
		var asked sync.WaitGroup
		ended := make(chan error, 3)
		for i := range 3 {
			of := t.Context()
			if i == 1 {
				of = ctx
			}
			asked.Go(func() {
				_, err := s.Ask(of, question(time.Minute, time.Hour))
				ended <- err
			})
			synctest.Wait()
		}
		if _, err := s.Ask(t.Context(), question(time.Minute, time.Hour)); !errors.Is(err, whatif.ErrBusy) {
			t.Errorf("got %v, want that it is busy", err)
		}
		leave(left)
		if err := <-ended; !errors.Is(err, left) {
			t.Errorf("who left while waiting got %v", err)
		}
		close(p.hold)
		asked.Wait()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("got %v, want an answer", err)
			}
		}
		if _, err := s.Ask(t.Context(), question(time.Minute, time.Hour)); err != nil {
			t.Errorf("after all were answered: %v", err)
		}
	})
}

func TestAsk_HasALimitOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ago("m", time.Hour)
		p.hold = make(chan struct{})
		began := time.Now()
		_, err := newSimulator(t, p, func(c *whatif.Config) { c.Limit = 5 * time.Second }).Ask(t.Context(), question(time.Minute, time.Hour))
		if took := time.Since(began); !errors.Is(err, whatif.ErrTooLong) || took != 5*time.Second {
			t.Errorf("got %v after %s, want that it took too long, after 5 s", err, took)
		}
	})
}
