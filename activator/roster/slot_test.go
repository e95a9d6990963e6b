package roster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestSlot_ConditionIsTheWorstSaid(t *testing.T) {
	const (
		healthy, ineligible, draining  = fleet.PlaceHealthy, fleet.PlaceIneligible, fleet.PlaceDraining
		closing, unreachable, silenced = fleet.PlaceClosing, fleet.PlaceUnreachable, true
	)
	for _, tt := range []struct {
		node, own fleet.Condition
		silent    bool
		want      fleet.Condition
	}{
		{healthy, healthy, false, healthy},
		{ineligible, healthy, false, ineligible},
		{healthy, closing, false, closing},
		{draining, healthy, false, draining},
		{draining, closing, false, closing},
		{ineligible, closing, false, closing},
		{unreachable, healthy, false, unreachable},
		{unreachable, closing, false, unreachable},
		{healthy, healthy, silenced, unreachable},
		{draining, healthy, silenced, unreachable},
	} {
		t.Run(fmt.Sprintf("%s+%s+%v", tt.node, tt.own, tt.silent), func(t *testing.T) {
			w := newWorld(t)
			w.hears(list("nomad", node("n"), in(listed("x"), tt.node)))
			w.hears(list("slot/x", in(listed("x"), tt.own)))
			if tt.silent {
				w.hears(lost("slot/x"))
			}
			if got := w.slots["x"].View().Condition; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			w.hears(list("nomad", node("n"), listed("x")))
			w.hears(list("slot/x", listed("x")))
			if got := w.slots["x"].View().Condition; got != healthy {
				t.Errorf("got %q once all is well, want it healthy", got)
			}
		})
	}
}

func TestSlot_SilentOneIsAwaitedForTenSeconds(t *testing.T) {
	w := newWorld(t)
	pending := listed("z")
	pending.Pending = true
	if w.hears(list("nomad", node("n"), listed("x"), pending)); w.r.SlotsKnown() {
		t.Error("what runs in the slots is taken for known before the one that runs has spoken")
	}
	if got := w.slots["x"].View(); !got.Pending || got.Condition != fleet.PlaceHealthy {
		t.Errorf("got %+v, want it pending while it has not spoken", got)
	}
	at, ok := w.r.Next()
	if want := w.now + 10*time.Second; !ok || at != want {
		t.Errorf("got it given up at %s, %v, want %s", at, ok, want)
	}
	if w.pass(9999 * time.Millisecond); w.r.SlotsKnown() {
		t.Error("it was given up early")
	}
	w.hears(list("nomad", node("n"), listed("x"), pending)) // being listed again is no word of its own
	if w.pass(time.Millisecond); !w.r.SlotsKnown() || w.slots["x"].View().Condition != fleet.PlaceUnreachable {
		t.Errorf("got known %v, %+v, want it given up and unreachable", w.r.SlotsKnown(), w.slots["x"].View())
	}
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	if got := w.slots["x"].View(); got.Pending || got.Condition != fleet.PlaceHealthy {
		t.Errorf("got %+v, want it healthy since it speaks", got)
	}
	w.wantThere("old-x")
}

func TestSlot_IsAwaitedNoLongerOnce(t *testing.T) {
	for name, what := range map[string]fleet.Observation{
		"it has spoken": list("slot/x", listed("x")), "it is gone": {Source: "nomad", Complete: true, Slots: []fleet.Slot{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.hears(list("nomad", node("n"), listed("x")))
			if w.hears(what); !w.r.SlotsKnown() {
				t.Error("it is still awaited")
			}
		})
	}
}

// TestSlot_OneThatIsLostIsAwaitedAsOneThatIsSilent: it may be reached again at once, and tell of engines that run there.
func TestSlot_OneThatIsLostIsAwaitedAsOneThatIsSilent(t *testing.T) {
	for name, first := range map[string][]fleet.Observation{
		"lost before it was listed": {lost("slot/x"), list("nomad", node("n"), listed("x"))},
		"lost since it was listed":  {list("nomad", node("n"), listed("x")), lost("slot/x")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, o := range first {
				w.hears(o)
			}
			if w.r.SlotsKnown() {
				t.Error("what runs there is taken for known")
			}
			if w.pass(9999 * time.Millisecond); w.r.SlotsKnown() {
				t.Error("it was given up early")
			}
			if w.pass(time.Millisecond); !w.r.SlotsKnown() {
				t.Error("it is awaited for ever")
			}
		})
	}
}

