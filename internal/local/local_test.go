package local_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/local"
	"github.com/pilotlight-io/pilotlight/internal/slot"
	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// The test binary is the simulator too, as pilotlight is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "trtsim" {
		os.Exit(trtsim.Main(os.Args[2:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// world is the back end, running.
type world struct {
	*local.Local
	t    *testing.T
	said chan fleet.Observation
	seq  uint64
}

func start(t *testing.T, models ...*fleet.Model) *world {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := local.New(local.Config{GPUs: 8, HostMemory: 1 << 40, Dir: t.TempDir(), Models: models, Self: self, Log: slog.New(slog.NewTextHandler(testLog{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Local: l, t: t, said: make(chan fleet.Observation, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("running: %v", err)
		}
	})
	wg.Go(func() { l.Watch(ctx, func(o fleet.Observation) { w.said <- o }) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return w
}

// testLog is the test's own log.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (w *world) act(kind fleet.ActKind, id string, m *fleet.Model, gpu int) {
	w.t.Helper()
	w.seq++
	err := w.Do(w.t.Context(), fleet.Act{
		Kind: kind, Term: 1, Seq: w.seq, Instance: id, Model: m.ID, Pool: fleet.LocalPool, Slot: local.SlotID, GPU: gpu, GPUs: m.GPUs,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// until reads on until the instance is as wanted.
func (w *world) until(id string, wanted func(fleet.Sighting) bool) (fleet.Sighting, fleet.Observation) {
	w.t.Helper()
	var last fleet.Sighting
	for deadline := time.After(5 * time.Minute); ; {
		select {
		case o := <-w.said:
			for _, i := range o.Instances {
				if last = i; i.ID == id && wanted(i) {
					return i, o
				} else if i.Failure != "" {
					w.t.Fatalf("%s failed: %s", i.ID, i.Failure)
				}
			}
		case <-deadline:
			w.t.Fatalf("%s did not come to what was waited for; it was last %+v", id, last)
		}
	}
}

func ready(i fleet.Sighting) bool { return i.State == fleet.Ready }
func gone(i fleet.Sighting) bool  { return i.Gone }

func TestLocal_RunsSimulatedEngines(t *testing.T) {
	m := &fleet.Model{
		ID: "meta-llama/Meta-Llama-3-70B-Instruct", GPUs: 4, Endpoints: []fleet.Endpoint{"chat", "completions"}, MaxConcurrency: 8,
		Engine: fleet.EngineSpec{Kind: fleet.EngineSim, Args: []string{"--sim-speed", "200"}},
	}
	w := start(t, m)
	w.act(fleet.ActLaunch, "i1", m, 4)
	_, o := w.until("i1", ready)
	if want := []fleet.Node{{ID: "local", GPUs: 8, Condition: fleet.PlaceHealthy}}; !slices.Equal(o.Nodes, want) {
		t.Errorf("nodes: got %+v, want %+v", o.Nodes, want)
	}
	if want := []fleet.Slot{{ID: "local-0", Pool: "local", Node: "local", GPUs: 8, Host: 1 << 40}}; !slices.Equal(o.Slots, want) {
		t.Errorf("slots: got %+v, want %+v", o.Slots, want)
	}
	if o.Source != "local" || !o.Complete {
		t.Errorf("got %+v, want a complete list from local", o)
	}
	w.act(fleet.ActStop, "i1", m, 4)
	w.until("i1", gone)
}

func TestLocal_ParksAndResumes(t *testing.T) {
	m := &fleet.Model{
		ID: "meta-llama/Meta-Llama-3-8B-Instruct", GPUs: 1, Endpoints: []fleet.Endpoint{"chat"}, MaxConcurrency: 8,
		Engine: fleet.EngineSpec{Kind: fleet.EngineSim, Args: []string{"--sim-speed", "200"}},
	}
	w := start(t, m)
	w.act(fleet.ActLaunch, "i1", m, 0)
	if i, _ := w.until("i1", ready); !i.Parks {
		t.Error("it does not say that it can be parked")
	}
	w.act(fleet.ActPark, "i1", m, 0)
	w.until("i1", func(i fleet.Sighting) bool { return i.State == fleet.Asleep })
	w.act(fleet.ActLaunch, "i2", m, 0) // on the same GPU
	w.until("i2", ready)
	w.act(fleet.ActPark, "i2", m, 0)
	w.until("i2", func(i fleet.Sighting) bool { return i.State == fleet.Asleep })
	w.act(fleet.ActResume, "i1", m, 0)
	w.until("i1", ready)
}

func TestLocal_IsFencedConfiguredAndAskedAgain(t *testing.T) {
	m := &fleet.Model{ID: "m", GPUs: 1, Endpoints: []fleet.Endpoint{"chat"}, MaxConcurrency: 8, Engine: fleet.EngineSpec{Kind: fleet.EngineSim}}
	w := start(t, m)
	if err := w.Fence(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	launch := fleet.Act{Kind: fleet.ActLaunch, Term: 4, Seq: 1, Instance: "i1", Model: "m", GPUs: 1}
	if err := w.Do(t.Context(), launch); !errors.Is(err, fleet.ErrFenced) {
		t.Errorf("got %v, want %v", err, fleet.ErrFenced)
	}
	w.Configure(nil)
	launch.Term = 5
	if err := w.Do(t.Context(), launch); !errors.Is(err, slot.ErrUnknownModel) {
		t.Errorf("got %v, want %v", err, slot.ErrUnknownModel)
	}
	began := time.Now()
	w.AskAgain("other") // it is not meant
	w.AskAgain(local.Source)
	for o := range w.said {
		if o.At.Before(began) {
			continue
		}
		if !o.Complete || o.Term != 5 || len(o.Nodes) != 1 {
			t.Errorf("got %+v, want a complete list of term 5", o)
		}
		break
	}
}

func TestLocal_HasTheOneSlot(t *testing.T) {
	w := start(t, &fleet.Model{ID: "m", GPUs: 1, Engine: fleet.EngineSpec{Kind: fleet.EngineSim}})
	for _, kind := range []fleet.ActKind{fleet.ActAddSlot, fleet.ActDropSlot} {
		if err := w.Do(t.Context(), fleet.Act{Kind: kind, Slot: "local-1"}); !errors.Is(err, slot.ErrNotAvailable) {
			t.Errorf("%s: got %v, want %v", kind, err, slot.ErrNotAvailable)
		}
	}
}
