//go:build unix

package nomad_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// pooled starts a cluster of one node with 2 GPUs, which are for the slots of a pool.
func pooled(t *testing.T) *world {
	t.Helper()
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 2})
	for id, gpus := range map[string]int{"meta-llama/Meta-Llama-3-8B-Instruct": 1, "mistralai/Mixtral-8x7B-Instruct-v0.1": 2} {
		w.cfg.Models = append(w.cfg.Models, &fleet.Model{
			ID: id, GPUs: gpus, Pool: "p", ParkedMemory: 1 << 30,
			Endpoints: []fleet.Endpoint{fleet.EndpointCompletions, fleet.EndpointChat}, MaxConcurrency: 4,
			Engine: fleet.EngineSpec{
				Kind: fleet.EngineSim, Driver: "raw_exec", Memory: 1 << 28, CPU: 200,
				Args: []string{"--sim-speed", "1000"},
			},
		})
	}
	w.cfg.Self, w.cfg.Consul, w.cfg.Pools = program(t), "off", ofTwo()
	w.Nomad = w.backend(nil)
	w.follow(w.Nomad)
	return w
}

// ofTwo is a pool of slots with 2 GPUs.
func ofTwo() []fleet.Pool {
	return []fleet.Pool{{
		Name: "p", GPUsPerSlot: 2, HostMemory: 8 << 30, MaxParkedPerGPU: 4, ParkedGPUMemory: 4 << 30, Slots: fleet.Range{Max: 2},
	}}
}

// program builds pilotlight as nodes have it: static, for it runs in the engines' image.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pilotlight")
	build := exec.Command("go", "build", "-o", path, "github.com/pilotlight-io/pilotlight/cmd/pilotlight")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return path
}

// key puts the slots' key into its variable, with other items.
func (w *world) key(others api.VariableItems) {
	w.t.Helper()
	items := api.VariableItems{"slot_key": slotKey}
	maps.Copy(items, others)
	if _, _, err := w.client.Variables().Create(&api.Variable{Path: nomad.KeyPath, Items: items}, nil); err != nil {
		w.t.Fatal(err)
	}
}

// in hands an act on a slot, or on an instance there, to the back end.
func (w *world) in(seq uint64, kind fleet.ActKind, slot, id, model string, gpus int) {
	w.t.Helper()
	act := fleet.Act{Kind: kind, Term: 1, Seq: seq, Pool: "p", Slot: slot, Instance: id, Model: model, GPUs: gpus}
	if err := w.Do(w.t.Context(), act); err != nil {
		w.t.Fatal(err)
	}
}

func inState(state fleet.State) func(*fleet.Sighting, fleet.Observation) bool {
	return func(s *fleet.Sighting, o fleet.Observation) bool {
		return s != nil && s.State == state && strings.HasPrefix(o.Source, "slot/")
	}
}

func TestNomad_SlotsLiveInJobs(t *testing.T) {
	w := pooled(t)
	const one, two = "meta-llama/Meta-Llama-3-8B-Instruct", "mistralai/Mixtral-8x7B-Instruct-v0.1"
	add := fleet.Act{Kind: fleet.ActAddSlot, Term: 1, Seq: 1, Pool: "p", Slot: "s1", GPUs: 2}
	if err := w.Do(t.Context(), add); !errors.Is(err, nomad.ErrNoSlotKey) || !strings.Contains(err.Error(), "nomad var put") {
		t.Errorf("without a key: got %v, want %v and what to do", err, nomad.ErrNoSlotKey)
	}
	w.key(nil)
	w.in(1, fleet.ActAddSlot, "s1", "", "", 2)
	w.in(1, fleet.ActAddSlot, "s1", "", "", 2) // said twice, done once
	w.slotIs("s1 to be pending", "s1", func(s *fleet.Slot) bool { return s != nil && s.Pending && s.Pool == "p" && s.GPUs == 2 })
	w.slotIs("s1 to be there", "s1", func(s *fleet.Slot) bool { return s != nil && !s.Pending && s.Node != "" && s.Host == 8<<30 })
	w.supervised("s1")

	w.in(2, fleet.ActLaunch, "s1", "i1", one, 1)
	w.until("i1 to be ready", "i1", inState(fleet.Ready))
	w.in(3, fleet.ActPark, "s1", "i1", one, 1)
	w.until("i1 to be parked", "i1", inState(fleet.Asleep))
	w.in(4, fleet.ActLaunch, "s1", "i2", two, 2)
	w.until("i2 to be ready", "i2", inState(fleet.Ready))
	w.in(5, fleet.ActStop, "s1", "i2", two, 2)
	w.until("i2 to be gone", "i2", func(s *fleet.Sighting, o fleet.Observation) bool {
		for _, i := range o.Instances {
			if i.ID == "i2" && i.Gone {
				return true
			}
		}
		return false
	})
	w.in(6, fleet.ActResume, "s1", "i1", one, 1)
	w.until("i1 to be ready again", "i1", inState(fleet.Ready))

	w.in(7, fleet.ActAddSlot, "s2", "", "", 2)
	w.slotIs("s2 to wait for room", "s2", func(s *fleet.Slot) bool { return s != nil && s.Pending && s.Unplaced == fleet.UnplacedExhausted })
	w.in(8, fleet.ActDropSlot, "s2", "", "", 2)
	w.slotIs("s2 to be gone", "s2", absent)
	w.impossible()
	w.restart(t)
	w.ineligible(t)
	w.loseSlot(t)
	w.drained(t)
}

