//go:build unix

package nomad_test

import (
	"slices"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestDocker_RunsSlotsInTheEnginesImage has the docker driver run a slot as it is meant for H100s: the program is mounted into the image, whose
// trtllm-serve is the simulator.
func TestDocker_RunsSlotsInTheEnginesImage(t *testing.T) {
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 2, Docker: true})
	const one, two = "meta-llama/Meta-Llama-3-8B-Instruct", "mistralai/Mixtral-8x7B-Instruct-v0.1"
	weights := t.TempDir() + ":/weights:ro"
	for _, m := range config.Catalogue() {
		if m.ID == one || m.ID == two {
			m.Pool, m.Engine.Volumes = "p", []string{weights}
			m.Engine.Args = append(m.Engine.Args, "--sim-speed", "1000", "--sim-container-start", "0s")
			w.cfg.Models = append(w.cfg.Models, m)
		}
	}
	w.cfg.Self, w.cfg.Consul, w.cfg.Pools = program(t), "off", ofTwo()
	w.cfg.Pools[0].HostMemory = 256 << 30
	w.Nomad = w.backend(nil)
	w.follow(w.Nomad)
	w.key(nil)

	w.in(1, fleet.ActAddSlot, "s1", "", "", 2)
	w.slotIs("s1 to be there", "s1", func(s *fleet.Slot) bool { return s != nil && !s.Pending })
	w.in(2, fleet.ActLaunch, "s1", "i1", one, 1)
	w.until("i1 to be ready", "i1", inState(fleet.Ready))
	w.in(3, fleet.ActPark, "s1", "i1", one, 1)
	w.until("i1 to be parked", "i1", inState(fleet.Asleep))
	w.in(4, fleet.ActLaunch, "s1", "i2", two, 2)
	w.until("i2 to be ready", "i2", inState(fleet.Ready))
	w.in(5, fleet.ActPark, "s1", "i2", two, 2)
	w.until("i2 to be parked", "i2", inState(fleet.Asleep))
	w.in(6, fleet.ActResume, "s1", "i1", one, 1)
	w.until("i1 to be ready again", "i1", inState(fleet.Ready))
	w.container(weights)

	w.in(7, fleet.ActDropSlot, "s1", "", "", 2)
	w.slotIs("s1 to be gone", "s1", absent)
	w.eventually("no container", func() bool {
		var left []any
		return w.cluster.Docker.Ask(t.Context(), "/containers/json?all=true", &left) == nil && len(left) == 0
	})
}

// container looks at the one container.
func (w *world) container(weights string) {
	w.t.Helper()
	var containers []struct{ ID string }
	if err := w.cluster.Docker.Ask(w.t.Context(), "/containers/json", &containers); err != nil || len(containers) != 1 {
		w.t.Fatalf("got %v, %v; want one container", containers, err)
	}
	var found struct {
		HostConfig struct {
			Runtime, NetworkMode, IpcMode string
			Init                          bool
			Binds                         []string
			Ulimits                       []struct{ Name string }
		}
	}
	if err := w.cluster.Docker.Ask(w.t.Context(), "/containers/"+containers[0].ID+"/json", &found); err != nil {
		w.t.Fatal(err)
	}
	host := found.HostConfig
	if host.Runtime != "nvidia" || host.NetworkMode != "host" || host.IpcMode != "host" || !host.Init || len(host.Ulimits) != 2 ||
		!slices.Contains(host.Binds, weights) || !slices.Contains(host.Binds, w.cfg.Self+":/usr/local/bin/pilotlight:ro") {
		w.t.Errorf("the slot runs in %+v", host)
	}
}
