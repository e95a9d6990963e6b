//go:build linux

package slot_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// simulatedGauge reads what the simulated engines of a test hold.
func simulatedGauge(t *testing.T) *slot.Gauge {
	dir := t.TempDir()
	t.Setenv("PILOTLIGHT_SIM_GPU_DIR", dir)
	return &slot.Gauge{
		Simulated: true,
		GPUs: func(context.Context) (map[string]fleet.Bytes, error) {
			gpus, _, err := trtsim.Usage(dir)
			used := map[string]fleet.Bytes{"0": 0, "1": 0}
			for name, bytes := range gpus {
				used[name] = fleet.Bytes(bytes)
			}
			return used, err
		},
		Host: func() (fleet.Bytes, error) {
			_, host, err := trtsim.Usage(dir)
			return fleet.Bytes(host), err
		},
	}
}

func TestPark_ThatFreesTooLittleHasFailed(t *testing.T) {
	w := start(t, options{gpus: 2, gauge: simulatedGauge(t)}, sim(small, 1), sim(other, 1))
	i := w.hot("i1", small, 0, 1)
	inject(t, i.Addr, `[{"kind":"release_short"}]`)
	w.park("i1")
	i, _ = w.until("i1", func(i fleet.Sighting) bool { return parked(i) || i.Gone })
	if !i.Gone || !strings.Contains(i.Failure, "parking failed: it has freed too little GPU memory") || !strings.Contains(i.Failure, "GPU 0") {
		t.Errorf("got %+v, want it ended, for its park has freed less than half", i)
	}
	if i := w.parked("i2", other, 0, 1); i.Failure != "" || !i.Slept {
		t.Errorf("got %+v, want one that has freed all parked", i)
	}
}

func TestResume_ShowsWhetherTheCopyIsKept(t *testing.T) {
	models := []*fleet.Model{sim(small, 1), sim(other, 1, "--sim-keep-copy")}
	for _, m := range models {
		m.ParkedMemory = 21 << 30
	}
	w := start(t, options{gpus: 2, gauge: simulatedGauge(t), memory: 45 << 30}, models...)
	for id, row := range map[string]struct {
		model string
		gpu   int
		want  fleet.Copy
	}{"freed": {small, 0, fleet.CopyFreed}, "kept": {other, 1, fleet.CopyKept}} {
		if i := w.parked(id, row.model, row.gpu, 1); i.Copy != "" {
			t.Errorf("%s: got %q before a resume, want nothing said", id, i.Copy)
		}
		w.resume(id)
		if i, _ := w.until(id, func(i fleet.Sighting) bool { return ready(i) && i.Copy != "" }); i.Copy != row.want {
			t.Errorf("got %q, want %q", i.Copy, row.want)
		}
	}
	// The copy of one that is awake takes host memory: there is room for one more and not for two, and its own park needs none.
	w.park("freed")
	w.until("freed", parked)
	w.hot("i3", small, 0, 1)
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActPark, Term: 1, Seq: 90, Instance: "i3"}); !errors.Is(err, slot.ErrHostMemory) {
		t.Errorf("parking beside a parked one and a copy that is kept: got %v, want %v", err, slot.ErrHostMemory)
	}
	w.seq = 90
	w.park("kept")
	w.until("kept", parked)
}

func TestGauge_Reads(t *testing.T) {
	gpus, err := slot.ParseGPUs("0, GPU-1a, 512\n1, GPU-2b, 79000\n")
	if err != nil || gpus["0"] != 512<<20 || gpus["GPU-1a"] != 512<<20 || gpus["GPU-2b"] != 79000<<20 || len(gpus) != 4 {
		t.Errorf("got %v, %v", gpus, err)
	}
	for _, bad := range []string{"0, GPU-1a\n", "0, GPU-1a, [N/A]\n", "Failed to initialize NVML\n"} {
		if _, err := slot.ParseGPUs(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	host, err := slot.ParseHost("MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\n")
	if err != nil || host != 400<<10 {
		t.Errorf("got %v, %v, want 400 KiB in use", host, err)
	}
	if _, err := slot.ParseHost("MemTotal: 1000 kB\n"); err == nil {
		t.Error("got no error where nothing says what is available")
	}
}
