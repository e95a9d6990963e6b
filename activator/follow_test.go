package activator_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

type noBackend struct{}

func (noBackend) Do(context.Context, fleet.Act) error { return nil }

func (noBackend) Fence(context.Context, uint64) error { return nil }

// TestFollow_ASlowReaderIsBounded announces more than is remembered while whoever follows is busy with the first. It costs nobody anything, and what was
// forgotten meanwhile shows in the IDs, which count by one.
func TestFollow_ASlowReaderIsBounded(t *testing.T) {
	a, err := activator.New(activator.Config{Backend: noBackend{}, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{})})
	if err != nil {
		t.Fatal(err)
	}
	const announced, kept = 5000, 1024
	a.Announce(fleet.Notice{Reason: "first"})
	busy, free, enough := make(chan struct{}), make(chan struct{}), errors.New("enough")
	var ids []uint64
	ended := make(chan error, 1)
	go func() {
		ended <- a.Follow(t.Context(), 0, func(n fleet.Notice) error {
			if ids = append(ids, n.ID); len(ids) == 1 {
				close(busy)
				<-free
			}
			if n.ID == announced {
				return enough
			}
			return nil
		})
	}()
	<-busy
	for range announced - 1 {
		a.Announce(fleet.Notice{Reason: "later"}) // never waits for who follows
	}
	close(free)
	if err := <-ended; err != enough {
		t.Fatal(err)
	}
	if len(ids) != 1+kept || ids[0] != 1 || ids[1] != announced-kept+1 || ids[kept] != announced {
		t.Errorf("got %d notices, the second %d and the last %d; want the first and the last %d", len(ids), ids[1], ids[len(ids)-1], kept)
	}
	if err := a.Follow(canceled(), math.MaxUint64, func(fleet.Notice) error { return enough }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want nothing new", err)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
