package main

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestDev_StaysWarm has one model alone on eight GPUs, after the minute in which a server that has just started lets nothing go.
func TestDev_StaysWarm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	t.Parallel()
	const model = "meta-llama/Meta-Llama-3.1-8B-Instruct"
	s := startDev(t, t.TempDir(), "--sim-speed", "20", "--sim-seed", "0", "--sim-load-time", "2s")
	s.mustChat(t, model, true)
	time.Sleep(time.Minute)
	if got := states(t, s.admin(t))[model]; got != string(fleet.Parked) {
		t.Errorf("after a minute without a request: %s is %s, want it parked, for idle_after is 30 s", model, got)
	}
	s.mustChat(t, model, true)
	for _, gap := range []time.Duration{3 * time.Second, 5 * time.Second, 4 * time.Second} {
		time.Sleep(gap)
		s.wantHot(t, model)
	}
	for range 10 {
		time.Sleep(500 * time.Millisecond)
		s.wantHot(t, model)
	}
}

// wantHot asks a model that must be hot.
func (s *devServer) wantHot(t *testing.T, model string) {
	t.Helper()
	if got := s.mustChat(t, model, true).header.Get("X-Pilotlight-Start"); got != "hot" {
		t.Errorf("got start %q, want hot", got)
	}
}
