package activator_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// refusing is a back end that refuses every launch and accepts every stop, so that only fresh lists say that nothing is there.
type refusing struct{}

func (refusing) Fence(context.Context, uint64) error { return nil }

func (refusing) Do(_ context.Context, act fleet.Act) error {
	if act.Kind == fleet.ActLaunch {
		return errors.New("no such image")
	}
	return nil
}

// slowSource needs a while for each list.
type slowSource struct {
	takes         time.Duration
	fails         bool // from the second watch on, at once
	watches, told atomic.Int64
}

func (s *slowSource) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	asked := time.Now()
	if s.watches.Add(1) > 1 && s.fails {
		return errors.New("connection refused")
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.takes):
	}
	s.told.Add(1)
	tell(fleet.Observation{Source: "nomad", Complete: true, At: asked, Nodes: []fleet.Node{{ID: "n", GPUs: 8}}})
	<-ctx.Done()
	return ctx.Err()
}

// watching runs a test with an activator that hears one slow source, and models whose starts are all refused.
func watching(t *testing.T, s *slowSource, test func(*activator.Activator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var models []*fleet.Model
		for k := range 200 {
			models = append(models, model(fmt.Sprint("m", k), 1))
		}
		a, err := activator.New(activator.Config{
			Backend: refusing{}, Observers: []activator.Observer{s}, Models: models, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Seed: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		time.Sleep(2 * time.Second)
		test(a)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestWatch_SlowSourceIsHeardEachTimeThoughAStartIsAskedEach600Milliseconds(t *testing.T) {
	s := &slowSource{takes: time.Second}
	watching(t, s, func(a *activator.Activator) {
		began, told := s.watches.Load(), s.told.Load()
		const starts = 100
		for k := range starts {
			if _, w, err := a.Acquire(activator.Ask{Model: fmt.Sprint("m", k), Org: "o"}); err != nil {
				t.Fatal(err)
			} else if w != nil {
				defer w.Leave()
			}
			time.Sleep(600 * time.Millisecond)
		}
		began, told = s.watches.Load()-began, s.told.Load()-told
		if began-told > 1 {
			t.Errorf("%d of %d lists that were asked for were never heard", began-told, began)
		}
		if least := int64(starts * 600 / 2500); told < least {
			t.Errorf("got %d lists in a minute, want at least %d: it was not asked again", told, least)
		}
	})
}

func TestWatch_SourceThatFailsWhenItIsAskedAgainIsLost(t *testing.T) {
	s := &slowSource{fails: true}
	watching(t, s, func(a *activator.Activator) {
		_, w, err := a.Acquire(activator.Ask{Model: "m0", Org: "o"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Leave()
		time.Sleep(10 * time.Second)
		if s.watches.Load() < 2 {
			t.Fatal("it was not asked again")
		}
		if got := a.Sources(); len(got) != 1 || got[0].Lost != "connection refused" {
			t.Errorf("got the sources %+v, want nomad lost", got)
		}
	})
}
