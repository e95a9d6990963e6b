package dispatch_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
)

func requestsOf(list []dispatch.Waiting) (names []string) {
	for _, w := range list {
		names = append(names, w.Request)
	}
	return names
}

// TestWaiting_IsTheOrderOfService: whoever waits, and whomever an operator has put first or ended, the list is the order in which they are then served.
func TestWaiting_IsTheOrderOfService(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, model("a"))
		byName := map[string]*client{}
		for n := range rapid.IntRange(1, 20).Draw(r, "requests") {
			name := fmt.Sprint(n)
			byName[name] = w.ask(dispatch.Ask{
				Model: "a", Org: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(r, "org"), Request: name, Retry: rapid.IntRange(0, 9).Draw(r, "retry") == 0,
			})
		}
		for range rapid.IntRange(0, 4).Draw(r, "words") {
			list, _ := dispatch.WaitersOf(w.d).List("", 100)
			if len(list) == 0 {
				break
			}
			of := rapid.SampledFrom(list).Draw(r, "of")
			switch rapid.IntRange(0, 2).Draw(r, "word") {
			case 0:
				if dispatch.WaitersOf(w.d).First("a", of.Org, of.Request) == of.Retry {
					r.Fatalf("putting %+v first: got %v", of, of.Retry)
				}
				if list, _ := dispatch.WaitersOf(w.d).List("a", 100); !of.Retry && firstOfLines(list).Request != of.Request {
					r.Fatalf("%+v was put first, and the order is %v", of, requestsOf(list))
				}
			case 1:
				dispatch.WaitersOf(w.d).First("a", of.Org, "")
			case 2:
				if got := dispatch.WaitersOf(w.d).End(w.now, "a", of.Org, of.Request); got != 1 {
					r.Fatalf("ending %+v ended %d", of, got)
				}
				w.wantErr(byName[of.Request], dispatch.ErrEnded)
			}
		}
		list, all := dispatch.WaitersOf(w.d).List("a", 100)
		want := requestsOf(list)
		if all != len(want) {
			r.Fatalf("got %d of %d", len(want), all)
		}
		for k, of := range list {
			if of.Place != k+1 {
				r.Fatalf("%s stands at %d and says %d", of.Request, k+1, of.Place)
			}
		}
		w.d.TakeAnswered()
		w.tell(share("i", "a", 1))
		var got []string
		for range want {
			for _, answered := range w.d.TakeAnswered() {
				c := answered.Value.(*client)
				for name, known := range byName {
					if known == c {
						got = append(got, name)
					}
				}
				w.release(c)
			}
		}
		if !slices.Equal(got, want) {
			r.Fatalf("were served in the order %v, the list said %v", got, want)
		}
	})
}

func firstOfLines(list []dispatch.Waiting) dispatch.Waiting {
	for _, of := range list {
		if !of.Retry {
			return of
		}
	}
	return dispatch.Waiting{}
}

func TestWaiting_IsBounded(t *testing.T) {
	w := newWorld(t, model("a"), model("b"))
	for n := range 10 {
		w.ask(dispatch.Ask{Model: "a", Org: "x", Request: fmt.Sprint(n)})
		w.ask(dispatch.Ask{Model: "b", Org: "y", Request: fmt.Sprint(n)})
	}
	if list, all := dispatch.WaitersOf(w.d).List("", 3); len(list) != 3 || all != 20 {
		t.Errorf("got %d of %d, want 3 of 20", len(list), all)
	}
	if list, all := dispatch.WaitersOf(w.d).List("b", 100); len(list) != 10 || all != 10 || list[0].Model != "b" {
		t.Errorf("got %d of %d of one model, want its 10", len(list), all)
	}
	if got := dispatch.WaitersOf(w.d).End(w.now, "b", "y", ""); got != 10 {
		t.Errorf("ended %d, want all 10 of the organisation", got)
	}
	if dispatch.WaitersOf(w.d).First("b", "y", "") || dispatch.WaitersOf(w.d).First("none", "y", "") || dispatch.WaitersOf(w.d).End(w.now, "none", "y", "") != 0 {
		t.Error("nobody is there to be put first or ended")
	}
}
