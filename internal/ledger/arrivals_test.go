package ledger_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

type arrival struct {
	model        string
	at           time.Time
	waited, took time.Duration
}

func arrivals(t *testing.T, l *ledger.Ledger, from, to time.Time) (all []arrival) {
	t.Helper()
	err := l.Arrivals(t.Context(), from, to, func(a ledger.Arrival) {
		all = append(all, arrival{string(a.Model), a.At, a.Waited, a.Took})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b arrival) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.model, b.model)) })
	return all
}

// Wherever its record lies, each request is there once: in the log, in a block or in a run.
func TestArrivals(t *testing.T) {
	l, _ := newLedger(t)
	var want []arrival
	for n := range 6 {
		r := record(n)
		r.DispatchedAt = noon.Add(time.Duration(n) * time.Hour)
		r.Model = "m/" + string(rune('a'+n))
		r.Wake = time.Duration(n) * time.Millisecond
		appendAll(t, l, r)
		if n >= 1 && n < 5 { // from <= t < to
			want = append(want, arrival{r.Model, r.DispatchedAt.Add(-3 * time.Second), 3*time.Second + r.Wake, 2100*time.Millisecond - r.Wake})
		}
		switch n {
		case 1:
			move(t, l)
			sorted(t, l)
		case 3:
			move(t, l)
		}
	}
	correction := record(9)
	correction.Kind, correction.Corrects, correction.DispatchedAt, correction.Cost = ledger.KindCorrection, "x", noon.Add(2*time.Hour), -1
	appendAll(t, l, correction)
	if diff := gocmp.Diff(want, arrivals(t, l, noon.Add(time.Hour), noon.Add(5*time.Hour)), gocmp.AllowUnexported(arrival{})); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
	if got := arrivals(t, l, noon.Add(24*time.Hour), noon.Add(48*time.Hour)); len(got) > 0 {
		t.Errorf("got %v of a day on which nothing came", got)
	}
}
