//go:build linux

package slot_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// sim gives a model whose engine is the simulator, fast and without jitter.
func sim(id string, gpus int, args ...string) *fleet.Model {
	return &fleet.Model{
		ID: id, GPUs: gpus, Endpoints: []fleet.Endpoint{fleet.EndpointChat}, MaxConcurrency: 8,
		Engine: fleet.EngineSpec{
			Kind: fleet.EngineSim, Command: []string{self(), "trtsim"},
			Args: append([]string{"--sim-speed", "100", "--sim-seed", "0", "--sim-load-time", "1s", "--sim-fault-route"}, args...),
		},
	}
}

const (
	small = "meta-llama/Meta-Llama-3-8B-Instruct"
	other = "meta-llama/Meta-Llama-3.1-8B-Instruct"
	large = "mistralai/Mixtral-8x7B-Instruct-v0.1"
)

func (w *world) park(id string) { w.t.Helper(); w.order(fleet.Act{Kind: fleet.ActPark, Instance: id}) }

func (w *world) resume(id string) {
	w.t.Helper()
	w.order(fleet.Act{Kind: fleet.ActResume, Instance: id})
}

func parked(i fleet.Sighting) bool { return i.State == fleet.Asleep }

// hot launches an engine and waits until it is ready.
func (w *world) hot(id, model string, gpu, gpus int) fleet.Sighting {
	w.t.Helper()
	act := launch(id, model, gpu, gpus)
	act.Parked = 16 << 30
	w.order(act)
	i, _ := w.until(id, ready)
	return i
}

func (w *world) parked(id, model string, gpu, gpus int) fleet.Sighting {
	w.t.Helper()
	w.hot(id, model, gpu, gpus)
	w.park(id)
	i, _ := w.until(id, parked)
	return i
}

// answers reports the status of a request for a token.
func answers(t *testing.T, addr string) int {
	t.Helper()
	resp, err := http.Post("http://"+addr+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":1}`))
	if err != nil {
		return 0
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	return resp.StatusCode
}

// inject replaces a simulated engine's faults.
func inject(t *testing.T, addr, faults string) {
	t.Helper()
	resp, err := http.Post("http://"+addr+"/sim/faults", "application/json", strings.NewReader(faults))
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("injecting %s: %s", faults, resp.Status)
	}
}

func TestPark_FreesTheGPUsAndResumeTakesThemBack(t *testing.T) {
	w := start(t, options{gpus: 2}, sim(small, 1), sim(large, 2))
	first := w.hot("i1", small, 0, 1)
	if !first.Parks {
		t.Error("it does not say that it can be parked")
	}
	w.park("i1")
	var states []fleet.State
	i, _ := w.until("i1", func(i fleet.Sighting) bool {
		states = append(states, i.State)
		return parked(i)
	})
	if want := []fleet.State{fleet.Parking, fleet.Asleep}; !slices.Equal(slices.Compact(states), want) {
		t.Errorf("states: got %v, want %v", states, want)
	}
	if i.Addr != first.Addr || i.Failure != "" || i.Act != w.seq {
		t.Errorf("got %+v, want address %s, no failure, act %d", i, first.Addr, w.seq)
	}
	if got := answers(t, i.Addr); got != http.StatusBadRequest {
		t.Errorf("a parked engine answers %d, want 400", got)
	}
	w.hot("i2", large, 0, 2) // on the same GPU
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActResume, Term: 1, Seq: 50, Instance: "i1"}); !errors.Is(err, slot.ErrBusy) {
		t.Errorf("resume on a GPU in use: got %v, want %v", err, slot.ErrBusy)
	}
	w.park("i2")
	w.until("i2", parked)
	w.resume("i1")
	states = nil
	i, _ = w.until("i1", func(i fleet.Sighting) bool {
		states = append(states, i.State)
		return ready(i)
	})
	if want := []fleet.State{fleet.Resuming, fleet.Ready}; !slices.Equal(slices.Compact(states), want) {
		t.Errorf("states: got %v, want %v", states, want)
	}
	if got := answers(t, i.Addr); got != http.StatusOK {
		t.Errorf("a resumed engine answers %d, want 200", got)
	}
}

