package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// withUsage gives a ledger with one record of one GPU-second and so many prompt tokens for each of these.
func withUsage(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, _ := newLedger(t)
	for n, row := range []struct {
		org, model, token, at string
	}{
		{"acme", "a", "t1", "2026-03-31T23:59:59.999999Z"},
		{"acme", "a", "t2", "2026-04-01T00:00:00Z"},
		{"acme", "b", "t1", "2026-04-01T01:59:59+02:00"}, // 31 March in UTC
		{"zoo", "a", "t3", "2026-04-30T23:59:59Z"},
		{"acme", "a", "t1", "2026-04-02T12:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, row.at)
		if err != nil {
			t.Fatal(err)
		}
		r := record(n)
		r.Org, r.Model, r.TokenID, r.DispatchedAt, r.Billed, r.GPUs = row.org, row.model, row.token, at, time.Second, 1
		r.PromptTokens = 1 << n
		appendAll(t, l, r)
	}
	return l
}

// groupsOf names each row's group, with the prompt tokens that say which records are in it.
func groupsOf(rows []ledger.UsageRow) (all []string) {
	for _, r := range rows {
		all = append(all, fmt.Sprintf("%s/%s/%s%s: %d in %d", r.Org, r.Model, r.TokenID, r.Day+r.Hour, r.PromptTokens, r.Requests))
	}
	return all
}

func TestUsage_Groups(t *testing.T) {
	l := withUsage(t)
	from, to, err := ledger.Month("2026-04")
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		query ledger.Query
		want  []string
	}{
		"by model":  {ledger.Query{}, []string{"acme/a/: 19 in 3", "acme/b/: 4 in 1", "zoo/a/: 8 in 1"}},
		"of an org": {ledger.Query{Org: "zoo"}, []string{"zoo/a/: 8 in 1"}},
		"of a token and model": {
			ledger.Query{TokenID: "t1", Model: "a", By: ledger.ByModel},
			[]string{"acme/a/: 17 in 2"},
		},
		"by token": {
			ledger.Query{By: ledger.ByToken},
			[]string{"acme/a/t1: 17 in 2", "acme/b/t1: 4 in 1", "acme/a/t2: 2 in 1", "zoo/a/t3: 8 in 1"},
		},
		"by day": {ledger.Query{By: ledger.ByDay}, []string{
			"acme/a/2026-03-31: 1 in 1", "acme/b/2026-03-31: 4 in 1", "acme/a/2026-04-01: 2 in 1",
			"acme/a/2026-04-02: 16 in 1", "zoo/a/2026-04-30: 8 in 1",
		}},
		"by day and token": {ledger.Query{By: "token,day"}, []string{
			"acme/a/t12026-03-31: 1 in 1", "acme/b/t12026-03-31: 4 in 1", "acme/a/t22026-04-01: 2 in 1", "acme/a/t12026-04-02: 16 in 1", "zoo/a/t32026-04-30: 8 in 1",
		}},
		"by model and token": {
			ledger.Query{By: "model,token", Org: "acme"},
			[]string{"acme/a/t1: 17 in 2", "acme/b/t1: 4 in 1", "acme/a/t2: 2 in 1"},
		},
		"by hour": {ledger.Query{By: ledger.ByHour, From: from, To: to}, []string{
			"acme/a/2026-04-01T00:00:00Z: 2 in 1", "acme/a/2026-04-02T12:00:00Z: 16 in 1", "zoo/a/2026-04-30T23:00:00Z: 8 in 1",
		}},
		"by hour and token, an edge": {ledger.Query{By: "hour,token", From: from.Add(time.Hour), To: to.Add(-24 * time.Hour)}, []string{
			"acme/a/t12026-04-02T12:00:00Z: 16 in 1",
		}},
		"of April, UTC": {ledger.Query{From: from, To: to}, []string{"acme/a/: 18 in 2", "zoo/a/: 8 in 1"}},
		"of an instant": {ledger.Query{From: from, To: from.Add(1)}, []string{"acme/a/: 2 in 1"}},
		"after it":      {ledger.Query{From: from.Add(1), To: from.Add(time.Hour)}, nil},
		"of nobody":     {ledger.Query{Org: "none"}, nil},
	} {
		rows, next, err := l.Usage(t.Context(), row.query)
		if diff := cmp.Diff(row.want, groupsOf(rows)); diff != "" || err != nil || next != "" {
			t.Errorf("%s: next %q, %v (-want +got):\n%s", name, next, err, diff)
		}
		for limit := 1; limit <= 3; limit++ {
			var paged []string
			for q := row.query; ; {
				q.Limit = limit
				rows, next, err := l.Usage(t.Context(), q)
				if err != nil || len(rows) > limit {
					t.Fatalf("%s: %d rows, %v", name, len(rows), err)
				}
				paged = append(paged, groupsOf(rows)...)
				if q.Cursor = next; next == "" {
					break
				}
			}
			if diff := cmp.Diff(row.want, paged); diff != "" {
				t.Errorf("%s, %d a page (-want +got):\n%s", name, limit, diff)
			}
		}
	}
}

