package admin_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestInstance_ShowsWhatItWasLaunchedWith has instances that were launched as the config has it now, otherwise, of a model that the config no longer
// has, and of whom nothing is said.
func TestInstance_ShowsWhatItWasLaunchedWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.fleet.snapshot
	m := now.Models[0].Model
	m.MaxConcurrency, m.ParkedMemory, m.Engine.Args = 64, 32<<30, []string{"--max_batch_size", "256"}
	add := func(id, model string, spec *fleet.Spec) {
		now.Instances = append(now.Instances, fleet.InstanceStatus{Instance: fleet.Instance{ID: id, Model: model, GPUs: 2, State: fleet.Ready, Spec: spec}})
	}
	add("i-same", m.ID, fleet.NewSpec(m, 1<<30)) // what it leaves to others is no setting of the model
	add("i-older", m.ID, &fleet.Spec{GPUs: 1, MaxConcurrency: 32, ParkedMemory: 16 << 30, Kind: fleet.EngineTRTLLM})
	add("i-removed", "acme/removed", &fleet.Spec{GPUs: 1, MaxConcurrency: 4, Kind: fleet.EngineSim})
	config := &admin.Spec{GPUs: 2, MaxConcurrency: 64, ParkedMemory: "32GiB", Kind: fleet.EngineSim, Args: []string{"--max_batch_size", "256"}}
	want := map[string][2]*admin.Spec{
		"i-1":       {nil, nil},
		"i-same":    {config, nil},
		"i-older":   {{GPUs: 1, MaxConcurrency: 32, ParkedMemory: "16GiB", Kind: fleet.EngineTRTLLM, Args: []string{}}, config},
		"i-removed": {{GPUs: 1, MaxConcurrency: 4, ParkedMemory: "0B", Kind: fleet.EngineSim, Args: []string{}}, nil},
	}
	specs := func(instances []admin.Instance) map[string][2]*admin.Spec {
		got := map[string][2]*admin.Spec{}
		for _, i := range instances {
			got[i.ID] = [2]*admin.Spec{i.Spec, i.Configured}
		}
		return got
	}
	all, err := w.client.Instances(t.Context())
	check(t, err)
	if diff := cmp.Diff(want, specs(all)); diff != "" {
		t.Errorf("/api/instances (-want +got):\n%s", diff)
	}
	shown, err := w.client.Model(t.Context(), m.ID)
	check(t, err)
	delete(want, "i-removed")
	if diff := cmp.Diff(want, specs(shown.Live)); diff != "" {
		t.Errorf("/api/models/{id} (-want +got):\n%s", diff)
	}
	cold, err := w.client.Model(t.Context(), "acme/b")
	check(t, err)
	listed, err := w.client.Models(t.Context())
	check(t, err)
	if cold.Live == nil || len(cold.Live) != 0 || listed[0].Live != nil {
		t.Errorf("got instances %v of a cold model, want an empty list, and %v in the list of models, want none", cold.Live, listed[0].Live)
	}
}

func TestPool_CountsTheMemoryThatParkedEnginesWereLaunchedWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.fleet.snapshot
	now.Models[1].Model.ParkedMemory = 32 << 30
	now.Instances = append(now.Instances, fleet.InstanceStatus{Instance: fleet.Instance{ID: "i-2", Model: "acme/b", State: fleet.Asleep, Spec: &fleet.Spec{ParkedMemory: 8 << 30}}})
	now.Pools[0].Slots[0].Sleepers = []string{"i-2"}
	pool, err := w.client.Pool(t.Context(), "local")
	check(t, err)
	if got := pool.Live[0].ParkedMemory; got != "8GiB" {
		t.Errorf("got %s parked, want the 8GiB that the engine was launched with", got)
	}
}
