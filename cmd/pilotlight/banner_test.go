package main

import (
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestBanner_SaysWhichModelsAreReal, and greets with one of them.
func TestBanner_SaysWhichModelsAreReal(t *testing.T) {
	sim := func(id string) *fleet.Model {
		return &fleet.Model{ID: id, Engine: fleet.EngineSpec{Kind: fleet.EngineSim}}
	}
	tiny, other := engine.GGUF("/models/tiny.gguf"), engine.GGUF("/models/other.gguf")
	for _, row := range []struct {
		name   string
		models []*fleet.Model
		greets string
		says   string
	}{
		{"none", []*fleet.Model{sim("acme/a"), sim(greeted)}, greeted, "Engines are simulated, 20 times faster than life: "},
		{"one", []*fleet.Model{sim("acme/a"), sim(greeted), tiny}, "local/tiny", "local/tiny is real. All other engines are simulated, "},
		{"two", []*fleet.Model{sim(greeted), tiny, other}, "local/tiny", "local/tiny, local/other are real. All other engines are simulated, "},
		{"all", []*fleet.Model{other, tiny}, "local/other", "All engines are real.\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out strings.Builder
			env := quietEnv()
			env.Stdout = &out
			b := banner{SimSpeed: 20}.of(row.models)
			b.Curl = curlLine("http://127.0.0.1:8080/v1", "pl_secret", greetedOf(row.models))
			if err := b.print(env, false); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "\n"+row.says) {
				t.Errorf("no %q in\n%s", row.says, &out)
			}
			if _, curl, _ := strings.Cut(out.String(), "curl -N "); !strings.Contains(curl, `"model": "`+row.greets+`"`) {
				t.Errorf("the curl line is %q, want one of %s", curl, row.greets)
			}
		})
	}
}
