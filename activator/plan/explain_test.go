package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestExplain_ChangesNothing: it looks for the room that a request would get, and nothing is otherwise afterwards.
func TestExplain_ChangesNothing(t *testing.T) {
	g := newStage(t, []fleet.Pool{{Name: "h100"}}, stageModel("a", "h100", 8, 1), stageModel("b", "h100", 8, 2), stageModel("c", "h100", 8, 1), stageModel("d", "", 8, 1))
	g.nodes = []fleet.Node{{ID: "x", GPUs: 8}}
	g.withSlots("s", "t")
	g.hot("a")
	g.onNode("d", "x")
	g.asks("b")
	g.pass(time.Second)
	all := func() string {
		said := fmt.Sprintf("%+v", *g.p.state)
		for _, m := range g.p.models {
			said += fmt.Sprintf("\n%+v", *m)
		}
		for _, i := range g.p.instances {
			said += fmt.Sprintf("\n%+v", *i)
		}
		for _, s := range g.p.pool("h100").slots {
			said += fmt.Sprintf("\n%+v", *s)
		}
		return said
	}
	before := ""
	for range 2 { // what the first one has asked of the policy is remembered
		before = all()
		for _, m := range g.p.models {
			if _, err := g.p.Explain(g.now, m.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after := all(); after != before {
		t.Errorf("got after it:\n%s\nwant as before it:\n%s", after, before)
	}
}

// TestExplain_OneMoreRequest is asked about as if it came now, though others wait.
func TestExplain_OneMoreRequest(t *testing.T) {
	g := newStage(t, []fleet.Pool{{Name: "h100"}}, stageModel("a", "h100", 8, 1), stageModel("b", "h100", 8, 1))
	g.withSlots("s")
	g.hot("a")
	g.asks("b")
	g.pass(3 * time.Second)
	e, err := g.p.Explain(g.now, "b")
	if want := "would wait until those who are busy there may go, then start it from cold on GPUs 0 to 7 of slot s"; err != nil || !strings.HasPrefix(e.Request, want) {
		t.Errorf("got %q, %v, want %q", e.Request, err, want)
	}
}
