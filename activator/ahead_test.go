package activator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// wantAhead holds what explain says of a request now, and of the time without one, against what it must contain.
func (w *world) wantAhead(id, request, ahead string) {
	w.Helper()
	e, err := w.a.Explain(id)
	if err != nil {
		w.Fatal(err)
	}
	for _, said := range []struct{ got, want string }{{e.Request, request}, {e.Ahead, ahead}} {
		if !strings.Contains(said.got, said.want) || said.want == "" && said.got != "" {
			w.Errorf("%s: got %q, want %q", id, said.got, said.want)
		}
	}
}

// TestExplain_ForetellsWhatARequestFindsAndWhatComesWithout also waits for what was foretold.
func TestExplain_ForetellsWhatARequestFindsAndWhatComesWithout(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8), model("b", 8), model("huge", 16)}, func(w *world) {
		time.Sleep(time.Second)
		w.wantAhead("a", "would start it from cold on GPUs 0 to 7 of slot local-0: about 1m40s, as a guess: it was never started", "")
		w.wantAhead("huge", "would be refused: needs 16 GPUs", "")
		c := w.ask(activator.Ask{Model: "a"})
		time.Sleep(5 * time.Second)
		w.wantAhead("a", "would wait for the one on its way", "")
		w.wait(c)
		w.wantAhead("a", "would be served at once", "")
		c.release(activator.Succeeded)
		a := c.lease.Instance
		at := time.Now().Add(30 * time.Second) // idle_after
		time.Sleep(10 * time.Second)
		w.wantAhead("a", "would be served at once", fmt.Sprintf("%s will be parked at %s UTC, in 20s", a, at.UTC().Format("15:04:05")))
		w.wantAhead("b", "would park idle "+a+" of a, then start it from cold on GPUs 0 to 7 of slot local-0: about 1m52s", "")
		time.Sleep(time.Until(at) - time.Second)
		w.wantState("a", "hot")
		time.Sleep(time.Second + w.parkTime)
		w.wantState("a", "parked")
		w.wantAhead("a", "would resume "+a+" from parked on GPUs 0 to 7 of slot local-0: about 6s, as a guess: it was never resumed", "stays parked until")
		w.serve("a", time.Second)
		time.Sleep(time.Minute)
		w.wantAhead("a", "from parked on GPUs 0 to 7 of slot local-0: about 3s", "stays parked until")
	}, parking())
}

func TestExplain_ForetellsAStopWhereNothingIsParked(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8)}, func(w *world) {
		w.serve("a", time.Second)
		w.wantAhead("a", "would be served at once", "will be stopped at")
		if err := w.a.Hold("a", time.Hour); err != nil {
			t.Fatal(err)
		}
		w.wantAhead("a", "would be served at once", "in 1h")
		time.Sleep(time.Hour + time.Minute)
		w.wantState("a", "cold")
	})
}

func TestExplain_ForetellsTheWaitForWhoIsBusy(t *testing.T) {
	inWorld(t, []*fleet.Model{model("a", 8), model("b", 8)}, func(w *world) {
		c := w.ask(activator.Ask{Model: "a"})
		w.wait(c)
		w.wantAhead("b", "would wait until those who are busy there may go, then start it", "")
		c.release(activator.Succeeded)
	}, parking())
}
