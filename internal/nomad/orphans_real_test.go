//go:build unix

package nomad_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// TestNomad_StopsOrphansAndNobodyElse has jobs of a neighbour, of a model and a pool that are gone from the config, and of ours.
func TestNomad_StopsOrphansAndNobodyElse(t *testing.T) {
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 8})
	for _, m := range simulated(t) {
		if m.ID == "org/one" {
			two := *m
			two.ID, two.GPUs = "org/two", 2
			w.cfg.Models = []*fleet.Model{m, &two}
		}
	}
	neighbour := w.backend(func(c *nomad.Config) { c.Cluster = "test-old" })
	launch := func(n *nomad.Nomad, id, model string) {
		t.Helper()
		if err := n.Do(t.Context(), fleet.Act{Kind: fleet.ActLaunch, Term: 1, Seq: 1, Instance: id, Model: model}); err != nil {
			t.Fatal(err)
		}
	}
	launch(neighbour, "theirs", "org/one")
	w.Nomad = w.backend(func(c *nomad.Config) { c.Pools = ofTwo() })
	launch(w.Nomad, "ours", "org/one")
	launch(w.Nomad, "former", "org/two")
	w.key(nil)
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActAddSlot, Term: 1, Seq: 2, Pool: "p", Slot: "s1", GPUs: 2}); err != nil {
		t.Fatal(err)
	}
	w.foreignJob("pilotlight-test-stranger")
	w.Configure(w.cfg.Models[:1], nil)

	theirs, former, slot := nomad.JobName("test-old", "org/one", "theirs"), nomad.JobName("test", "org/two", "former"), nomad.SlotJobName("test", "s1")
	want := []fleet.Orphan{
		{ID: former, Kind: fleet.OrphanInstance, Why: fleet.OrphanOfModel, Cluster: "test", Model: "org/two", GPUs: 2},
		{ID: slot, Kind: fleet.OrphanSlot, Why: fleet.OrphanOfPool, Cluster: "test", Pool: "p", GPUs: 0}, // Docker is missing
		{ID: theirs, Kind: fleet.OrphanInstance, Why: fleet.OrphanOfCluster, Cluster: "test-old", Model: "org/one", GPUs: 1},
	}
	var got []fleet.Orphan
	w.eventually("the orphans to be placed", func() bool {
		var err error
		if got, err = w.Orphans(t.Context()); err != nil {
			t.Fatal(err)
		}
		placed := 0
		for _, o := range got {
			if o.Node != "" {
				placed++
			}
		}
		return placed == 2
	})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(fleet.Orphan{}, "Node", "Since")); diff != "" {
		t.Errorf("orphans (-want +got):\n%s", diff)
	}
	for _, o := range got {
		if ago := time.Since(o.Since); ago < 0 || ago > 5*time.Minute {
			t.Errorf("%s is there since %v", o.ID, o.Since)
		}
	}

	for _, row := range []struct {
		id, cluster string
		want        error
		says        string
	}{
		{theirs, "", fleet.ErrOtherCluster, `"test-old"`},
		{theirs, "test", fleet.ErrOtherCluster, `"test-old"`},
		{former, "test-old", fleet.ErrOtherCluster, `"test"`},
		{nomad.JobName("test", "org/one", "ours"), "", fleet.ErrCared, "org/one"},
		{nomad.JobName("test", "org/one", "ours"), "test", fleet.ErrCared, "org/one"},
		{"pilotlight-test-stranger", "", fleet.ErrNoOrphan, "no Pilotlight's"},
		{"nothing", "", fleet.ErrNoOrphan, ""},
	} {
		if _, err := w.StopOrphan(t.Context(), row.id, row.cluster); !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("stopping %s of %q: got %v, want %v and %s", row.id, row.cluster, err, row.want, row.says)
		}
	}
	if list, err := w.Orphans(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("after what was refused: got %+v, %v, want all three", list, err)
	}
	for id, cluster := range map[string]string{theirs: "test-old", former: "", slot: "test"} {
		if o, err := w.StopOrphan(t.Context(), id, cluster); err != nil || o.ID != id {
			t.Errorf("stopping %s: got %+v, %v", id, o, err)
		}
	}
	if list, err := w.Orphans(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("at last: got %+v, %v, want none", list, err)
	}
	for _, id := range []string{nomad.JobName("test", "org/one", "ours"), "pilotlight-test-stranger"} {
		if job, _, err := w.client.Jobs().Info(id, nil); err != nil || *job.Stop {
			t.Errorf("%s is stopped, or gone: %v", id, err)
		}
	}
}

// foreignJob runs a job that is no Pilotlight's, but for its name.
func (w *world) foreignJob(name string) {
	w.t.Helper()
	text, err := w.Render("org/one")
	if err != nil {
		w.t.Fatal(err)
	}
	job, err := w.client.Jobs().ParseHCL(text, true)
	if err != nil {
		w.t.Fatal(err)
	}
	job.ID, job.Name, job.Meta = &name, &name, nil
	if _, _, err := w.client.Jobs().Register(job, nil); err != nil {
		w.t.Fatal(err)
	}
}
