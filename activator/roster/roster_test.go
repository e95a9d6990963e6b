package roster_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// heardSlots is what Nomad and two supervisors say at the start.
func heardSlots(w *world) {
	w.hears(list("nomad", node("n"), listed("x"), listed("y")))
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	w.hears(list("slot/y", listed("y"), engine("old-y", "y")))
}

func TestAdopt_OnlyByWhoIsBelieved(t *testing.T) {
	for name, tt := range map[string]struct {
		says    fleet.Observation
		adopted bool
	}{
		"nomad, of a dedicated one":             {some("nomad", engine("e", "")), true},
		"a supervisor, of one of its own":       {some("slot/x", listed("x"), engine("e", "x")), true},
		"a supervisor, of a dedicated one":      {some("slot/x", listed("x"), engine("e", "")), false},
		"a supervisor, of another slot's":       {some("slot/x", listed("x"), engine("e", "y")), false},
		"nomad, of one in a slot":               {some("nomad", engine("e", "x")), false},
		"the probe":                             {some("probe", engine("e", "")), false},
		"the probe, of one in a slot":           {some("probe", engine("e", "x")), false},
		"consul":                                {some("consul", health("e", fleet.Passing)), false},
		"nomad, of one that is gone":            {some("nomad", fleet.Sighting{Instance: fleet.Instance{ID: "e", Model: "m"}, Gone: true}), false},
		"nomad, of one of this life's IDs":      {some("nomad", engine("7-e", "")), false},
		"nomad, of one in a slot of no account": {some("nomad", engine("e", "z")), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			heardSlots(w)
			w.hears(tt.says)
			id := tt.says.Instances[0].ID
			if got := w.r.Instance(id) != nil; got != tt.adopted {
				t.Errorf("got adopted %v, want %v", got, tt.adopted)
			}
		})
	}
}

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

func TestLost_SourceKeepsItsLastWord(t *testing.T) {
	w := newWorld(t)
	heardSlots(w)
	w.hears(some("nomad", engine("old", "")))
	for _, source := range []string{"nomad", "slot/x", "slot/y", "probe"} {
		w.hears(lost(source))
	}
	w.pass(24 * time.Hour)
	w.wantEnded()
	w.wantThere("old", "old-x", "old-y")
	for _, id := range []string{"old", "old-x"} {
		if w.r.Instance(id).Visible() {
			t.Errorf("%s is visible, want it not to be", id)
		}
	}
	w.hears(list("slot/x", listed("x"), engine("old-x", "x")))
	if !w.r.Instance("old-x").Visible() {
		t.Error("old-x is not visible, though its supervisor is back")
	}
	news := w.r.TakeNews()
	if last := news[len(news)-1]; last.Source != "slot/x" || last.Lost != nil || last.After != 24*time.Hour {
		t.Errorf("got the news %+v, want that slot/x is back after a day", last)
	}
}

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
		"it has spoken": list("slot/x", listed("x")), "it is lost": lost("slot/x"), "it is gone": {Source: "nomad", Complete: true, Slots: []fleet.Slot{}},
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

func TestSources_AreForgottenWithTheirPlace(t *testing.T) {
	w := newWorld(t)
	w.hears(list("nomad", node("n")))
	for k := range 100 {
		id := fmt.Sprint("s", k)
		w.hears(list("nomad", node("n"), listed(id)))
		w.hears(list("slot/"+id, listed(id), engine("e"+id, id)))
	}
	w.wantSources("nomad", "slot/s99")
	w.hears(list("slot/s99", listed("s99"), engine("es99", "s99")))
	w.wantThere("es99")
}