func TestPark_IsRefusedWhereItMakesNoSense(t *testing.T) {
	w := start(t, options{gpus: 4}, fake("m", 1), fake("load", 1, "hang"))
	w.launch("plain", "m", 1, 1)
	if i, _ := w.until("plain", ready); i.Parks {
		t.Error("an engine without sleep mode says that it can be parked")
	}
	w.launch("loading", "load", 2, 1)
	w.launch("ended", "m", 3, 1)
	w.until("ended", ready)
	w.end("ended")
	w.until("ended", gone)
	for name, row := range map[string]struct {
		kind     fleet.ActKind
		instance string
		want     error
	}{
		"park what loads":     {fleet.ActPark, "loading", slot.ErrState},
		"resume what loads":   {fleet.ActResume, "loading", slot.ErrState},
		"park without means":  {fleet.ActPark, "plain", slot.ErrNotAvailable},
		"park what has ended": {fleet.ActPark, "ended", slot.ErrEnded},
		"resume a stranger":   {fleet.ActResume, "nobody", slot.ErrUnknown},
	} {
		act := fleet.Act{Kind: row.kind, Term: 1, Seq: 50, Instance: row.instance}
		if err := w.Do(t.Context(), act); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", name, err, row.want)
		}
	}
}

func TestPark_KeepsToTheHostsMemory(t *testing.T) {
	m := sim(small, 1)
	m.ParkedMemory = 20 << 30
	w := start(t, options{gpus: 2, memory: 30 << 30}, m)
	w.parked("i1", small, 0, 1)
	w.hot("i2", small, 1, 1)
	act := fleet.Act{Kind: fleet.ActPark, Term: 1, Seq: 50, Instance: "i2"}
	if err := w.Do(t.Context(), act); !errors.Is(err, slot.ErrHostMemory) {
		t.Errorf("got %v, want %v", err, slot.ErrHostMemory)
	}
	w.end("i1")
	w.until("i1", gone)
	if err := w.Do(t.Context(), act); err != nil {
		t.Errorf("with room: %v", err)
	}
	w.until("i2", parked)
}

func TestPark_KeepsToSoManyOnAGPU(t *testing.T) {
	w := start(t, options{gpus: 2}, sim(small, 1), sim(large, 2))
	w.parked("i1", small, 1, 1)
	w.parked("i2", small, 1, 1)
	wide := launch("i3", large, 0, 2)
	wide.Seq, wide.Parked, wide.Sleepers = 50, 16<<30, 1
	if err := w.Do(t.Context(), wide); !errors.Is(err, slot.ErrCrowded) {
		t.Errorf("launch beside two: got %v, want %v", err, slot.ErrCrowded)
	}
	wide.Seq, wide.Sleepers = 51, 2
	if err := w.Do(t.Context(), wide); err != nil {
		t.Fatal(err)
	}
	w.until("i3", ready)
	w.seq = 51
	w.park("i3")
	w.until("i3", parked)
	wake := fleet.Act{Kind: fleet.ActResume, Term: 1, Seq: 60, Instance: "i1", Sleepers: 1}
	if err := w.Do(t.Context(), wake); !errors.Is(err, slot.ErrCrowded) {
		t.Errorf("resume beside two: got %v, want %v", err, slot.ErrCrowded)
	}
	wake.Sleepers = 2
	if err := w.Do(t.Context(), wake); err != nil {
		t.Error(err)
	}
	w.until("i1", ready)
}

func TestHealth_EngineThatHangsIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as an engine may be silent")
	}
	t.Parallel()
	w := start(t, options{gpus: 1}, sim(small, 1))
	i := w.hot("i1", small, 0, 1)
	if i.Health != fleet.Passing {
		t.Errorf("its health is %s, want it passing", i.Health)
	}
	inject(t, i.Addr, `[{"kind":"health"}]`)
	w.until("i1", func(i fleet.Sighting) bool { return ready(i) && i.Health == fleet.Critical })
	if i, _ = w.until("i1", gone); i.State != fleet.Failed || !strings.Contains(i.Failure, "engine hangs: no sign of health 3 times in a row") {
		t.Errorf("got %+v, want it failed by hanging", i)
	}
}

