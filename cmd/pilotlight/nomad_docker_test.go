//go:build unix

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestNomad_EverySizeStreamsFromColdThroughDocker has serve submit the very jobs that are meant for H100s, of 8, 4, 2 and 1 GPUs: the image is
// TensorRT-LLM's by its name, and its program is the simulator. Whichever of the four nodes the others are on, one has room for the largest.
func TestNomad_EverySizeStreamsFromColdThroughDocker(t *testing.T) {
	c := startCluster(t, cluster.Config{Docker: true})
	f := nomadFile{cluster: c, name: "docker"}
	for _, id := range []string{
		"meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", "meta-llama/Meta-Llama-3-70B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3",
		"meta-llama/Meta-Llama-3-8B-Instruct",
	} {
		f.models = append(f.models, nomadModel{
			id: id, args: []string{"--sim-speed", "500", "--sim-container-start", "0s"}, settings: `  idle_after = "10s"`,
		})
	}
	s := startServe(t, f)
	s.awaitReady(t)
	counted := countGPUs(t, c)
	s.wake(t, f.ids(), fleet.Cold)
	eventually(t, time.Minute, func() string { // on a slow machine the first is idle before the last has come
		said := agree(t, c, s, f.name, f.ids())
		if said == "" {
			said = inContainers(t, c, f.ids())
		}
		if said != "" {
			s.wake(t, f.ids(), "")
		}
		return said
	})
	eventually(t, time.Minute, func() string {
		if said := agree(t, c, s, f.name, nil); said != "" {
			return said
		}
		return inContainers(t, c, nil)
	})
	counted(15)
}

// inContainers says in what the containers, ended ones too, differ from each of the models running in one; "" = in nothing.
func inContainers(t *testing.T, c *cluster.Cluster, models []string) string {
	t.Helper()
	var list []struct{ ID, Image, State string }
	if err := c.Docker.Ask(t.Context(), "/containers/json?all=true", &list); err != nil {
		return err.Error()
	}
	holds := map[string]string{} // model -> its container
	for _, l := range list {
		var found struct{ Config struct{ Env []string } }
		if err := c.Docker.Ask(t.Context(), "/containers/"+l.ID+"/json", &found); err != nil {
			return err.Error() // it has gone meanwhile
		}
		for _, entry := range found.Config.Env {
			if model, ok := strings.CutPrefix(entry, "NOMAD_META_pilotlight_model="); ok && l.Image == cluster.Image && l.State == "running" {
				holds[model] = l.ID
			}
		}
	}
	if got := slices.Sorted(maps.Keys(holds)); len(list) != len(models) || !slices.Equal(got, slices.Sorted(slices.Values(models))) {
		return fmt.Sprintf("the containers are %+v, of %v, want one of each of %v", list, got, models)
	}
	return ""
}