// ineligible has the node of s1 take no new work.
func (w *world) ineligible(t *testing.T) {
	node := w.node(t)
	for _, want := range []fleet.Condition{fleet.PlaceIneligible, fleet.PlaceHealthy} {
		if _, err := w.client.Nodes().ToggleEligibility(node, want == fleet.PlaceHealthy, nil); err != nil {
			t.Fatal(err)
		}
		w.slotIs("s1 to have its node's condition", "s1", func(s *fleet.Slot) bool { return s != nil && s.Condition == want })
	}
}

// drained has the node of a slot drained: the slot is closed, then gone.
func (w *world) drained(t *testing.T) {
	w.in(11, fleet.ActAddSlot, "s4", "", "", 2)
	w.slotIs("s4 to be there", "s4", func(s *fleet.Slot) bool { return s != nil && !s.Pending && s.Condition == fleet.PlaceHealthy })
	if _, err := w.client.Nodes().UpdateDrain(w.node(t), &api.DrainSpec{Deadline: 20 * time.Second}, false, nil); err != nil {
		t.Fatal(err)
	}
	w.slotIs("s4 to take nothing", "s4", func(s *fleet.Slot) bool { return s != nil && !s.Condition.TakesLaunches() })
	w.slotIs("s4 to be gone", "s4", absent)
	w.stopped(nomad.SlotJobName("test", "s4"))
}

// node is the ID of the only one.
func (w *world) node(t *testing.T) string {
	nodes, _, err := w.client.Nodes().List(nil)
	if err != nil || len(nodes) != 1 {
		t.Fatalf("got %v, %v; want one node", nodes, err)
	}
	return nodes[0].ID
}

// impossible asks for a slot with more memory than any node has.
func (w *world) impossible() {
	huge := w.cfg.Pools[0]
	huge.Name, huge.HostMemory = "huge", 1<<50
	m := *w.cfg.Models[0]
	m.ID, m.Pool = "org/huge", "huge"
	second := &world{t: w.t, client: w.client, cfg: w.cfg, said: make(chan fleet.Observation, 1000), log: w.log}
	second.cfg.Models, second.cfg.Pools = []*fleet.Model{&m}, []fleet.Pool{huge}
	second.Nomad = second.backend(nil)
	defer second.follow(second.Nomad)()
	add := fleet.Act{Kind: fleet.ActAddSlot, Term: 1, Seq: 1, Pool: "huge", Slot: "h1", GPUs: 2}
	if err := second.Do(w.t.Context(), add); err != nil {
		w.t.Fatal(err)
	}
	second.slotIs("h1 to be impossible", "h1", func(s *fleet.Slot) bool { return s != nil && s.Pending && s.Unplaced == fleet.UnplacedImpossible })
	for _, words := range []string{`"no node can hold the slot" slot=h1 pool=huge reason="it asks for`, "a slot is of a pool that is not in the config"} {
		if !strings.Contains(w.log.String(), words) {
			w.t.Errorf("want %s in\n%s", words, w.log)
		}
	}
	add.Kind, add.Seq = fleet.ActDropSlot, 2
	if err := second.Do(w.t.Context(), add); err != nil {
		w.t.Fatal(err)
	}
	second.slotIs("h1 to be gone", "h1", absent)
}

// restart has another back end find the slot, and what is on it: Nomad's first list says of which supervisor to hear.
func (w *world) restart(t *testing.T) {
	second := &world{t: t, client: w.client, cfg: w.cfg, said: make(chan fleet.Observation, 1000), log: w.log}
	second.Nomad = second.backend(nil)
	end := second.follow(second.Nomad)
	second.until("Nomad's first list", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		if o.Source != nomad.Source {
			return false
		}
		if s := slotIn(o, "s1"); !o.Complete || s == nil || s.Pending || s.Supervisor != "slot/s1" || s.Node == "" {
			t.Errorf("the first list has %+v, want s1 with its supervisor", o.Slots)
		}
		return true
	})
	second.until("i1 to be found ready", "i1", inState(fleet.Ready))
	if err := second.Do(t.Context(), fleet.Act{Kind: fleet.ActPark, Term: 2, Seq: 1, Slot: "s1", Instance: "i1", GPUs: 1}); err != nil {
		t.Error(err)
	}
	second.until("i1 to be parked", "i1", inState(fleet.Asleep))
	end()
}

// loseSlot kills a slot's supervisor, and gives another one back.
func (w *world) loseSlot(t *testing.T) {
	name := nomad.SlotJobName("test", "s1")
	list := w.allocations(name)
	if len(list) != 1 {
		t.Fatalf("s1 has %d allocations, want one", len(list))
	}
	a, _, err := w.client.Allocations().Info(list[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Allocations().Signal(a, nil, "slot", "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	w.until("i1 to be gone with its slot", "i1", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return o.Source == "slot/s1" && len(o.Instances) == 1 && o.Instances[0].Gone && o.Instances[0].Cause == fleet.CausePlace &&
			o.Instances[0].Failure == "its slot has ended: killed by signal 9"
	})
	w.slotIs("s1 to be gone", "s1", absent)
	w.eventually("its job to be stopped", func() bool {
		job, _, err := w.client.Jobs().Info(name, nil)
		return err == nil && *job.Stop
	})
	if len(w.allocations(name)) != 1 {
		t.Error("Nomad has started s1 again")
	}
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: 2, Seq: 2, Slot: "s1", Instance: "i1"}); err != nil {
		t.Errorf("stopping what was on a lost slot: %v", err)
	}
	w.in(9, fleet.ActAddSlot, "s3", "", "", 2)
	w.slotIs("s3 to be there", "s3", func(s *fleet.Slot) bool { return s != nil && !s.Pending })
	w.in(10, fleet.ActDropSlot, "s3", "", "", 2)
	w.slotIs("s3 to be gone", "s3", absent)
}
