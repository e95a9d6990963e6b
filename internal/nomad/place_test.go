//go:build unix

package nomad_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// TestNomad_KeepsToItsPlace has three nodes, of which one is where the back end may be, and other Pilotlights beside it.
func TestNomad_KeepsToItsPlace(t *testing.T) {
	w := begin(t, cluster.Config{
		Nodes: 3, GPUs: 8,
		NodePool:   func(node int) string { return []string{"", "", "gpu", "gpu"}[node] },
		Datacenter: func(node int) string { return []string{"", "", "east-1", "west-1"}[node] },
	})
	w.cfg.Models = simulated(t)
	if _, err := w.client.Namespaces().Register(&api.Namespace{Name: "ml"}, nil); err != nil {
		t.Fatal(err)
	}
	ours := func(c *nomad.Config) { c.Namespace, c.NodePool, c.Datacenters = "ml", "gpu", []string{"east-*"} }
	ours(&w.cfg)
	w.Nomad = w.backend(nil)
	w.watch(w.Nomad, w.said)

	w.act(fleet.ActLaunch, "i1", "org/one")
	s := w.until("i1 to be placed", "i1", placed)
	node, _, err := w.client.Nodes().Info(s.Node, nil)
	if err != nil {
		t.Fatal(err)
	}
	if node.NodePool != "gpu" || node.Datacenter != "east-1" {
		t.Errorf("i1 is in node pool %s and datacenter %s, want gpu and east-1", node.NodePool, node.Datacenter)
	}
	w.until("its node to be the only one", "i1", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return len(o.Nodes) == 1 && o.Nodes[0].ID == s.Node && o.Nodes[0].Used == 0
	})
	w.neighbours(s.Node)
	w.nowhere()
	w.secrets()
}

// neighbours runs two other Pilotlights: one of another cluster in our namespace, one of our cluster's name in another namespace.
func (w *world) neighbours(node string) {
	w.t.Helper()
	other := w.backend(func(c *nomad.Config) { c.Cluster = "test-org" })
	far := w.backend(func(c *nomad.Config) { c.Namespace = "default" })
	heard := make(chan fleet.Observation, 1000)
	w.watch(other, heard)
	for _, n := range []*nomad.Nomad{other, far} {
		if err := n.Do(w.t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "i1", Model: "org/one"}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.until("the GPUs of both to be in use by others", "i1", func(s *fleet.Sighting, o fleet.Observation) bool {
		return placed(s, o) && len(o.Instances) == 1 && len(o.Nodes) == 1 && o.Nodes[0].ID == node && o.Nodes[0].Used == 2
	})
	w.act(fleet.ActStop, "i1", "org/one")
	w.until("i1 to be gone", "i1", gone)
	for job, namespace := range map[string]string{nomad.JobName("test-org", "org/one", "i1"): "ml", nomad.JobName("test", "org/one", "i1"): "default"} {
		found, _, err := w.client.Jobs().Info(job, &api.QueryOptions{Namespace: namespace})
		if err != nil || *found.Stop {
			w.t.Errorf("%s in %s has been stopped with ours: %v", job, namespace, err)
		}
	}

	// Two clusters may name one job: test of org/org-one is test-org of org/one.
	w.cfg.Models = append(w.cfg.Models, &fleet.Model{ID: "org/org/one", GPUs: 1, Engine: w.cfg.Models[0].Engine})
	rival := w.backend(nil)
	for _, kind := range []fleet.ActKind{fleet.ActLaunch, fleet.ActStop} {
		if err := rival.Do(w.t.Context(), fleet.Act{Kind: kind, Instance: "i1", Model: "org/org/one"}); !errors.Is(err, nomad.ErrForeign) {
			w.t.Errorf("%s of another cluster's job by its name: got %v, want %v", kind, err, nomad.ErrForeign)
		}
	}
	if o := last(heard); len(o.Instances) != 1 || o.Instances[0].ID != "i1" || o.Instances[0].State != fleet.Starting {
		w.t.Errorf("the other cluster sees %+v, want its i1 alone, untouched", o.Instances)
	}
}

// last is all that was said.
func last(said chan fleet.Observation) fleet.Observation {
	told := make(picture)
	o := told.take(<-said)
	for len(said) > 0 {
		o = told.take(<-said)
	}
	return o
}

// nowhere has instances that no node may hold.
func (w *world) nowhere() {
	w.t.Helper()
	lost := make(chan fleet.Observation, 1000)
	n := w.backend(func(c *nomad.Config) { c.Cluster, c.Datacenters = "lost", []string{"south"} })
	w.watch(n, lost)
	if err := n.Do(w.t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "i2", Model: "org/one"}); err != nil {
		w.t.Fatal(err)
	}
	elsewhere := &world{t: w.t, said: lost}
	s := elsewhere.until("i2 to be impossible", "i2", func(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil && s.Unplaced != "" })
	if want := "no node can hold it: none is in node pool gpu and datacenters south"; s.Unplaced != fleet.UnplacedImpossible || s.Failure != want {
		w.t.Errorf("i2 is %q with %q, want impossible with %q", s.Unplaced, s.Failure, want)
	}
	huge := &fleet.Model{ID: "org/huge", GPUs: 1, Engine: w.cfg.Models[0].Engine}
	huge.Engine.Memory = 3 << 40
	w.cfg.Models = append(w.cfg.Models, huge)
	roomy := make(chan fleet.Observation, 1000)
	n = w.backend(func(c *nomad.Config) { c.Cluster = "roomy" })
	w.watch(n, roomy)
	if err := n.Do(w.t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "h1", Model: "org/huge"}); err != nil {
		w.t.Fatal(err)
	}
	elsewhere.said = roomy
	s = elsewhere.until("h1 to be impossible", "h1", func(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil && s.Unplaced != "" })
	if want := "no node can hold it: it asks for 3145728 MiB of memory, and the largest has 2000000"; s.Unplaced != fleet.UnplacedImpossible || s.Failure != want {
		w.t.Errorf("h1 is %q with %q, want impossible with %q", s.Unplaced, s.Failure, want)
	}
	missing := w.backend(func(c *nomad.Config) { c.Cluster, c.NodePool = "lost", "none" })
	err := missing.Do(w.t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "i3", Model: "org/one"})
	if err == nil || !strings.Contains(err.Error(), `nonexistent node pool "none"`) {
		w.t.Errorf("a launch in a node pool that does not exist: got %v, want Nomad's words", err)
	}
	absent := w.backend(func(c *nomad.Config) { c.Namespace = "none" })
	err = absent.Do(w.t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "i3", Model: "org/one"})
	if err == nil || !strings.Contains(err.Error(), `nonexistent namespace "none"`) {
		w.t.Errorf("a launch in a namespace that does not exist: got %v, want Nomad's words", err)
	}
}