func TestVersions_AnOlderOneIsIgnored(t *testing.T) {
	w := newWorld(t)
	say := func(term, seq uint64, things ...any) bool {
		o := list("nomad", append(things, node("n"))...)
		o.Term, o.Seq = term, seq
		return w.hears(o)
	}
	say(7, 5, engine("old", ""))
	for _, v := range [][2]uint64{{7, 4}, {7, 5}, {6, 9}} {
		if say(v[0], v[1]) {
			t.Errorf("term %d, number %d was taken after 7, 5", v[0], v[1])
		}
	}
	w.wantEnded()
	say(8, 1)
	w.wantEnded("old")
}

// TestLiveness_IsConfirmedByTheProbe: in a slot as on a node.
func TestLiveness_IsConfirmedByTheProbe(t *testing.T) {
	for _, id := range []string{"old", "old-x"} {
		w := newWorld(t)
		heardSlots(w)
		w.hears(some("nomad", engine("old", "")))
		i := w.r.Instance(id)
		w.hears(list("consul", health(id, fleet.Passing)))
		asked := some("probe", failing(id, "connection refused"))
		w.hears(asked)
		step := func(what string, o fleet.Observation, want bool) {
			t.Helper()
			w.pass(time.Second)
			if w.hears(o); i.NoAnswer != want {
				t.Errorf("%s, %s: got that it does not answer %v, want %v", id, what, i.NoAnswer, want)
			}
		}
		step("the probe alone does not find it", asked, false)
		step("it is missed, and was asked before", list("consul", health(id, fleet.Critical)), false)
		step("the probe finds it", some("probe", engine(id, "")), false)
		step("the probe does not find it", some("probe", failing(id, "connection refused")), true)
		step("it passes again", list("consul", health(id, fleet.Passing)), false)
		step("an agent has forgotten it", list("consul"), false)
		step("and the probe does not find it either", some("probe", failing(id, "connection refused")), true)
		w.wantThere(id)
	}
}

func TestHeard_OnlyWhileAllWhoWouldSpeakAre(t *testing.T) {
	for _, tt := range []struct {
		lost          string
		heardDedicate bool
		heardInX      bool
	}{
		{"nomad", false, true},
		{"slot/x", true, false},
		{"slot/y", true, true},
		{"consul", false, false},
		{"probe", false, false},
	} {
		w := newWorld(t)
		heardSlots(w)
		w.hears(some("nomad", engine("old", "")))
		w.hears(list("consul", health("old", fleet.Passing)))
		w.hears(list("probe", engine("old", "")))
		dedicated, inX := w.r.Instance("old"), w.r.Instance("old-x")
		w.hears(lost(tt.lost))
		if got := w.r.Heard(dedicated); got != tt.heardDedicate {
			t.Errorf("%s lost: got heard %v of a dedicated one, want %v", tt.lost, got, tt.heardDedicate)
		}
		if got := w.r.Heard(inX); got != tt.heardInX {
			t.Errorf("%s lost: got heard %v of one in x, want %v", tt.lost, got, tt.heardInX)
		}
	}
}

func TestPlacesLost_AreThoseOfWhoListsPlaces(t *testing.T) {
	for name, tt := range map[string]struct {
		before fleet.Observation
		lost   bool
	}{
		"nomad":                           {list("nomad", node("n")), true},
		"local":                           {list("local", fleet.Slot{ID: "x", GPUs: 8}), true},
		"nomad, which has never spoken":   {lost("nomad"), true},
		"consul":                          {list("consul", health("old", fleet.Passing)), false},
		"consul, which knew nobody":       {list("consul"), false},
		"the probe":                       {list("probe"), false},
		"a supervisor, whose slot stands": {list("slot/x", listed("x")), false},
	} {
		w := newWorld(t)
		if name == "a supervisor, whose slot stands" {
			w.hears(list("nomad", node("n"), listed("x")))
		}
		w.hears(tt.before)
		w.hears(lost(tt.before.Source))
		if got := w.r.PlacesLost(); (got != nil) != tt.lost || tt.lost && !errors.Is(got, fleet.ErrUnreachable) {
			t.Errorf("%s: got %v, want lost %v", name, got, tt.lost)
		}
	}
}
