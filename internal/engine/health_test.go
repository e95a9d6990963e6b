package engine_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestWatchHealth_HangsAfterMissesInARow(t *testing.T) {
	var looks atomic.Int32
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if n := looks.Add(1); n != 1 && n != 4 { // it answers the first look, and the fourth
			<-r.Context().Done()
		}
	})
	rule := engine.HealthRule{Every: 10 * time.Millisecond, Within: 100 * time.Millisecond, Misses: 3}
	var told []bool
	err := engine.WatchHealth(within(t, 10*time.Second), fleet.EngineTRTLLM, addr, rule, func(answers bool) { told = append(told, answers) })
	if want := []bool{true, false, false, true, false, false, false}; !errors.Is(err, engine.ErrHangs) || !slices.Equal(told, want) {
		t.Errorf("got %v, %v; want %v, and that it hangs", told, err, want)
	}
}

func TestWatchHealth_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	rule := engine.HealthRule{Every: time.Millisecond, Misses: 1}
	err := engine.WatchHealth(ctx, fleet.EngineTRTLLM, addr, rule, func(answers bool) { t.Errorf("told %v of a look that was cut short", answers) })
	if err != nil {
		t.Errorf("got %v, want nil", err)
	}
}