func TestUsage_JSON(t *testing.T) {
	l := withUsage(t)
	for by, want := range map[ledger.By]string{
		ledger.ByModel: `[{"org":"zoo","model":"a","requests":1,"prompt_tokens":8,"completion_tokens":100,"billed_us":1000000,"gpu_us":1000000,"cost_nano_usd":2291667}]`,
		ledger.ByToken: `[{"org":"zoo","model":"a","token_id":"t3","requests":1,"prompt_tokens":8,"completion_tokens":100,"billed_us":1000000,"gpu_us":1000000,"cost_nano_usd":2291667}]`,
		ledger.ByDay:   `[{"org":"zoo","model":"a","day":"2026-04-30","requests":1,"prompt_tokens":8,"completion_tokens":100,"billed_us":1000000,"gpu_us":1000000,"cost_nano_usd":2291667}]`,
	} {
		rows, _, err := l.Usage(t.Context(), ledger.Query{Org: "zoo", By: by})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(rows); err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}

func TestUsage_OfNothingIsAnEmptyList(t *testing.T) {
	l, _ := newLedger(t)
	rows, _, err := l.Usage(t.Context(), ledger.Query{})
	if got, _ := json.Marshal(rows); err != nil || string(got) != "[]" {
		t.Errorf("got %s, %v, want []", got, err)
	}
	page, err := l.Records(t.Context(), "", "", 0)
	if got, _ := json.Marshal(page.Records); err != nil || string(got) != "[]" {
		t.Errorf("got %s, %v, want []", got, err)
	}
}

func TestQueries_RefuseMistakesByField(t *testing.T) {
	l := withUsage(t)
	ctx := t.Context()
	usage := func(q ledger.Query) error { _, _, err := l.Usage(ctx, q); return err }
	records := func(cursor string, limit int) error { _, err := l.Records(ctx, "", cursor, limit); return err }
	_, byDay, err := l.Usage(ctx, ledger.Query{By: ledger.ByDay, Limit: 1})
	if err != nil || byDay == "" {
		t.Fatal(byDay, err)
	}
	_, _, month := ledger.Month("2026-13")
	for name, row := range map[string]struct {
		got   error
		field string
	}{
		"by":              {usage(ledger.Query{By: "year"}), "by"},
		"by three":        {usage(ledger.Query{By: "model,token,day"}), "by"},
		"by twice":        {usage(ledger.Query{By: "day,day"}), "by"},
		"by nothing":      {usage(ledger.Query{By: "day,"}), "by"},
		"hours of ever":   {usage(ledger.Query{By: "hour"}), "by"},
		"too many hours":  {usage(ledger.Query{By: "hour", From: noon, To: noon.Add(ledger.MaxHours + 1)}), "by"},
		"negative limit":  {usage(ledger.Query{Limit: -1}), "limit"},
		"limit":           {usage(ledger.Query{Limit: 1e6}), "limit"},
		"cursor":          {usage(ledger.Query{Cursor: "x"}), "cursor"},
		"other cursor":    {usage(ledger.Query{Cursor: byDay}), "cursor"},
		"records limit":   {records("", -1), "limit"},
		"records cursor":  {records("none", 1), "cursor"},
		"month":           {month, "month"},
		"a cursor of SQL": {usage(ledger.Query{Cursor: "WyJtb2RlbCIsIicgT1IgMT0xIl0"}), "cursor"},
	} {
		var invalid *ledger.InvalidError
		if !errors.As(row.got, &invalid) || invalid.Field != row.field {
			t.Errorf("%s: got %v, want an InvalidError of %s", name, row.got, row.field)
		}
	}
}

func TestUsage_ACursorOfAnotherGroupingIsRefused(t *testing.T) {
	l := withUsage(t)
	_, next, err := l.Usage(t.Context(), ledger.Query{By: ledger.ByToken, Limit: 1})
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	var invalid *ledger.InvalidError
	if _, _, err := l.Usage(t.Context(), ledger.Query{By: ledger.ByDay, Cursor: next}); !errors.As(err, &invalid) {
		t.Errorf("got %v, want an InvalidError", err)
	}
}

func TestRecords_OldestFirstAndLateOnesLast(t *testing.T) {
	l := withUsage(t)
	first := all(t, l)
	if got := requests(first); !cmp.Equal(got, []string{"req-0", "req-1", "req-2", "req-3", "req-4"}) {
		t.Fatalf("got %v", got)
	}
	page, err := l.Records(t.Context(), "acme", "", 2)
	if err != nil || !cmp.Equal(requests(page.Records), []string{"req-0", "req-1"}) || !strings.HasPrefix(page.Next, page.Records[1].ID+".") {
		t.Errorf("first page of acme: got %v, %s, %v", requests(page.Records), page.Next, err)
	}
	page, err = l.Records(t.Context(), "acme", first[3].ID, 2) // the ID of another org's record
	if err != nil || !cmp.Equal(requests(page.Records), []string{"req-4"}) || page.Next != "" {
		t.Errorf("after the fourth: got %v, %s, %v", requests(page.Records), page.Next, err)
	}
	late := record(9)
	late.DispatchedAt = noon.Add(-time.Hour)
	appendAll(t, l, late)
	move(t, l)
	page, err = l.Records(t.Context(), "", first[4].ID, 0)
	if err != nil || !cmp.Equal(requests(page.Records), []string{"req-9"}) {
		t.Errorf("after the last: got %v, %v, want the late one", requests(page.Records), err)
	}
}

func TestReceipt_IsTheNewestOfTheTokenThatAsked(t *testing.T) {
	l, _ := newLedger(t)
	older, newer, other := record(1), record(1), record(1)
	newer.Status = ledger.ClientGone
	other.TokenID = "tok_2"
	appendAll(t, l, older, newer, other)
	got, err := l.Receipt(t.Context(), "acme", "tok_1", "req-1")
	if err != nil || got.ID != newer.ID {
		t.Errorf("got %+v, %v, want %s", got, err, newer.ID)
	}
	for _, ask := range [][2]string{{"tok_3", "req-1"}, {"tok_1", "req-2"}} {
		if _, err := l.Receipt(t.Context(), "acme", ask[0], ask[1]); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%v: got %v, want %v", ask, err, ledger.ErrNotFound)
		}
	}
}

