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
