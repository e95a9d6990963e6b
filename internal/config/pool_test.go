package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestPoolOnNomadSharesItsSlots(t *testing.T) {
	got, err := config.Load("testdata/good/everything.hcl")
	if err != nil {
		t.Fatal(err)
	}
	want := []fleet.Pool{{
		Name: "h100", GPUsPerSlot: 8, NodePool: "gpu", HostMemory: 3 << 39, MaxParkedPerGPU: 4, ParkedGPUMemory: 4 << 30,
		SlotIdle: 15 * time.Minute, Slots: fleet.Range{Max: 4},
	}}
	if diff := cmp.Diff(want, got.Pools); diff != "" || got.Models[0].Pool != "h100" {
		t.Errorf("model in pool %q; pools (-want +got):\n%s", got.Models[0].Pool, diff)
	}
}

// TestPoolHoldsItsLargestModel counts what parked engines keep of each GPU.
func TestPoolHoldsItsLargestModel(t *testing.T) {
	for _, row := range []struct {
		backend, name, models string
		parked                int    // engines on a GPU, of 4GiB each
		want                  string // "" = it fits
	}{
		{"nomad", "p", catalogued("meta-llama/Meta-Llama-3-8B-Instruct", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"), 6, ""},
		{"nomad", "p", catalogued("meta-llama/Meta-Llama-3-8B-Instruct", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"), 7, "405B-Instruct-FP8 takes about 55GiB"},
		{"local", "local", `model "mistralai/Mixtral-8x7B-Instruct-v0.1" {}`, 6, ""},
		{"local", "local", `model "mistralai/Mixtral-8x7B-Instruct-v0.1" {}`, 7, "Mixtral-8x7B-Instruct-v0.1 takes about 52GiB"},
		{"nomad", "p", own(`"64GiB"`), 9, ""}, // its weights are not known, and memory is no more than a bound
		{"nomad", "p", own(`"64GiB"`), 10, "org/own takes about 39.5GiB"},
		{"nomad", "p", own(`"20GiB"`), 14, ""},
		{"nomad", "p", "", 100, ""}, // nobody shares it
	} {
		_, err := config.Parse("p.hcl", fmt.Appendf(nil, "backend %q {}\npool %q {\n  max_parked_per_gpu = %d\n}\n%s", row.backend, row.name, row.parked, row.models))
		var mistakes config.Mistakes
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%d beside %s: got %v, want it to fit", row.parked, row.models, err)
		case row.want == "":
		case !errors.As(err, &mistakes) || len(mistakes) != 1 || mistakes[0].Line != 2 || !strings.Contains(mistakes[0].Message, row.want):
			t.Errorf("%d beside %s: got %v, want %s in line 2", row.parked, row.models, err, row.want)
		}
	}
}

// catalogued are blocks of models in pool p.
func catalogued(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "model %q {\n  pool = \"p\"\n}\n", id)
	}
	return b.String()
}

// own is a model that the catalogue does not know, in pool p.
func own(memory string) string {
	return "model \"org/own\" {\n  gpus = 1\n  pool = \"p\"\n  engine \"trtllm\" {\n    weights = \"x\"\n    memory = " + memory + "\n  }\n}\n"
}
