package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const onNomad = `
backend "nomad" {}
pool "h100" {
  slots { max = 2 }
}
model "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8" {
  pool = "h100"
  instances { min = 1 }
}
`

func TestTune_ReplacesWhatTheFileHas(t *testing.T) {
	c := parse(t, config.Options{}, onNomad)
	got, err := c.Tune("h100", map[string]string{
		"max_parked_per_gpu": "3", "parked_gpu_memory": "5GiB", "slot_idle": "90s", "slots.min": "1", "slots.max": "7", "latency_weight": "2.5",
	})
	want := fleet.Pool{
		Name: "h100", GPUsPerSlot: 8, HostMemory: 3 << 39, MaxParkedPerGPU: 3, ParkedGPUMemory: 5 << 30,
		SlotIdle: 90 * time.Second, Slots: fleet.Range{Min: 1, Max: 7}, LatencyWeight: 2.5,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	if p, ok := c.Pool("h100"); !ok || p.MaxParkedPerGPU != 4 || p.LatencyWeight != 10 {
		t.Errorf("the file's own: got %+v, want it as it was", p)
	}
}

func TestTune_EveryKeyComesBackAsItIsShown(t *testing.T) {
	for _, c := range []*config.Config{parse(t, config.Options{}, onNomad), config.Options{BaseDir: "."}.Default()} {
		pool := c.Pools[0].Name
		shown := map[string]string{}
		for _, key := range c.Tunable() {
			p, _ := c.Pool(pool)
			shown[key] = config.Setting(p, key)
		}
		got, err := c.Tune(pool, shown)
		want, _ := c.Pool(pool)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || len(shown) < 4 {
			t.Errorf("pool %s with %v: got %v (-want +got):\n%s", pool, shown, err, diff)
		}
	}
}

// TestTune_Refuses has what each refusal must say. What is wrong is said of all keys at once.
func TestTune_Refuses(t *testing.T) {
	onLocal := `model "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8" {}`
	for _, row := range []struct{ file, settings, key, says string }{
		{onLocal, "max_parked_per_gpu=many", "max_parked_per_gpu", `"many" is no number; write one such as 4`},
		{onLocal, "max_parked_per_gpu=-1", "max_parked_per_gpu", "must be at least 0"},
		{onLocal, "max_parked_per_gpu=1.5", "max_parked_per_gpu", "write a whole number"},
		{onLocal, "max_parked_per_gpu=9999999999", "max_parked_per_gpu", "must be at most"},
		{onLocal, "max_parked_per_gpu=7", "max_parked_per_gpu", "405B-Instruct-FP8 takes about 55GiB"},
		{onLocal, "parked_gpu_memory=8GiB", "parked_gpu_memory", "405B-Instruct-FP8 takes about 55GiB"},
		{onLocal, "parked_gpu_memory=4", "parked_gpu_memory", "64GiB"},
		{onLocal, "host_memory=much", "host_memory", "amount of memory"},
		{onLocal, "host_memory=2TiB", "host_memory", "may use 1.5TiB"},
		{onLocal, "latency_weight=0", "latency_weight", "above 0"},
		{onLocal, "latency_weight=Inf", "latency_weight", "above 0"},
		{onLocal, "slot_idle=5m", "slot_idle", "belongs to a pool on Nomad"},
		{onLocal, "slots.max=5", "slots.max", "belongs to a pool on Nomad"},
		{onLocal, "node_pool=gpu", "node_pool", "belongs to a pool on Nomad"},
		{onLocal, "gpus_per_slot=4", "gpus_per_slot", `gpus of backend "local"`},
		{onLocal, "max_parked=4", "max_parked", "possible are max_parked_per_gpu, parked_gpu_memory, host_memory, latency_weight"},
		{onLocal, "host_memori=4", "host_memori", `did you mean "host_memory"? possible are`},
		{onLocal, "slots=4", "slots", "slots.min=... or slots.max=..."},
		{onLocal, "host_memory=x max_parked_per_gpu=y", "max_parked_per_gpu host_memory", "is no number"},
		{onLocal + "\nautoscaler { policy = \"kpa\" }", "latency_weight=5", "latency_weight", `this server's is "kpa"`},
		{onLocal, "slots.min=1 max_parked_per_gpu=7", "slots.min max_parked_per_gpu", "does not fit beside 7"},
		{onNomad, "gpus_per_slot=4", "gpus_per_slot", "keeps the GPUs that it was started with"},
		{onNomad, "host_memory=1TiB", "host_memory", "part of each slot's Nomad job"},
		{onNomad, "node_pool=gpu", "node_pool", "part of each slot's Nomad job"},
		{onNomad, "slot_idle=5", "slot_idle", "time span"},
		{onNomad, "slots.min=3", "slots.min", "slots.min is 3, more than slots.max, 2"},
		{onNomad, "slots.max=0", "slots.max", "at least 1"},
		{strings.Replace(onNomad, "min = 1", "min = 2", 1), "slots.max=1", "slots.max", "instances.min is 2"},
	} {
		changes := map[string]string{}
		for _, s := range strings.Fields(row.settings) {
			key, value, _ := strings.Cut(s, "=")
			changes[key] = value
		}
		c := parse(t, config.Options{}, row.file)
		_, err := c.Tune(c.Pools[0].Name, changes)
		var wrong config.Mistunings
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: got %v, want %q", row.settings, err, row.says)
			continue
		}
		var keys []string
		for _, w := range wrong {
			keys = append(keys, w.Key)
			if !strings.Contains(w.Message, w.Key) {
				t.Errorf("%s: %q does not name %s", row.settings, w.Message, w.Key)
			}
		}
		if !slices.Equal(keys, strings.Fields(row.key)) {
			t.Errorf("%s: got it about %v, want about %s", row.settings, keys, row.key)
		}
	}
}