// secrets runs an instance whose secrets come from a Nomad Variable, which at first does not exist.
func (w *world) secrets() {
	w.t.Helper()
	m := w.secretive()
	n := w.backend(nil)
	if err := n.Do(w.t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "s1", Model: m.ID}); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the missing variable to be logged", func() bool {
		return strings.Contains(w.log.String(), `"the instance waits for its secrets" model=org/secret instance=s1 reason="Missing: nomad.var.block(pilotlight/engine@ml.global)"`)
	})
	variable := &api.Variable{Namespace: "ml", Path: "pilotlight/engine", Items: api.VariableItems{"HF_TOKEN": `hf "1"`}}
	if _, _, err := w.client.Variables().Create(variable, &api.WriteOptions{Namespace: "ml"}); err != nil {
		w.t.Fatal(err)
	}
	w.until("s1 to run", "s1", func(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil && s.Phase == fleet.PhaseLoading })
	w.seen(nomad.JobName("test", m.ID, "s1"), "ml")
	if err := n.Do(w.t.Context(), fleet.Act{Kind: fleet.ActStop, Instance: "s1", Model: m.ID}); err != nil {
		w.t.Fatal(err)
	}
}

// secretive adds a model whose engine runs only with the right secret, and writes down that it has it.
func (w *world) secretive() *fleet.Model {
	m := &fleet.Model{ID: "org/secret", GPUs: 1, Engine: fleet.EngineSpec{
		Kind: fleet.EngineOpenAI, Driver: "raw_exec", Secrets: "pilotlight/engine", Memory: 1 << 28, CPU: 100,
		Command: []string{"/bin/sh", "-c", `test "$HF_TOKEN" = "hf \"1\"" && echo known > "$NOMAD_ALLOC_DIR/seen" && exec sleep 600`},
	}}
	w.cfg.Models = append(w.cfg.Models, m)
	return m
}

// seen waits until the engine of a job has written that it knows its secret.
func (w *world) seen(job, namespace string) {
	w.t.Helper()
	q := &api.QueryOptions{Namespace: namespace}
	w.eventually("the engine to know its secret", func() bool {
		list, _, err := w.client.Jobs().Allocations(job, true, q)
		if err != nil || len(list) != 1 {
			return false
		}
		_, _, err = w.client.AllocFS().Stat(&api.Allocation{ID: list[0].ID, NodeID: list[0].NodeID}, "alloc/seen", q)
		return err == nil
	})
}
