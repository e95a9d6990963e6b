//go:build unix

package nomad_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// sizes are published models of 8, 4, 2 and 1 GPUs, in an order in which two nodes of 8 have room for all.
var sizes = []string{
	"meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", "meta-llama/Meta-Llama-3-70B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3",
	"meta-llama/Meta-Llama-3-8B-Instruct",
}

// TestDocker_RunsTheJobsOfRealNodes has the docker driver run the jobs that are meant for H100s, the image's program being the simulator.
func TestDocker_RunsTheJobsOfRealNodes(t *testing.T) {
	w := begin(t, cluster.Config{Nodes: 2, GPUs: 8, Docker: true})
	hang := silent(t)
	for _, m := range config.Catalogue() {
		if slices.Contains(sizes, m.ID) {
			m.Pool, m.Engine.Env = "", map[string]string{"LIVES_IN": "a container"}
			m.Engine.Volumes = []string{t.TempDir() + ":/weights:ro"}
			m.Engine.Args = append(m.Engine.Args, "--sim-speed", "1000", "--sim-container-start", "0s")
			w.cfg.Models = append(w.cfg.Models, m)
		}
	}
	w.cfg.Models = append(w.cfg.Models, &fleet.Model{ID: "org/far", GPUs: 1, Engine: fleet.EngineSpec{
		Kind: fleet.EngineTRTLLM, Image: hang + "/engine:1", Weights: "org/far",
	}})
	w.Nomad = w.backend(nil)
	w.watch(w.Nomad, w.said)

	for _, id := range sizes {
		w.act(fleet.ActLaunch, slugOf(id), id)
	}
	for _, m := range w.cfg.Models {
		if m.ID != "org/far" {
			w.runs(m)
		}
	}
	w.act(fleet.ActLaunch, "far", "org/far")
	w.until("the image to be pulled", "far", func(s *fleet.Sighting, _ fleet.Observation) bool {
		return s != nil && s.Phase == fleet.PhasePulling && s.Failure == ""
	})
	if log := w.log.String(); !strings.Contains(log, `"the image is pulled" model=org/far instance=far reason="Downloading image"`) {
		t.Errorf("want the driver's words in\n%s", log)
	}
	w.act(fleet.ActStop, "far", "org/far")
	for _, id := range sizes {
		w.act(fleet.ActStop, slugOf(id), id)
	}
	for _, id := range sizes {
		w.until(id+" to be gone", slugOf(id), gone)
	}
	stopped := time.Now()
	w.eventually("no container", func() bool {
		var left []any
		return w.cluster.Docker.Ask(t.Context(), "/containers/json?all=true", &left) == nil && len(left) == 0
	})
	w.eventually("the time in which images go that are not kept", func() bool { return time.Since(stopped) > 3*time.Second })
	if err := w.cluster.Docker.Ask(t.Context(), "/images/"+cluster.Image+"/json", nil); err != nil {
		t.Errorf("the image has gone with its containers: %v", err)
	}
}

func slugOf(model string) string {
	return strings.ToLower(strings.NewReplacer("/", "-", ".", "-").Replace(model))
}

// runs waits for an instance's first token, and looks at its container.
func (w *world) runs(m *fleet.Model) {
	w.t.Helper()
	s := w.until(m.ID+" to be placed", slugOf(m.ID), placed)
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := engine.Probe(ctx, m, s.Addr, func(fleet.Phase) {}); err != nil {
		w.t.Fatalf("%s generates no token: %v", m.ID, err)
	}
	var containers []struct {
		ID     string
		Labels map[string]string
	}
	if err := w.cluster.Docker.Ask(ctx, "/containers/json", &containers); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range containers {
		var found struct {
			Config struct {
				Image string
				Env   []string
			}
			HostConfig struct {
				Runtime, NetworkMode, IpcMode string
				Init                          bool
				Binds                         []string
				Memory                        uint64
				Ulimits                       []struct{ Name string }
			}
		}
		if err := w.cluster.Docker.Ask(ctx, "/containers/"+c.ID+"/json", &found); err != nil {
			w.t.Fatal(err)
		}
		if !slices.Contains(found.Config.Env, "NOMAD_META_pilotlight_instance="+slugOf(m.ID)) {
			continue
		}
		host := found.HostConfig
		if found.Config.Image == "" || host.Runtime != "nvidia" || host.NetworkMode != "host" || host.IpcMode != "host" || !host.Init ||
			host.Memory != uint64(m.Engine.Memory) || len(host.Ulimits) != 2 || !slices.Contains(host.Binds, m.Engine.Volumes[0]) {
			w.t.Errorf("%s runs in %+v", m.ID, found)
		}
		for _, entry := range found.Config.Env {
			if name, value, _ := strings.Cut(entry, "="); name == "NVIDIA_VISIBLE_DEVICES" && len(strings.Split(value, ",")) != m.GPUs {
				w.t.Errorf("%s sees the GPUs %s, want %d", m.ID, value, m.GPUs)
			}
		}
		if !slices.Contains(found.Config.Env, "LIVES_IN=a container") {
			w.t.Errorf("%s has the environment %q", m.ID, found.Config.Env)
		}
		return
	}
	w.t.Errorf("%s runs in none of the containers", m.ID)
}

// silent is the address of an image registry that never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // connections wait to be accepted, for ever
	return l.Addr().String()
}

// eventually waits until something holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited a minute for %s", what)
		}
	}
}
