//go:build linux

package slot_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

func TestLaunch_TellsEveryPhaseAndThenServes(t *testing.T) {
	w := start(t, options{gpus: 2}, fake("m", 2))
	w.launch("i1", "m", 0, 2)
	var phases []fleet.Phase
	last, _ := w.until("i1", func(i fleet.Sighting) bool {
		phases = append(phases, i.Phase)
		return ready(i)
	})
	want := []fleet.Phase{fleet.PhaseStarting, fleet.PhaseLoading, fleet.PhaseProbing, fleet.PhaseReady}
	if phases = slices.Compact(phases); !slices.Equal(phases, want) {
		t.Errorf("phases: got %v, want %v", phases, want)
	}
	if got := get(t, last.Addr, "/answered"); got == "0" {
		t.Error("it is ready, but was never asked for a token")
	}
	last.Addr = ""
	sighting := fleet.Sighting{
		Instance: fleet.Instance{ID: "i1", Model: "m", Slot: "s", GPUs: 2, State: fleet.Ready, Spec: &fleet.Spec{GPUs: 2, MaxConcurrency: 1, Kind: fleet.EngineOpenAI}},
		Phase:    fleet.PhaseReady, Act: 1, Running: -1, Health: fleet.Passing,
	}
	if d := cmp.Diff(sighting, last); d != "" {
		t.Errorf("sighting, want and got:\n%s", d)
	}
}

func TestWatch_BeginsWithACompleteList(t *testing.T) {
	w := start(t, options{gpus: 2}, fake("m", 1))
	w.launch("i1", "m", 1, 1)
	w.until("i1", ready)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var first fleet.Observation
	if err := w.Watch(ctx, func(o fleet.Observation) { first = o; cancel() }); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if !first.Complete || len(first.Instances) != 1 || first.Instances[0].ID != "i1" || first.Instances[0].GPU != 1 {
		t.Errorf("got %+v", first)
	}
	if want := []fleet.Slot{{ID: "s", Pool: "p", Node: "n", GPUs: 2}}; !slices.Equal(first.Slots, want) {
		t.Errorf("slots: got %v, want %v", first.Slots, want)
	}
}

func TestWatch_LateWatcherHearsOfTheEnded(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1, "crash"))
	w.launch("i1", "m", 0, 1)
	w.until("i1", gone)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.Watch(ctx, func(o fleet.Observation) {
		if len(o.Instances) != 1 || !o.Instances[0].Gone || o.Instances[0].Failure == "" {
			t.Errorf("got %+v, want i1 gone, and why", o.Instances)
		}
		cancel()
	})
}

func TestEngine_SeesItsOwnGPUsAndNoSecrets(t *testing.T) {
	for _, name := range []string{
		"PILOTLIGHT_ADMIN_TOKEN", "PILOTLIGHT_SLOT_KEY", "PILOTLIGHT_DATABASE_URL", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN",
		"NOMAD_TOKEN_OF_MY_OWN", "A_NAME_OF_THE_OPERATORS_CHOICE", "AWS_SECRET_ACCESS_KEY", "NOMAD_SECRETS_DIR",
	} {
		t.Setenv(name, "a secret")
	}
	t.Setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
	t.Setenv("LD_LIBRARY_PATH", "/usr/lib/x")
	t.Setenv("HF_HOME", "/weights")
	t.Setenv("OF_THE_POOL", "x")
	w := start(t, options{gpus: 4, pass: []string{"OF_THE_POOL"}}, fake("two", 2), fake("none", 0))
	for _, row := range []struct {
		model     string
		gpu, gpus int
		want      string
	}{
		{"two", 2, 2, "true 2,3"}, {"none", 0, 0, "true "},
	} {
		w.launch("of-"+row.model, row.model, row.gpu, row.gpus)
		i, _ := w.until("of-"+row.model, ready)
		if got := get(t, i.Addr, "/env/CUDA_VISIBLE_DEVICES"); got != row.want {
			t.Errorf("%s sees GPUs %q, want %q", row.model, got, row.want)
		}
		if got := get(t, i.Addr, "/environment"); strings.Contains(got, "a secret") {
			t.Errorf("%s sees a secret of the control plane: %s", row.model, got)
		}
		for name, want := range map[string]string{"LD_LIBRARY_PATH": "true /usr/lib/x", "HF_HOME": "true /weights", "OF_THE_POOL": "true x", "PATH": "true " + os.Getenv("PATH")} {
			if got := get(t, i.Addr, "/env/"+name); got != want {
				t.Errorf("%s sees %s %q, want %q", row.model, name, got, want)
			}
		}
	}
}

