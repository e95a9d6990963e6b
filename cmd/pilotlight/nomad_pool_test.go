package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestNomadPool has servers with pools on one cluster of four nodes.
func TestNomadPool(t *testing.T) {
	site := newPoolSite(t, 4)
	t.Run("eight models share two slots", func(t *testing.T) { eightModelsShareTwoSlots(t, site) })
	t.Run("kills are survived", func(t *testing.T) { survivesKills(t, site) })
	t.Run("places fail", func(t *testing.T) { placesFail(t, site) })
	t.Run("slots are replaced", func(t *testing.T) { replacesSlots(t, site) })
}

// eightModelsShareTwoSlots has models of 30 GPUs share 16.
func eightModelsShareTwoSlots(t *testing.T, site *poolSite) {
	l := poolLane{name: "eight", slots: fleet.Range{Min: 2, Max: 2}}
	var models []string
	for _, m := range config.Catalogue() {
		models = append(models, m.ID)
		l.text += pooledModel(m.ID, `  idle_after = "30s"`, "", "--sim-speed", "50", "--sim-seed", l.seed())
	}
	here := site.lane(t, l)
	counted := countGPUs(t, site.cluster)
	here.wake(t, models, fleet.Cold) // at once; the first give way before the last are served
	eventually(t, time.Minute, here.agree)
	here.rendersItsSlots(models[0])

	// No two of these fit into one slot beside each other, and only two at a time into both.
	large := []string{"mistralai/Mixtral-8x22B-Instruct-v0.1", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", "meta-llama/Meta-Llama-3-70B-Instruct"}
	starts := map[string]int{}
	for range 4 {
		for _, m := range large {
			starts[here.mustChat(t, m, true).header.Get("X-Pilotlight-Start")]++
		}
	}
	if starts["parked"] < len(large) || starts["cold"] > starts["parked"]/2 { // where its home is busy, a copy elsewhere may be the better choice
		t.Errorf("in turns of %v the starts were %v, want them parked where not hot", large, starts)
	}
	eventually(t, time.Minute, here.agree)
	counted(16)

	// A server that finds the slots knows who is there, and gives them back.
	before := here.instances()
	here.slots.Min, here.pool = 0, `  slot_idle = "2s"`
	here.text = strings.ReplaceAll(here.text, `idle_after = "30s"`, `idle_after = "1s"`)
	here.restart()
	eventually(t, 10*time.Second, func() string { // it is ready once it has heard Nomad, and hears the slots then
		if after := here.instances(); !maps.Equal(before, after) {
			return fmt.Sprintf("the next server finds %v, want %v", after, before)
		}
		return ""
	})
	var asked sync.WaitGroup
	defer asked.Wait()
	for _, m := range models {
		asked.Go(func() {
			if a, err := here.chat(context.Background(), m, false); err != nil || !a.whole() {
				t.Errorf("%s after the restart: got %+v, %v, want a whole answer", m, a, err)
			}
		})
	}
}

// rendersItsSlots holds what `job render` prints for a model against the job of a slot that was submitted.
func (l *poolLane) rendersItsSlots(model string) {
	l.t.Helper()
	text, err := exec.CommandContext(l.t.Context(), l.site.program, "job", "render", model, "--config", filepath.Join(l.DataDir, "pilotlight.hcl")).Output()
	if err != nil {
		l.t.Fatal(err)
	}
	n := nomadServer{l.t, l.site.cluster.Nomad.Addr}
	type job struct {
		TaskGroups []struct {
			Tasks []struct {
				Driver, KillSignal string
				KillTimeout        int64
				Config             map[string]any
				Resources          struct{ CPU, MemoryMB int }
				Templates          []struct{ EmbeddedTmpl, DestPath string }
			}
		}
	}
	var printed, submitted job
	n.ask(http.MethodPost, "/v1/jobs/parse", map[string]any{"JobHCL": string(text), "Canonicalize": true}, &printed)
	running := l.jobs()[0]
	n.ask(http.MethodGet, "/v1/job/"+running, nil, &submitted)
	_, id, _ := strings.Cut(running, "-slot-")
	want, got := fmt.Sprint(submitted), strings.ReplaceAll(fmt.Sprint(printed), "--id manual", "--id "+id)
	if want != got || !strings.Contains(want, "--id "+id) {
		l.t.Errorf("what is printed has the tasks\n%s\nand what was submitted\n%s", got, want)
	}
}
