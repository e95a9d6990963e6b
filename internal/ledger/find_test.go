package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// Page by page every record that is selected comes once, newest first, wherever it lies.
func TestFind_PagesNewestFirst(t *testing.T) {
	l, _ := newLedger(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var want []string
	type one struct {
		id string
		at time.Time
	}
	var wanted []one
	for n := range 60 {
		r := record(n)
		r.ID, r.DispatchedAt = fmt.Sprintf("id-%02d", n), noon.Add(time.Duration(rng.IntN(40))*time.Minute) // some at the same moment
		r.Model, r.Org = []string{"a", "b"}[rng.IntN(2)], []string{"acme", "zoo"}[rng.IntN(2)]
		appendAll(t, l, r)
		if r.Model == "a" && r.Org == "acme" && r.DispatchedAt.Before(noon.Add(30*time.Minute)) {
			wanted = append(wanted, one{r.ID, r.DispatchedAt})
		}
		switch n {
		case 20:
			move(t, l)
			sorted(t, l)
		case 40:
			move(t, l)
		}
	}
	slices.SortFunc(wanted, func(a, b one) int {
		if c := b.at.Compare(a.at); c != 0 {
			return c
		}
		return strings.Compare(b.id, a.id)
	})
	for _, w := range wanted {
		want = append(want, w.id)
	}
	var got []string
	q := ledger.Query{Org: "acme", Model: "a", From: noon, To: noon.Add(30 * time.Minute)}
	for cursor := ""; ; {
		page, err := l.Find(t.Context(), q, cursor, 4)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Records) > 4 || page.Next != "" && len(page.Records) != 4 {
			t.Fatalf("got a page of %d", len(page.Records))
		}
		for _, r := range page.Records {
			got = append(got, r.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 8 {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestFind_RefusesWhatCannotBe(t *testing.T) {
	l, _ := newLedger(t)
	day := ledger.Query{From: noon, To: noon.Add(24 * time.Hour)}
	var invalid *ledger.InvalidError
	for name, row := range map[string]struct {
		q      ledger.Query
		cursor string
	}{
		"no period":      {ledger.Query{}, ""},
		"two days":       {ledger.Query{From: noon, To: noon.Add(48 * time.Hour)}, ""},
		"a strange mark": {day, "here"},
		"no time":        {day, "2026-13-01T00:00:00.000000Z.id"},
	} {
		if _, err := l.Find(t.Context(), row.q, row.cursor, 0); !errors.As(err, &invalid) {
			t.Errorf("%s: got %v, want an InvalidError", name, err)
		}
	}
	if page, err := l.Find(t.Context(), day, "", 0); err != nil || page.Records == nil || len(page.Records) != 0 || page.Next != "" {
		t.Errorf("got %+v, %v, want an empty page", page, err)
	}
}
