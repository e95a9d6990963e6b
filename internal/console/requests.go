package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// requestsShown is how many requests a page has.
const requestsShown = 50

// requestsSearched bounds how many records are looked through for a page of those that are looked for.
const requestsSearched = 5000

func (v *visit) requests() error {
	org := v.org()
	if v.isOperator() {
		org = v.Query("org")
	}
	ctx, cancel := v.asking()
	defer cancel()
	find := v.find()
	rows, next, err := v.recordsFound(ctx, org, v.Query("cursor"), find)
	if err != nil {
		return err
	}
	sorting := v.sorting("-at")
	sortRecords(rows, sorting.Now)
	older := ""
	if next != "" {
		older = v.base + "/requests?" + url.Values{"cursor": {next}, "org": {org}, "q": {find.q}, "sort": {sorting.Now}}.Encode()
	}
	return v.show(http.StatusOK, "requests", "Requests", map[string]any{"Rows": rows, "Next": older, "Q": find.q, "Sort": sorting})
}

// recordsFound gives a page of the records that are looked for, newest first, and the cursor of the next page; "" = there is none.
func (v *visit) recordsFound(ctx context.Context, org, cursor string, find finding) (found []ledger.Record, next string, err error) {
	limit := requestsShown
	if find.q != "" {
		limit = ledger.MaxRecordsLimit
	}
	for searched := 0; searched < requestsSearched; searched += limit {
		page, err := v.c.Ledger.Latest(ctx, org, cursor, limit)
		if err != nil {
			return nil, "", err
		}
		for k := range page.Records {
			r := &page.Records[k]
			if !find.has(r.Org, r.Model, string(r.Start), string(r.Status), r.RequestID, r.ID) {
				continue
			}
			if found = append(found, *r); len(found) == requestsShown && (k+1 < len(page.Records) || page.Next != "") {
				return found, r.ID, nil
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	return found, cursor, nil
}

func sortRecords(rows []ledger.Record, column string) {
	sortBy(rows, column, map[string]func(a, b *ledger.Record) int{
		"at":     func(a, b *ledger.Record) int { return a.ReceivedAt.Compare(b.ReceivedAt) },
		"org":    func(a, b *ledger.Record) int { return strings.Compare(a.Org, b.Org) },
		"model":  func(a, b *ledger.Record) int { return strings.Compare(a.Model, b.Model) },
		"start":  func(a, b *ledger.Record) int { return strings.Compare(string(a.Start), string(b.Start)) },
		"status": func(a, b *ledger.Record) int { return strings.Compare(string(a.Status), string(b.Status)) },
		"wait":   func(a, b *ledger.Record) int { return cmp.Compare(a.Queue+a.Activate, b.Queue+b.Activate) },
		"ttft":   func(a, b *ledger.Record) int { return cmp.Compare(a.TTFT, b.TTFT) },
		"billed": func(a, b *ledger.Record) int { return cmp.Compare(a.Billed, b.Billed) },
		"out":    func(a, b *ledger.Record) int { return cmp.Compare(a.CompletionTokens, b.CompletionTokens) },
		"cost":   func(a, b *ledger.Record) int { return cmp.Compare(a.Cost, b.Cost) },
	})
}

// spanOf is one stretch of a request's life.
type spanOf struct {
	Name, Class string
	Took        time.Duration
	Share       int // of a thousand
	Billed      bool
}

// receipt is one request as a time line.
type receipt struct {
	ledger.Record
	Whole time.Duration
	Spans []spanOf
}

func receiptOf(r ledger.Record) receipt {
	view := receipt{Record: r}
	before := max(r.DispatchedAt.Sub(r.ReceivedAt), 0)
	activating := min(r.Activate, before)
	waiting := min(r.Queue, before-activating)
	first := min(r.TTFT, r.Upstream)
	wake := min(r.Wake, first)
	stretches := []spanOf{
		{Name: "received and checked", Class: "read", Took: before - waiting - activating},
		{Name: "queue", Class: "queue", Took: waiting},
		{Name: "activation", Class: "activate", Took: activating},
		{Name: "tail of the wake", Class: "wake", Took: wake},
		{Name: "first token", Class: "first", Took: first - wake, Billed: true},
		{Name: "stream", Class: "stream", Took: r.Upstream - first, Billed: true},
	}
	for _, s := range stretches {
		view.Whole += s.Took
	}
	for _, s := range stretches {
		if s.Took <= 0 {
			continue
		}
		if view.Whole > 0 {
			s.Share = int(1000 * s.Took / view.Whole)
		}
		view.Spans = append(view.Spans, s)
	}
	return view
}

func (v *visit) request() error {
	ctx, cancel := v.asking()
	defer cancel()
	record, err := v.c.Ledger.Record(ctx, v.org(), v.Params("id"))
	if errors.Is(err, ledger.ErrNotFound) {
		return &problem{http.StatusNotFound, "There is no such request", "No record has this ID, or it is not your organisation's."}
	}
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "request", "Request "+record.RequestID, receiptOf(*record))
}
