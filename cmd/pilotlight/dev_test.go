package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestDev_EightModelsMakeRoomForEachOtherAndGoToZero(t *testing.T) {
	notQuick(t)
	const idleAfter = 2 * time.Second
	s := startDev(t, t.TempDir(), "--sim-speed", "500", "--config", writeConfig(t, catalogueIdleAfter(idleAfter)))
	client := s.admin(t)
	askAllFromCold(t, s)
	eventually(t, idleAfter+30*time.Second, func() string {
		parked := 0
		for id, state := range states(t, client) {
			switch state {
			case string(fleet.Parked):
				parked++
			case string(fleet.Cold):
			default:
				return id + " is " + state
			}
		}
		if parked == 0 {
			return "no model is parked"
		}
		if engines := children(s.cmd.Process.Pid); len(engines) != parked {
			return fmt.Sprintf("%d models are parked, and engines %v run", parked, engines)
		}
		return gpusInUse(t, client)
	})
	for _, m := range config.Catalogue() {
		if _, err := client.StopModel(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, func() string { return allGone(t, s, client) })
}

func TestDev_WithoutParkingEnginesAreGoneAfterIdleAfter(t *testing.T) {
	notQuick(t)
	const idleAfter = 2 * time.Second
	file := writeConfig(t, "pool \"local\" {\n  max_parked_per_gpu = 0\n}\n"+catalogueIdleAfter(idleAfter))
	s := startDev(t, t.TempDir(), "--sim-speed", "500", "--config", file)
	client := s.admin(t)
	askAllFromCold(t, s)
	eventually(t, idleAfter+30*time.Second, func() string { return allGone(t, s, client) })
}

// askAllFromCold asks each model of the catalogue once.
func askAllFromCold(t *testing.T, s *devServer) {
	t.Helper()
	for _, m := range config.Catalogue() {
		a := s.mustChat(t, m.ID, true)
		if got := a.header.Get("X-Pilotlight-Start"); got != string(fleet.Cold) {
			t.Errorf("%s: got start %q, want cold", m.ID, got)
		}
	}
}

// gpusInUse says which GPU an engine still holds, "" = none.
func gpusInUse(t *testing.T, client *admin.Client) string {
	t.Helper()
	pool, err := client.Pool(t.Context(), fleet.LocalPool)
	if err != nil {
		return err.Error()
	}
	for _, slot := range pool.Live {
		if freeGPUs(slot) != slot.GPUs {
			return "GPUs are in use: " + strings.Join(slot.Occupants, " ")
		}
	}
	return ""
}

// allGone says which model is not cold, or which engine still runs, "" = none.
func allGone(t *testing.T, s *devServer, client *admin.Client) string {
	t.Helper()
	for id, state := range states(t, client) {
		if state != string(fleet.Cold) {
			return id + " is " + state
		}
	}
	if left := children(s.cmd.Process.Pid); len(left) > 0 {
		return fmt.Sprintf("engines %v still run", left)
	}
	return ""
}

// catalogueIdleAfter is a config of the whole catalogue with another idle_after.
func catalogueIdleAfter(d time.Duration) string {
	var text strings.Builder
	for _, m := range config.Catalogue() {
		fmt.Fprintf(&text, "model %q {\n  idle_after = %q\n}\n", m.ID, d)
	}
	return text.String()
}

func TestDev_CurlLineWorksWhenPasted(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		required(t, "curl is missing; on Debian: apt-get install curl")
	}
	s := startDev(t, t.TempDir(), "--sim-speed", "500")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(s.Curl, "curl", "curl -sS", 1)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", s.Curl, err, out)
	}
	if !strings.Contains(string(out), "chat.completion.chunk") || !strings.HasSuffix(string(out), "data: [DONE]\n\n") {
		t.Errorf("got %q, want a whole stream", out)
	}
}