// TestStop_KillsAnEngineThatHangs has one that was already silent when its end was ordered.
func TestStop_KillsAnEngineThatHangs(t *testing.T) {
	t.Parallel()
	const grace = 20 * time.Second
	rule := engine.HealthRule{Every: 20 * time.Millisecond, Within: 200 * time.Millisecond, Misses: 5}
	w := start(t, options{gpus: 1, grace: grace, health: rule}, sim(small, 1))
	w.hot("i1", small, 0, 1)
	syscall.Kill(recordedPID(t, filepath.Join(w.dir, "engines", "i1.pid")), syscall.SIGSTOP) // it hears nothing but SIGKILL
	w.until("i1", func(i fleet.Sighting) bool { return ready(i) && i.Health == fleet.Critical })
	began := time.Now()
	w.end("i1")
	i, at := w.until("i1", gone)
	if took := at.Sub(began); took > grace/4 || i.Failure != "" {
		t.Errorf("it was gone after %v, %q, want it soon, for it drains nothing", took, i.Failure)
	}
}

func TestPark_OrderedTwiceIsDoneOnce(t *testing.T) {
	w := start(t, options{gpus: 1}, sim(small, 1))
	w.hot("i1", small, 0, 1)
	act := fleet.Act{Kind: fleet.ActPark, Term: 1, Seq: 9, Instance: "i1"}
	for range 3 {
		if err := w.Do(t.Context(), act); err != nil {
			t.Fatal(err)
		}
	}
	w.until("i1", parked)
	if err := w.Do(t.Context(), act); err != nil {
		t.Errorf("again, once it is parked: %v", err)
	}
}

// TestMove_OrderedAnewIsTheSameMove repeats each order under a new number, as whoever has not had the answer does.
func TestMove_OrderedAnewIsTheSameMove(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 1}, sim(small, 1, "--sim-speed", "4"))
	w.hot("i1", small, 0, 1)
	numbered := func(i fleet.Sighting) bool { return i.Act == w.seq }
	for _, move := range []struct {
		order     func(string)
		way, done fleet.State
	}{{w.park, fleet.Parking, fleet.Asleep}, {w.resume, fleet.Resuming, fleet.Ready}} {
		move.order("i1")
		move.order("i1")
		if i, _ := w.until("i1", numbered); i.State != move.way {
			t.Errorf("ordered twice: got %s, want %s", i.State, move.way)
		}
		w.until("i1", func(i fleet.Sighting) bool { return i.State == move.done })
		move.order("i1")
		if i, _ := w.until("i1", numbered); i.State != move.done {
			t.Errorf("ordered once more when it was done: got %s, want %s", i.State, move.done)
		}
	}
}

func TestParked_EngineThatDiesIsGone(t *testing.T) {
	w := start(t, options{gpus: 1}, sim(small, 1))
	w.parked("i1", small, 0, 1)
	syscall.Kill(recordedPID(t, filepath.Join(w.dir, "engines", "i1.pid")), syscall.SIGKILL)
	i, _ := w.until("i1", gone)
	if i.State != fleet.Failed || !strings.Contains(i.Failure, "while it was parked") {
		t.Errorf("got %+v, want it failed while it was parked", i)
	}
	w.hot("i2", small, 0, 1)
}

func TestParked_EngineIsStoppedWhileAnotherHasItsGPUs(t *testing.T) {
	w := start(t, options{gpus: 1}, sim(small, 1), sim(other, 1))
	w.parked("i1", small, 0, 1)
	w.hot("i2", other, 0, 1)
	w.end("i1")
	if i, _ := w.until("i1", gone); i.Failure != "" {
		t.Errorf("a wanted end has failure %q", i.Failure)
	}
}

func TestParked_EngineThatDoesNotStopIsKilledSoon(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 1, grace: 10 * time.Minute}, sim(small, 1))
	w.parked("i1", small, 0, 1)
	syscall.Kill(recordedPID(t, filepath.Join(w.dir, "engines", "i1.pid")), syscall.SIGSTOP) // it hears nothing but SIGKILL
	w.end("i1")
	w.until("i1", gone)
}

