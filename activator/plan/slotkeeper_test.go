package plan

import (
	"errors"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestSlot_OneThatIsRefusedForEverIsAskedForUnderAnotherName: what was ended before anybody saw it is refused for as long as it is asked for.
func TestSlot_OneThatIsRefusedForEverIsAskedForUnderAnotherName(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.slots = []fleet.Slot{}
	g.lists()
	w := g.asks("m")
	first := g.next(fleet.ActAddSlot)
	for act := first; ; act = g.next(fleet.ActAddSlot) {
		if act.Slot != first.Slot {
			break
		}
		if g.now > time.Hour {
			t.Fatalf("%s is still asked for after an hour", act.Slot)
		}
		g.answers(act, errors.New("it was ended"))
		for len(g.acts) == 0 {
			g.pass(5 * time.Second)
			g.lists()
		}
		if g.acts[0].Kind == fleet.ActDropSlot {
			g.takes(fleet.ActDropSlot, nil)
			g.pass(time.Second)
			g.lists()
		}
	}
	g.wantWaits(w)
}

// TestSlot_GivenBackUnplacedIsTriedAnew: what the back end could place nowhere once may find a place later, so nobody is refused for ever because of it.
func TestSlot_GivenBackUnplacedIsTriedAnew(t *testing.T) {
	g := newStage(t, []fleet.Pool{h100}, stageModel("m", "h100", 8, 1))
	g.lists()
	w := g.asks("m")
	act := g.takes(fleet.ActAddSlot, nil)
	g.slots = []fleet.Slot{{ID: act.Slot, Pool: "h100", GPUs: 8, Pending: true, Unplaced: fleet.UnplacedImpossible}}
	g.lists()
	g.step()
	if _, err := w.Answer(); !errors.Is(err, dispatch.ErrNoCapacity) {
		t.Fatalf("got %v, want no capacity", err)
	}
	g.pass(3 * time.Minute)
	g.takes(fleet.ActDropSlot, nil)
	g.slots = nil
	g.step()
	g.wantWaits(g.asks("m"))
	g.takes(fleet.ActAddSlot, nil)
}