func TestDev_InterruptFinishesLiveStreamsAndStopsEveryEngine(t *testing.T) {
	t.Parallel()
	s := startDev(t, t.TempDir(), "--sim-speed", "20")
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	s.mustChat(t, model, true)
	type result struct {
		a   *answer
		err error
	}
	results := make(chan result)
	const streams = 8
	for range streams {
		go func() { // ends with its stream, and each result is awaited below
			body := fmt.Appendf(nil, `{"model": %q, "stream": true, "max_tokens": 4000, "min_tokens": 4000, "ignore_eos": true,
				"messages": [{"role": "user", "content": "Count."}]}`, model)
			a, err := s.post(context.Background(), "/chat/completions", body)
			results <- result{a, err}
		}()
	}
	client := s.admin(t)
	eventually(t, 10*time.Second, func() string {
		m, err := client.Model(t.Context(), model)
		if err != nil {
			return err.Error()
		}
		if m.Inflight != streams {
			return fmt.Sprintf("%d of %d streams are live", m.Inflight, streams)
		}
		return ""
	})
	engines := children(s.cmd.Process.Pid)
	if err := s.signal(os.Interrupt); err != nil {
		t.Errorf("got %v, want exit status 0", err)
	}
	for range streams {
		r := <-results
		if r.err != nil || !r.a.whole() {
			t.Errorf("a live stream was cut: error %v, answer %+v", r.err, r.a)
		}
	}
	for _, pid := range engines {
		if alive(pid) {
			t.Errorf("engine %d still runs", pid)
		}
	}
}

func TestDev_SecondInterruptEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := startDev(t, t.TempDir(), "--sim-speed", "1", "--config", writeConfig(t, `
model "slow" {
  gpus = 1
  engine "sim" {
    args = ["--sim-hang-after", "1", "--sim-speed", "1000"]
  }
}`))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	hung := make(chan struct{})
	go func() { // ends with the server
		defer close(hung)
		_, _ = s.chat(ctx, "slow", true)
	}()
	client := s.admin(t)
	eventually(t, 10*time.Second, func() string {
		if m, err := client.Model(t.Context(), "slow"); err != nil || m.Inflight != 1 {
			return fmt.Sprintf("the request is not in flight (%v)", err)
		}
		return ""
	})
	engines := children(s.cmd.Process.Pid)
	_ = s.cmd.Process.Signal(os.Interrupt)
	eventually(t, 5*time.Second, func() string {
		if !strings.Contains(s.stderr.String(), "once more ends them") {
			return "the first interrupt was not acknowledged"
		}
		return ""
	})
	select {
	case <-s.ended:
		t.Fatal("the first interrupt did not wait for the stream")
	case <-time.After(200 * time.Millisecond): // a drain that waits has nothing to show for it
	}
	began := time.Now()
	if err := s.signal(os.Interrupt); err == nil {
		t.Error("got exit status 0, want 1: a request was cut")
	}
	if took := time.Since(began); took > hurryGrace+2*time.Second {
		t.Errorf("took %v, want at most about %v", took, hurryGrace)
	}
	<-hung
	eventually(t, 2*time.Second, func() string { return livingOf(engines) })
}

func TestDev_NextStartFindsNoOrphanAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := launchDev(dir, "--sim-speed", "500")
	if err != nil {
		t.Fatal(err)
	}
	first.mustChat(t, "meta-llama/Meta-Llama-3-8B-Instruct", false)
	first.mustChat(t, "mistralai/Mistral-7B-Instruct-v0.3", false)
	engines := children(first.cmd.Process.Pid)
	if len(engines) != 2 {
		t.Fatalf("got engines %v, want 2", engines)
	}
	first.kill()
	second := startDev(t, dir, "--sim-speed", "500")
	if said := livingOf(engines); said != "" {
		t.Error(said)
	}
	if second.Token != first.Token {
		t.Error("the second start has another token")
	}
	second.mustChat(t, "meta-llama/Meta-Llama-3-8B-Instruct", true)
}

func livingOf(pids []int) string {
	if left := slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return !alive(pid) }); len(left) > 0 {
		return fmt.Sprintf("engines %v still run", left)
	}
	return ""
}

func TestDev_CatalogueIsServedWhole(t *testing.T) {
	s := startDev(t, t.TempDir(), "--sim-speed", "500")
	want := map[string]string{}
	for _, m := range config.Catalogue() {
		want[m.ID] = string(fleet.Cold)
	}
	if got := states(t, s.admin(t)); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
