package nomad_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// A slot lives with what its job was launched with: what it lacks of a changed config is told, and a launch that comes all the same is refused, as the place's fault.
func TestSlots_ThatLackSomethingOfThePresentConfig(t *testing.T) {
	model := func(change func(*fleet.EngineSpec)) []*fleet.Model {
		m := &fleet.Model{ID: "m", Pool: "p", GPUs: 1, Engine: fleet.EngineSpec{
			Kind: fleet.EngineTRTLLM, Driver: "raw_exec", Image: "i:1", Volumes: []string{"/a:/a", "/b:/b"}, Secrets: "s/m", Memory: 2 << 30, CPU: 1000,
		}}
		change(&m.Engine)
		return []*fleet.Model{m}
	}
	same := func(*fleet.EngineSpec) {}
	for name, row := range map[string]struct {
		change func(*fleet.EngineSpec)
		want   string
	}{
		"nothing":            {same, ""},
		"arguments":          {func(e *fleet.EngineSpec) { e.Args = []string{"--x"} }, ""},
		"an image":           {func(e *fleet.EngineSpec) { e.Image = "i:2" }, "image"},
		"a driver":           {func(e *fleet.EngineSpec) { e.Driver = "docker" }, "driver"},
		"one volume more":    {func(e *fleet.EngineSpec) { e.Volumes = append(e.Volumes, "/c:/c") }, "volumes"},
		"one volume less":    {func(e *fleet.EngineSpec) { e.Volumes = e.Volumes[:1] }, ""},
		"other secrets":      {func(e *fleet.EngineSpec) { e.Secrets = "s/n" }, "secrets"},
		"no secrets":         {func(e *fleet.EngineSpec) { e.Secrets = "" }, "secrets"},
		"more memory, a CPU": {func(e *fleet.EngineSpec) { e.Memory, e.CPU = 3<<30, 2000 }, "memory, cpu"},
		"less memory":        {func(e *fleet.EngineSpec) { e.Memory = 1 << 30 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := pretend(t, model(same)...)
			j := slotJob("s1")
			text, err := w.RenderSlot("p", "s1")
			if err != nil {
				t.Fatal(err)
			}
			if j.Meta["pilotlight_spec"], err = strconv.Unquote(defaultOf(text, "spec")); err != nil {
				t.Fatal(err)
			}
			f.put(j)
			f.put(slotJob("by-hand"))
			w.watch(w.Nomad, w.said)
			w.slotIs("s1 to be told", "s1", func(s *fleet.Slot) bool { return s != nil && s.Outdated == "" })
			w.Configure(model(row.change), w.cfg.Pools)
			w.until("s1 and the one by hand to be told again", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
				found := 0
				for _, s := range o.Slots {
					if s.ID == "s1" && s.Outdated == row.want || s.ID == "by-hand" && s.Outdated == "" {
						found++
					}
				}
				return found == 2
			})
			err = w.Do(t.Context(), fleet.Act{Kind: fleet.ActLaunch, Term: 1, Seq: 1, Pool: "p", Slot: "s1", Instance: "i1", Model: "m", GPUs: 1})
			if refused := errors.Is(err, fleet.ErrPlaceClosed) && !errors.Is(err, nomad.ErrNoSlot); refused != (row.want != "") {
				t.Errorf("a launch there: got %v, want it refused: %v", err, row.want != "")
			}
		})
	}
}