func TestDo_RefusesWhatDoesNotFit(t *testing.T) {
	w := start(t, options{gpus: 4}, fake("one", 1), fake("two", 2, "hang"), fake("eight", 8), fake("none", 0))
	w.launch("i1", "two", 2, 2)
	for name, row := range map[string]struct {
		act  fleet.Act
		want error
	}{
		"overlap":        {launch("x", "one", 3, 1), slot.ErrBusy},
		"not aligned":    {launch("x", "two", 1, 2), slot.ErrBadBlock},
		"outside":        {launch("x", "one", 4, 1), slot.ErrBadBlock},
		"too large":      {launch("x", "eight", 0, 8), slot.ErrBadBlock},
		"other size":     {launch("x", "two", 0, 1), slot.ErrBadBlock},
		"unknown model":  {launch("x", "what", 0, 1), slot.ErrUnknownModel},
		"same elsewhere": {launch("i1", "two", 0, 2), slot.ErrExists},
		"other slot":     {fleet.Act{Kind: fleet.ActLaunch, Instance: "x", Model: "one", GPUs: 1, Slot: "t"}, slot.ErrBadBlock},
		"add a slot":     {fleet.Act{Kind: fleet.ActAddSlot, Instance: "i1"}, slot.ErrNotAvailable},
	} {
		row.act.Term, row.act.Seq = 1, 50
		if err := w.Do(t.Context(), row.act); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", name, err, row.want)
		}
	}
	if err := w.Do(t.Context(), launch("../x", "one", 0, 1)); err == nil {
		t.Error("an id with a path in it was accepted")
	}
	// Whatever was refused left nothing behind, and engines without GPUs fit anywhere.
	w.launch("i2", "one", 0, 1)
	w.launch("i3", "one", 1, 1)
	w.launch("i4", "none", 0, 0)
}

func TestDo_IsIdempotent(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	act := launch("i1", "m", 0, 1)
	for range 3 {
		if err := w.Do(t.Context(), act); err != nil {
			t.Fatal(err)
		}
	}
	i, _ := w.until("i1", ready)
	again := act
	again.Term, again.Seq = 2, 1 // a new leader that knows the instance
	if err := w.Do(t.Context(), again); err != nil {
		t.Errorf("launch by a new leader: %v", err)
	}
	if err := w.Do(t.Context(), act); !errors.Is(err, slot.ErrOldTerm) {
		t.Errorf("launch of an older term: got %v, want %v", err, slot.ErrOldTerm)
	}
	stop := fleet.Act{Kind: fleet.ActStop, Term: 2, Seq: 2, Instance: "i1"}
	for range 3 {
		if err := w.Do(t.Context(), stop); err != nil {
			t.Fatal(err)
		}
	}
	w.until("i1", gone)
	if _, err := http.Get("http://" + i.Addr + "/health"); err == nil {
		t.Error("it is gone, but still answers")
	}
}

func TestDo_StoppedInstanceStaysStopped(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	act := launch("i1", "m", 0, 1)
	act.Seq = 7
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: 1, Seq: 8, Instance: "i1"}); err != nil {
		t.Errorf("stop of an unknown instance: %v", err)
	}
	if err := w.Do(t.Context(), act); !errors.Is(err, slot.ErrEnded) {
		t.Errorf("late launch: got %v, want %v", err, slot.ErrEnded)
	}
	w.seq = 10
	w.launch("i2", "m", 0, 1)
	w.end("i2")
	w.until("i2", gone)
	again := launch("i2", "m", 0, 1)
	again.Seq = 11
	if err := w.Do(t.Context(), again); err != nil {
		t.Errorf("the launch that it was made by, doubled: got %v, want nil", err)
	}
	again.Seq = 20
	if err := w.Do(t.Context(), again); !errors.Is(err, slot.ErrEnded) {
		t.Errorf("launch of an ended instance: got %v, want %v", err, slot.ErrEnded)
	}
}

func TestEngine_FailureSaysHowItEnded(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1, "crash"))
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", gone)
	for _, want := range []string{"before it was ready", "exit status 3", "loading weights | CUDA out of memory"} {
		if !strings.Contains(i.Failure, want) {
			t.Errorf("failure %q lacks %q", i.Failure, want)
		}
	}
	if i.State != fleet.Failed || strings.Contains(i.Failure, "\x1b") {
		t.Errorf("got state %s, failure %q", i.State, i.Failure)
	}
	if got := w.log("i1"); !strings.Contains(got, "CUDA out of memory") {
		t.Errorf("log: %q", got)
	}
	w.launch("i2", "m", 0, 1) // its GPU is free again
}

func TestEngine_ThatKeepsRefusingFailsAndIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as an engine may refuse")
	}
	t.Parallel()
	w := start(t, options{gpus: 1}, fake("m", 1, "refuse", "deaf"))
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", func(i fleet.Sighting) bool { return i.State == fleet.Failed })
	if i.Gone || !strings.Contains(i.Failure, "400: no chat template") {
		t.Errorf("got %+v, want it failed, there still, and the engine's answer", i)
	}
	if i, _ = w.until("i1", gone); !strings.Contains(i.Failure, "400: no chat template") {
		t.Errorf("failure: %q", i.Failure)
	}
}

