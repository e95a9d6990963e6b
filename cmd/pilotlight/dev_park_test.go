package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// activated is how long the activation of an answer took.
func (a *answer) activated(t *testing.T) time.Duration {
	t.Helper()
	_, after, _ := strings.Cut(a.header.Get("Server-Timing"), "activate;dur=")
	text, _, _ := strings.Cut(after, ",")
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("no activation in Server-Timing %q", a.header.Get("Server-Timing"))
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// TestDev_SwapsParkedModels has the eight models of the catalogue share 8 GPUs. The two that take all of them go in turn.
func TestDev_SwapsParkedModels(t *testing.T) {
	const speed = 50
	s := startDev(t, t.TempDir(), "--sim-speed", fmt.Sprint(speed), "--sim-seed", "0", "--sim-load-time", "2s")
	for _, m := range config.Catalogue() {
		s.mustChat(t, m.ID, true)
	}
	// Park of the one and wake of the other, by the simulator's table: 3.8 and 3.6 s, 5.2 and 5.0 s.
	const (
		own  = 8800 * time.Millisecond / speed
		most = 20 * time.Millisecond // more
	)
	var more []time.Duration
	swaps := 0
	for ; swaps < 6 || slices.Min(more) > most && swaps < 40; swaps++ { // the machine may be busy
		model := []string{"mistralai/Mixtral-8x22B-Instruct-v0.1", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"}[swaps%2]
		a := s.mustChat(t, model, true)
		if got := a.header.Get("X-Pilotlight-Start"); got != "parked" {
			t.Errorf("%s: got start %q, want parked", model, got)
		}
		if swaps > 0 { // the first one parks the other for the first time, which takes longer
			more = append(more, a.activated(t)-own)
		}
	}
	t.Logf("swaps took %v more than park and wake", more)
	if best := slices.Min(more); best > most {
		t.Errorf("swaps took %v more than park and wake, want %v at most", best, most)
	}
	s.wantMovesTold(t, len(config.Catalogue()), swaps)
}

// wantMovesTold reads what operators are told of so many starts, and of resumes each of which took all GPUs from another that was parked.
func (s *devServer) wantMovesTold(t *testing.T, starts, resumes int) {
	t.Helper()
	client := s.admin(t)
	seen := map[fleet.State]int{} // entered -> times
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := client.Events(ctx, "", func(e admin.Event) error {
		if e.From == e.To {
			return nil // a phase
		}
		seen[e.To]++
		if free := e.To == fleet.Draining; e.Reason == "" || e.GPUUS == 0 && !free {
			t.Errorf("%s from %q to %q: got reason %q and %d us of GPUs, want both", e.Model, e.From, e.To, e.Reason, e.GPUUS)
		}
		if waits := e.To == fleet.Starting || e.To == fleet.Resuming || e.To == fleet.Ready; waits != (e.WaitedUS > 0) {
			t.Errorf("%s from %q to %q: got %d us of waiting for one request", e.Model, e.From, e.To, e.WaitedUS)
		}
		if seen[fleet.Ready] == starts+resumes {
			return io.EOF
		}
		return nil
	})
	if !errors.Is(err, io.EOF) || seen[fleet.Starting] != starts || seen[fleet.Resuming] != resumes || seen[fleet.Stopping] != 0 {
		t.Errorf("got events %v, %v, want %d starts, %d resumes and no stop", seen, err, starts, resumes)
	}
	activations, err := client.Activations(t.Context())
	if err != nil || len(activations) != starts+resumes {
		t.Fatalf("got %d activations, %v, want %d", len(activations), err, starts+resumes)
	}
	if a := activations[0]; a.From != fleet.Parked || a.GPUUS == 0 || a.WaitedUS == 0 || a.Reason == "" { // newest first
		t.Errorf("got %+v, want it from parked, with its reason and cost", a)
	}
	eventually(t, 30*time.Second, func() string { // a record may come half a second late
		records, err := client.Records(t.Context(), "", "", 0)
		if err != nil || len(records.Records) != starts+resumes || records.Records[starts+resumes-1].Start != fleet.Parked { // oldest first
			return fmt.Sprintf("got records %+v, %v, want the last to have been answered from parked", records, err)
		}
		return ""
	})
	var text strings.Builder
	if err := client.Metrics(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		fmt.Sprintf(`pilotlight_activation_seconds_count{model="meta-llama/Meta-Llama-3.1-405B-Instruct-FP8",from="parked"} %d`, resumes/2),
		fmt.Sprintf(`pilotlight_ttft_seconds_count{model="meta-llama/Meta-Llama-3.1-405B-Instruct-FP8",start="parked"} %d`, resumes/2),
		`pilotlight_instances{model="mistralai/Mistral-7B-Instruct-v0.3",state="parked"} 1`,
		`pilotlight_gpus{pool="local",state="free"} 0`,
	} {
		if !strings.Contains(text.String(), line+"\n") {
			t.Errorf("no %q in\n%s", line, text.String())
		}
	}
}