func TestResume_ThatFailsKillsTheEngine(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fault, want string
		short       bool
		limit       time.Duration
	}{
		"memory lost":     {`[{"kind":"resume"}]`, "resuming failed: engine's memory has failed", true, patience},
		"hang":            {`[{"kind":"resume_hang"}]`, "resuming failed: it hangs: not done within 500ms", false, 500 * time.Millisecond},
		"death":           {`[{"kind":"die"}]`, "engine ended while it was", false, patience},
		"deaf after it":   {`[{"kind":"hang"}]`, "it hangs", false, 500 * time.Millisecond},
		"refuses to work": {`[{"kind":"error"}]`, "it hangs", false, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, options{gpus: 1, moveWithin: row.limit}, sim(small, 1))
			i := w.parked("i1", small, 0, 1)
			inject(t, i.Addr, row.fault)
			w.resume("i1")
			i, _ = w.until("i1", gone)
			if i.State != fleet.Failed || !strings.Contains(i.Failure, row.want) || i.Short != row.short {
				t.Errorf("got %+v, want it failed with %q, short %t", i, row.want, row.short)
			}
			w.hot("i2", small, 0, 1)
		})
	}
}

func TestResume_EngineThatSurvivesWantOfMemoryStaysParked(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 1}, sim(small, 1))
	i := w.parked("i1", small, 0, 1)
	inject(t, i.Addr, `[{"kind":"resume_short","times":1}]`)
	w.resume("i1")
	i, _ = w.until("i1", parked)
	if !i.Short || !strings.Contains(i.Failure, "resuming failed: out of GPU memory") || i.Act != w.seq {
		t.Errorf("got %+v, want it parked, for want of memory, after act %d", i, w.seq)
	}
	w.resume("i1")
	if i, _ = w.until("i1", ready); i.Short || i.Failure != "" {
		t.Errorf("got %+v, want it ready and the failure forgotten", i)
	}
}

// TestMove_EngineThatEndsOnTheWay holds an engine on its way into or out of being parked.
func TestMove_EngineThatEndsOnTheWay(t *testing.T) {
	for name, row := range map[string]struct {
		fault string
		kind  fleet.ActKind
		state fleet.State
		end   func(w *world)
		want  string // the failure; "" = the end was wanted
	}{
		"killed while parking":   {"release_hang", fleet.ActPark, fleet.Parking, killed, "while it was being parked"},
		"killed while resuming":  {"resume_hang", fleet.ActResume, fleet.Resuming, killed, "while it was being resumed"},
		"stopped while parking":  {"release_hang", fleet.ActPark, fleet.Parking, func(w *world) { w.end("i1") }, ""},
		"stopped while resuming": {"resume_hang", fleet.ActResume, fleet.Resuming, func(w *world) { w.end("i1") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, options{gpus: 1, grace: 200 * time.Millisecond}, sim(small, 1))
			i := w.hot("i1", small, 0, 1)
			if row.kind == fleet.ActResume {
				w.park("i1")
				w.until("i1", parked)
			}
			inject(t, i.Addr, `[{"kind":"`+row.fault+`"}]`)
			w.order(fleet.Act{Kind: row.kind, Instance: "i1"})
			w.until("i1", func(i fleet.Sighting) bool { return i.State == row.state })
			row.end(w)
			i, _ = w.until("i1", gone)
			if (row.want == "") != (i.Failure == "") || !strings.Contains(i.Failure, row.want) {
				t.Errorf("got failure %q, want %q", i.Failure, row.want)
			}
			w.hot("i2", small, 0, 1)
		})
	}
}

func killed(w *world) {
	syscall.Kill(recordedPID(w.t, filepath.Join(w.dir, "engines", "i1.pid")), syscall.SIGKILL)
}

func TestResume_HealthPassesOnceATokenIsThere(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 1, moveWithin: time.Second}, sim(small, 1))
	if i := w.parked("i1", small, 0, 1); i.Health != fleet.Critical {
		t.Errorf("parked, its health is %s", i.Health)
	}
	w.resume("i1")
	i, _ := w.until("i1", func(i fleet.Sighting) bool {
		if ready(i) && i.Unproven == (i.Health == fleet.Passing) {
			t.Errorf("ready, and %s, it says unproven %v", i.Health, i.Unproven)
		}
		return i.Health == fleet.Passing
	})
	if !ready(i) {
		t.Errorf("got %s and passing, want it ready", i.State)
	}
	w.park("i1")
	w.until("i1", parked)
	inject(t, i.Addr, `[{"kind":"hang"}]`)
	w.resume("i1")
	w.until("i1", func(i fleet.Sighting) bool {
		if i.Health == fleet.Passing {
			t.Errorf("it generates nothing, and passes: %+v", i)
		}
		if ready(i) && !i.Unproven {
			t.Errorf("it generates nothing, and is proven: %+v", i)
		}
		return i.Gone
	})
}