// TestSlot_OneOfThisLifeIsNotAwaited: nothing of an earlier life can be there, and the others need not wait for it.
func TestSlot_OneOfThisLifeIsNotAwaited(t *testing.T) {
	w := newWorld(t)
	heardSlots(w)
	w.hears(list("nomad", node("n"), listed("x"), listed("y"), listed("7-s1")))
	if !w.r.SlotsKnown() {
		t.Error("a slot that was added in this life is awaited")
	}
	w.pass(time.Hour)
	if got := w.slots["7-s1"].View(); !got.Pending {
		t.Errorf("got %+v, want nothing launched there while it has not spoken", got)
	}
}

// TestSlot_OneThatSpeaksBeforeItIsListed says nothing of the others.
func TestSlot_OneThatSpeaksBeforeItIsListed(t *testing.T) {
	w := newWorld(t)
	if w.hears(list("slot/x", listed("x"), engine("old-x", "x"))); w.r.SlotsKnown() || w.r.NodesKnown() {
		t.Errorf("got slots known %v, nodes known %v, want neither before Nomad has listed them", w.r.SlotsKnown(), w.r.NodesKnown())
	}
	w.wantThere("old-x")
	if !w.slots["x"].View().Pending {
		t.Error("it takes launches before it is listed")
	}
	if w.hears(list("nomad", node("n"), listed("x"), listed("y"))); w.r.SlotsKnown() || w.slots["x"].View().Pending {
		t.Error("slots are taken for known while one has not spoken")
	}
	if w.hears(list("slot/y", listed("y"))); !w.r.SlotsKnown() || !w.r.NodesKnown() {
		t.Error("all have spoken, and that is not known")
	}
	w.wantEnded()
	w.hears(list("slot/x", listed("x")))
	w.wantEnded("old-x")
	w.hears(list("nomad", node("n"), listed("y")))
	w.wantEnded("x")
}

// TestSlot_OneThatNobodyLists has spoken before this life's first list, and was gone by then.
func TestSlot_OneThatNobodyLists(t *testing.T) {
	w := newWorld(t)
	early := list("nomad", node("n"), listed("y"))
	early.At = epoch.Add(w.now)
	w.pass(time.Second)
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	w.hears(early)
	w.wantEnded()
	w.pass(time.Second)
	w.hears(list("nomad", node("n"), listed("y")))
	w.wantEnded("x", "old-x")
}

func TestSlot_OneThatIsLostIsToldOf(t *testing.T) {
	w := newWorld(t)
	own := fleet.Slot{ID: "x", Pool: "p", GPUs: 8}
	for _, o := range []fleet.Observation{list("local", own), list("slot/x", listed("x"))} {
		w.hears(o)
		delete(w.slots, "x")
		if w.hears(lost(o.Source)); w.slots["x"] == nil || w.slots["x"].View().Condition != fleet.PlaceUnreachable {
			t.Errorf("%s is lost, and nothing is said of the slot", o.Source)
		}
		w = newWorld(t)
	}
}

// TestSlot_IsHeardByACompleteList: until then nobody knows what is there.
func TestSlot_IsHeardByACompleteList(t *testing.T) {
	w := newWorld(t)
	w.hears(list("nomad", node("n"), listed("x")))
	w.hears(some("slot/x", listed("x"), engine("old-x", "x")))
	if !w.slots["x"].View().Pending || w.r.SlotsKnown() {
		t.Error("a slot takes launches before it has said all that is there")
	}
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	if w.slots["x"].View().Pending || !w.r.SlotsKnown() {
		t.Error("a slot takes no launches though it has said all that is there")
	}
}

// TestSlot_GivenBackBeforeItWasListed is gone by a list that was asked for since.
func TestSlot_GivenBackBeforeItWasListed(t *testing.T) {
	w := newWorld(t)
	heardSlots(w)
	early := list("nomad", node("n"), listed("x"), listed("y"))
	early.At = epoch.Add(w.now)
	w.pass(time.Second)
	w.r.SlotDropped(w.now, "7-s1")
	if got := w.r.Unsure(); len(got) != 1 || got[0] != "nomad" {
		t.Errorf("got unsure of %q, want nomad", got)
	}
	w.hears(early)
	w.pass(time.Second)
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	w.wantEnded()
	w.hears(list("nomad", node("n"), listed("x"), listed("y")))
	w.wantEnded("7-s1")
	if got := w.r.Unsure(); len(got) != 0 {
		t.Errorf("got unsure of %q, want nobody", got)
	}
}