func TestReceipt_OfARequestThatItsCallerDidNotName(t *testing.T) {
	l, _ := newLedger(t)
	unnamed, namesake := record(1), record(2)
	unnamed.RequestID = ""
	appendAll(t, l, unnamed)
	if unnamed.RequestID != unnamed.ID {
		t.Errorf("got the request ID %q, want the record's, %q", unnamed.RequestID, unnamed.ID)
	}
	got, err := l.Receipt(t.Context(), "acme", "tok_1", unnamed.ID)
	if diff := cmp.Diff(unnamed, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := l.Receipt(t.Context(), "acme", "tok_2", unnamed.ID); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("for another token: got %v, want %v", err, ledger.ErrNotFound)
	}
	namesake.RequestID = unnamed.ID
	appendAll(t, l, namesake)
	if got, err := l.Receipt(t.Context(), "acme", "tok_1", unnamed.ID); err != nil || got.ID != namesake.ID {
		t.Errorf("after a caller took the name: got %+v, %v, want the newest, %s", got, err, namesake.ID)
	}
}

func TestMonth_IsUTCAndHalfOpen(t *testing.T) {
	from, to, err := ledger.Month("2026-12")
	if err != nil || from.Format(time.RFC3339) != "2026-12-01T00:00:00Z" || to.Format(time.RFC3339) != "2027-01-01T00:00:00Z" {
		t.Errorf("got %v to %v, %v", from, to, err)
	}
}

// Sums of what an engine may claim do not wrap around.
func TestUsageRow_AddStopsAtTheEnds(t *testing.T) {
	sum := ledger.UsageRow{PromptTokens: math.MaxInt64 - 1, Cost: math.MinInt64 + 1}
	sum.Add(&ledger.UsageRow{PromptTokens: 5, Cost: -5, Requests: 1})
	if sum.PromptTokens != math.MaxInt64 || sum.Cost != math.MinInt64 || sum.Requests != 1 {
		t.Errorf("got %+v", sum)
	}
}
