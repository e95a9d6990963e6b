package roster_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestGone_ByACompleteListOfWhoHadListedIt(t *testing.T) {
	w := newWorld(t)
	heardSlots(w)
	w.hears(list("nomad", node("n"), listed("x"), listed("y"), engine("old", "")))
	w.hears(some("nomad", node("n")))
	w.hears(list("probe"))
	w.hears(list("consul", health("old", fleet.Passing)))
	w.hears(list("consul"))
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	w.wantEnded()
	w.hears(list("nomad", node("n"), listed("x"), listed("y")))
	w.wantEnded("old")
	w.hears(list("slot/x", listed("x")))
	w.wantEnded("old-x")
	w.hears(some("slot/y", listed("y"), fleet.Sighting{Instance: fleet.Instance{ID: "old-y", Model: "m", Slot: "y"}, Gone: true}))
	w.wantEnded("old-y")
	for _, o := range []fleet.Observation{some("nomad", engine("old", "")), some("slot/x", listed("x"), engine("old-x", "x"))} {
		w.hears(o)
		w.wantUnknown(o.Instances[0].ID)
	}
}

func TestGone_NodeByACompleteList(t *testing.T) {
	w := newWorld(t)
	w.hears(list("nomad", node("n"), node("o")))
	w.hears(some("nomad", node("o")))
	w.wantEnded()
	w.hears(list("nomad", node("o")))
	w.wantEnded("n")
}

// TestGone_ByAListThatWasAskedForAfterTheStop is about a launch that nobody has ever seen.
func TestGone_ByAListThatWasAskedForAfterTheStop(t *testing.T) {
	for _, tt := range []struct{ slot, source, other string }{{"", "nomad", "slot/x"}, {"x", "slot/x", "nomad"}} {
		t.Run(tt.source, func(t *testing.T) {
			w := newWorld(t)
			heardSlots(w)
			says := func(source string, asked time.Duration) {
				o := list("nomad", node("n"), listed("x"), listed("y"))
				if source == "slot/x" {
					o = list("slot/x", listed("x"), engine("old-x", "x"))
				}
				o.At = epoch.Add(asked)
				w.hears(o)
			}
			i := w.launched("7-a", tt.slot)
			w.pass(time.Minute)
			says(tt.source, w.now) // a launch may take as long as it likes to show
			asked := w.now
			w.pass(time.Second)
			w.r.StopAccepted(w.now, i)
			if got := w.r.Unsure(); len(got) != 1 || got[0] != tt.source {
				t.Errorf("got unsure of %q, want %q", got, tt.source)
			}
			w.pass(time.Second)
			says(tt.source, asked) // it was asked for before
			says(tt.other, w.now)
			w.wantEnded()
			says(tt.source, w.now)
			w.wantEnded("7-a")
			if got := w.r.Unsure(); len(got) != 0 {
				t.Errorf("got unsure of %q, want nobody to be asked any more", got)
			}
		})
	}
}

// TestGone_AClockSetBackBuriesNothing: the lists say an earlier time than the stops.
func TestGone_AClockSetBackBuriesNothing(t *testing.T) {
	w := newWorld(t)
	heardSlots(w)
	w.now += 2 * time.Hour
	i := w.launched("7-a", "x")
	w.r.StopAccepted(w.now, i)
	w.pass(time.Second)
	o := list("slot/x", listed("x"), engine("old-x", "x"))
	o.At = epoch.Add(w.now - time.Hour)
	w.hears(o)
	w.wantEnded()
	w.wantThere("7-a", "old-x")
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	w.wantEnded("7-a")
}

func TestGone_WithItsSlot(t *testing.T) {
	w := newWorld(t)
	heardSlots(w)
	onItsWay := w.launched("7-a", "x")
	stopped := w.launched("7-b", "x")
	w.r.StopAccepted(w.now, stopped)
	w.launched("7-c", "y")
	w.hears(list("nomad", node("n"), listed("y")))
	w.wantEnded("x", "old-x", "7-a", "7-b")
	w.wantThere("old-y", "7-c")
	if !onItsWay.Gone || !onItsWay.PlaceLost {
		t.Errorf("got gone %v, its place lost %v, want both: it is no fault of the model", onItsWay.Gone, onItsWay.PlaceLost)
	}
	if got := w.r.Unsure(); len(got) != 0 {
		t.Errorf("got unsure of %q, want nobody to be asked", got)
	}
}

// TestGone_WithItsSlotThatListsItself: one source tells of slots and of what is there.
func TestGone_WithItsSlotThatListsItself(t *testing.T) {
	w := newWorld(t)
	slot := fleet.Slot{ID: "x", Pool: "p", GPUs: 8}
	w.hears(list("local", slot, engine("old", "x")))
	w.launched("7-a", "x")
	empty := list("local")
	empty.Slots = []fleet.Slot{}
	w.hears(empty)
	w.wantEnded("x", "old", "7-a")
}

func TestLate_WordsOfWhatIsGoneChangeNothing(t *testing.T) {
	w := newWorld(t)
	heardSlots(w)
	w.hears(list("nomad", node("n"), listed("y")))
	w.wantEnded("x", "old-x")
	for _, o := range []fleet.Observation{
		list("slot/x", listed("x"), engine("old-x", "x"), engine("old-z", "x")),
		some("slot/x", engine("old-z", "x")),
		some("nomad", listed("x")),
		some("nomad", engine("old-z", "x")),
		lost("slot/x"),
	} {
		w.hears(o)
	}
	w.wantUnknown("old-x", "old-z")
	w.wantEnded()
	w.wantSources("nomad", "slot/y")
	if !w.r.SlotsKnown() {
		t.Error("a slot that is gone is awaited")
	}
}
