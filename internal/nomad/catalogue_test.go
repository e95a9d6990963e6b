package nomad_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// TestConfigure_HoldsForLaterJobs replaces models and pools while jobs are made of them.
func TestConfigure_HoldsForLaterJobs(t *testing.T) {
	model := func(id, pool string, gpus int) *fleet.Model {
		return &fleet.Model{ID: id, Pool: pool, GPUs: gpus, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM, Image: "i:1"}}
	}
	n, err := nomad.New(nomad.Config{
		Cluster: "c", Models: []*fleet.Model{model("a", "", 1), model("b", "p", 1)}, Pools: []fleet.Pool{{Name: "p", GPUsPerSlot: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 20 {
				if _, err := n.Render("a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	n.Configure([]*fleet.Model{model("a", "", 4), model("c", "q", 1)}, []fleet.Pool{{Name: "q", GPUsPerSlot: 8}})
	readers.Wait()
	job, err := n.Render("a")
	if err != nil || defaultOf(job, "gpus") != "4" {
		t.Errorf("a: got %s GPUs, %v; want 4", defaultOf(job, "gpus"), err)
	}
	job, err = n.Render("c")
	if err != nil || defaultOf(job, "pool") != `"q"` || defaultOf(job, "gpus") != "8" {
		t.Errorf("c: got pool %s and %s GPUs, %v; want q and 8", defaultOf(job, "pool"), defaultOf(job, "gpus"), err)
	}
	if _, err := n.Render("b"); !errors.Is(err, nomad.ErrUnknownModel) {
		t.Errorf("b: got %v, want %v", err, nomad.ErrUnknownModel)
	}
	if _, err := n.RenderSlot("p", "s"); !errors.Is(err, nomad.ErrUnknownPool) {
		t.Errorf("p: got %v, want %v", err, nomad.ErrUnknownPool)
	}
}