func TestResume_RefusingEngineIsNeverReady(t *testing.T) {
	w := start(t, options{gpus: 1, moveWithin: 300 * time.Millisecond, firstToken: 10 * time.Second}, sim(small, 1)) // a busy machine needs more than 3 ms for a refusal
	i := w.parked("i1", small, 0, 1)
	inject(t, i.Addr, `[{"kind":"error"}]`)
	w.resume("i1")
	w.until("i1", func(i fleet.Sighting) bool {
		if ready(i) {
			t.Error("it is called ready")
		}
		return i.Gone
	})
}

func TestPark_ThatHangsKillsTheEngine(t *testing.T) {
	w := start(t, options{gpus: 1, moveWithin: 300 * time.Millisecond}, sim(small, 1))
	i := w.hot("i1", small, 0, 1)
	inject(t, i.Addr, `[{"kind":"release_hang"}]`)
	w.park("i1")
	if i, _ = w.until("i1", gone); i.State != fleet.Failed || !strings.Contains(i.Failure, "parking failed: it hangs") {
		t.Errorf("got %+v, want it failed by hanging", i)
	}
}

func TestLaunch_WithoutRoomBesideParkedOnesSaysSo(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 1}, sim(small, 1), sim(other, 1))
	w.launch("greedy", small, 0, 1) // with nothing left for parked ones
	w.until("greedy", ready)
	w.park("greedy")
	w.until("greedy", parked)
	var asleep []string
	for n := range 4 {
		id := "i" + string(rune('1'+n))
		w.parked(id, other, 0, 1)
		asleep = append(asleep, id)
	}
	w.resume("greedy")
	i, _ := w.until("greedy", gone)
	if !i.Short || !strings.Contains(i.Failure, "out of memory") {
		t.Errorf("got %+v, want it failed for want of memory", i)
	}
	for _, id := range asleep { // those that were launched to fit do
		w.resume(id)
		w.until(id, ready)
		w.park(id)
		w.until(id, parked)
	}
}

func TestLaunch_ProgramWithoutSleepModeRunsWithout(t *testing.T) {
	w := start(t, options{gpus: 1}, sim(small, 1, "--sim-no-sleep"))
	for _, id := range []string{"i1", "i2"} {
		if i := w.hot(id, small, 0, 1); i.Parks {
			t.Errorf("%s says that it can be parked", id)
		}
		w.end(id)
		w.until(id, gone)
	}
}

func TestControlKey_IsInNoLog(t *testing.T) {
	var log bytes.Buffer
	w := start(t, options{gpus: 1, log: &log}, sim(small, 1))
	w.parked("i1", small, 0, 1)
	environ, err := os.ReadFile("/proc/" + pidText(t, w) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(environ, []byte("TRTLLM_RUNTIME_CONTROL_API_KEY="))
	key, _, _ := bytes.Cut(after, []byte{0})
	w.stop()
	if len(key) != 64 || bytes.Contains(log.Bytes(), key) || strings.Contains(w.log("i1"), string(key)) {
		t.Errorf("key %q is missing, or in a log", key)
	}
}

func pidText(t *testing.T, w *world) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "engines", "i1.pid"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), `"pid":`)
	pid, _, _ := strings.Cut(after, ",")
	return pid
}

// TestSwap_TakesLittleMoreThanTheEnginesThemselves measures the best of some swaps, for the machine may be busy.
func TestSwap_TakesLittleMoreThanTheEnginesThemselves(t *testing.T) {
	const own = (1000 + 1000) * time.Millisecond / 100 // park and wake of an 8B model, by the simulator's table
	w := start(t, options{gpus: 1}, sim(small, 1), sim(other, 1))
	w.parked("i1", small, 0, 1)
	w.hot("i2", other, 0, 1)
	from, to := "i2", "i1"
	var took []time.Duration
	for range 10 {
		began := time.Now()
		w.park(from)
		w.until(from, parked)
		w.resume(to)
		_, at := w.until(to, ready)
		took = append(took, at.Sub(began)-own)
		time.Sleep(20 * time.Millisecond) // the first token is on its way still
		from, to = to, from
	}
	t.Logf("swaps took %v more than park and wake", took)
	if best := slices.Min(took); best > 20*time.Millisecond {
		t.Errorf("swaps took %v more than park and wake, want 20ms at most", best)
	}
}