func TestEngine_ThatCannotBeStartedFails(t *testing.T) {
	m := fake("m", 1)
	m.Engine.Command = []string{"/no/such/program"}
	w := start(t, options{gpus: 1}, m)
	w.launch("i1", "m", 0, 1)
	if i, _ := w.until("i1", gone); !strings.Contains(i.Failure, "/no/such/program") {
		t.Errorf("failure: %q", i.Failure)
	}
}

func TestEngine_CrashIsSeenWithin100ms(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	var took []time.Duration
	for n := range 3 { // the machine may be busy: the best of three shows what the slot itself takes
		id := "i" + string(rune('1'+n))
		w.launch(id, "m", 0, 1)
		i, _ := w.until(id, ready)
		began := time.Now()
		if resp, err := http.Post("http://"+i.Addr+"/crash", "", nil); err == nil {
			resp.Body.Close()
		}
		i, at := w.until(id, gone)
		took = append(took, at.Sub(began))
		if !strings.Contains(i.Failure, "while it was serving") || !strings.Contains(i.Failure, "exit status 7; its log ends: executor has died") {
			t.Errorf("failure: %q", i.Failure)
		}
	}
	t.Logf("crash seen after %v", took)
	if best := slices.Min(took); best > 100*time.Millisecond {
		t.Errorf("crash seen after %v, want 100ms at most", best)
	}
}

func TestStop_DuringLoad(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1, "hang"))
	w.launch("i1", "m", 0, 1)
	w.until("i1", in(fleet.PhaseLoading))
	w.end("i1")
	if i, _ := w.until("i1", func(i fleet.Sighting) bool { return i.State == fleet.Stopping }); i.Gone {
		t.Error("it was gone before it was told to be stopping")
	}
	if i, _ := w.until("i1", gone); i.Failure != "" {
		t.Errorf("a wanted end has failure %q", i.Failure)
	}
}

func TestStop_KillsAnEngineThatIgnoresSIGTERM(t *testing.T) {
	const grace = 100 * time.Millisecond
	w := start(t, options{gpus: 1, grace: grace}, fake("m", 1, "deaf"))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	began := time.Now()
	w.end("i1")
	_, at := w.until("i1", gone)
	if took := at.Sub(began); took < grace {
		t.Errorf("it was killed after %v, in its grace of %v", took, grace)
	}
}

func TestStop_EndsWhatTheEngineHasStartedToo(t *testing.T) {
	orphan := filepath.Join(t.TempDir(), "pid")
	w := start(t, options{gpus: 1}, fake("m", 1, "orphan="+orphan))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	pid := pidIn(t, orphan)
	if !alive(pid) {
		t.Fatal("the process that the engine has started is not there")
	}
	w.end("i1")
	w.until("i1", gone)
	if alive(pid) {
		t.Error("the process that the engine has started outlives it")
	}
}

func TestRun_EndsEveryEngine(t *testing.T) {
	w := start(t, options{gpus: 2}, fake("m", 1), fake("slow", 1, "hang"))
	w.launch("i1", "m", 0, 1)
	w.launch("i2", "slow", 1, 1)
	i, _ := w.until("i1", ready)
	w.stop()
	if _, err := http.Get("http://" + i.Addr + "/health"); err == nil {
		t.Error("Run has returned, but the engine still answers")
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, "engines", "*.pid")); len(left) > 0 {
		t.Errorf("process files are left: %v", left)
	}
	if err := w.Do(t.Context(), launch("i3", "m", 0, 1)); !errors.Is(err, slot.ErrShuttingDown) {
		t.Errorf("launch after the end: got %v, want %v", err, slot.ErrShuttingDown)
	}
}

// TestRun_LetsRequestsFinish has an engine that ends at SIGTERM whatever it is at.
func TestRun_LetsRequestsFinish(t *testing.T) {
	t.Parallel()
	w := start(t, options{gpus: 1}, fake("m", 1, "busy=1"))
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", ready)
	var ending sync.WaitGroup
	ending.Go(w.stop)
	defer ending.Wait()
	o := w.untilTold("that it ends", func(o fleet.Observation) bool { return o.Slots[0].Condition == fleet.PlaceClosing })
	if got := o.Instances[0].State; got != fleet.Stopping {
		t.Errorf("the instance is %s, want it stopping at once: it takes no request any more", got)
	}
	time.Sleep(time.Second) // in which the request goes on
	get(t, i.Addr, "/busy/0")
	finished := time.Now()
	_, at := w.until("i1", gone)
	if took := at.Sub(finished); took > 5*time.Second {
		t.Errorf("it was ended %v after its last request, want it at once", took)
	}
}

func TestRun_OneSupervisorPerDirectory(t *testing.T) {
	w := start(t, options{gpus: 1}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	other, err := slot.New(slot.Config{ID: "s", GPUs: 1, Dir: w.dir, Models: []*fleet.Model{fake("m", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another supervisor") {
		t.Errorf("got %v, want that another supervisor uses the directory", err)
	}
}
