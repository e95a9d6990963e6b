//go:build unix

package nomad_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// TestNomad_FencesOlderServers has a newer server take over from an older one, which does not know.
func TestNomad_FencesOlderServers(t *testing.T) {
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 8})
	w.cfg.Models = simulated(t)
	older := w.backend(func(c *nomad.Config) { c.Log = nil })
	launch := fleet.Act{Kind: fleet.ActLaunch, Term: 5, Seq: 1, Instance: "early", Model: "org/one"}
	if err := older.Fence(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if err := older.Do(t.Context(), launch); err != nil {
		t.Fatal(err)
	}
	w.Nomad = w.backend(nil)
	if err := w.Fence(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	w.watch(w.Nomad, w.said)
	answers(t, w.until("early to be placed", "early", placed).Addr)

	refused := launch
	refused.Instance = "refused"
	for who, n := range map[string]*nomad.Nomad{"the older server": older, "the newer one": w.Nomad} {
		if err := n.Do(t.Context(), refused); !errors.Is(err, fleet.ErrFenced) {
			t.Errorf("%s launches with the older term: got %v, want %v", who, err, fleet.ErrFenced)
		}
	}
	if _, _, err := w.client.Jobs().Info(nomad.JobName("test", "org/one", "refused"), nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the refused launch has a job: %v", err)
	}

	late := w.submit("late", "5")
	w.eventually("the late job to be stopped", func() bool {
		job, _, err := w.client.Jobs().Info(late, nil)
		if err != nil {
			t.Fatal(err)
		}
		return *job.Stop
	})
	byHand := w.submit("hand", "")
	w.until("a job by hand to be placed", "hand", placed)
	for _, id := range []string{byHand, nomad.JobName("test", "org/one", "early")} {
		if job, _, err := w.client.Jobs().Info(id, nil); err != nil || *job.Stop {
			t.Errorf("%s is stopped, or gone: %v", id, err)
		}
	}
	next := fleet.Act{Kind: fleet.ActLaunch, Term: 6, Seq: 1, Instance: "next", Model: "org/one"}
	if err := w.Do(t.Context(), next); err != nil {
		t.Errorf("the newer server launches: %v", err)
	}
	w.until("next to be placed", "next", placed)
}

// submit runs the job of an instance of org/one as a server of some term would have; "" = as an operator would. It gives the job's name.
func (w *world) submit(instance, term string) string {
	w.t.Helper()
	text, err := w.Render("org/one")
	if err != nil {
		w.t.Fatal(err)
	}
	text = strings.Replace(text, `default     = "manual"`, `default     = "`+instance+`"`, 1)
	text = regexp.MustCompile(`(?s)(variable "term".*?default     = )""`).ReplaceAllString(text, `${1}"`+term+`"`)
	job, err := w.client.Jobs().ParseHCL(text, true)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := w.client.Jobs().RegisterOpts(job, &api.RegisterOptions{EnforceIndex: true}, nil); err != nil {
		w.t.Fatal(err)
	}
	return *job.ID
}

// TestNomad_SaysWhatWasLaunched has arguments that HCL, JSON or Nomad might read otherwise.
func TestNomad_SaysWhatWasLaunched(t *testing.T) {
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 8})
	m := &fleet.Model{ID: "org/odd", GPUs: 2, MaxConcurrency: 7, ParkedMemory: 3 << 30, Engine: fleet.EngineSpec{
		Kind: fleet.EngineOpenAI, Driver: "raw_exec", Memory: 1 << 28, CPU: 200, Command: []string{"/bin/sleep"},
		Args: []string{"1000", "${port}", "${node.unique.id}", "%{if x}", `{"a": "b\n"}`, "<&>", "ü", `\`},
	}}
	w.Nomad = w.backend(nil) // which knows no models: the act brings its own
	act := fleet.Act{Kind: fleet.ActLaunch, Term: 3, Seq: 1, Instance: "i1", Model: m.ID, Config: m, Parked: 5 << 30}
	if err := w.Do(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	job, _, err := w.client.Jobs().Info(nomad.JobName("test", m.ID, "i1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got fleet.Spec
	if err := json.Unmarshal([]byte(job.Meta["pilotlight_spec"]), &got); err != nil {
		t.Fatalf("%v in %q", err, job.Meta["pilotlight_spec"])
	}
	if diff := cmp.Diff(fleet.NewSpec(m, 5<<30), &got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if job.Meta["pilotlight_term"] != "3" {
		t.Errorf("got term %q, want 3", job.Meta["pilotlight_term"])
	}
	w.eventually("it to run with its meta", func() bool {
		list := w.allocations(*job.ID)
		return len(list) == 1 && list[0].ClientStatus != api.AllocClientStatusPending
	})
}
