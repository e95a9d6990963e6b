package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// requestsShown is how many requests a page has.
const requestsShown = 50

// requestFilter is what of the requests a visitor wants to see.
type requestFilter struct {
	Org, Model, Token string // "" = all
	Day, Hour         string // "" = the latest, or the whole day
}

// Link goes to the page behind a cursor.
func (f requestFilter) Link(cursor string) string {
	q := url.Values{}
	for _, p := range [][2]string{{"org", f.Org}, {"model", f.Model}, {"token", f.Token}, {"day", f.Day}, {"hour", f.Hour}, {"cursor", cursor}} {
		if p[1] != "" {
			q.Set(p[0], p[1])
		}
	}
	return "?" + q.Encode()
}

// query selects a day, or an hour of it.
func (f requestFilter) query() (q ledger.Query, err error) {
	q = ledger.Query{Org: f.Org, Model: f.Model, TokenID: f.Token}
	if q.From, q.To, err = dayOf(f.Day); err != nil || f.Hour == "" {
		return q, err
	}
	hour, err := strconv.Atoi(f.Hour)
	if err != nil || hour < 0 || hour > 23 {
		return q, &problem{http.StatusBadRequest, "No such hour", f.Hour + " is no hour of a day; write 0 to 23."}
	}
	q.From = q.From.Add(time.Duration(hour) * time.Hour)
	q.To = q.From.Add(time.Hour)
	return q, nil
}

// requests lists the latest requests, or those of a day.
func (v *visit) requests() error {
	f := requestFilter{Org: v.org(), Model: v.Query("model"), Token: v.Query("token"), Day: v.Query("day"), Hour: v.Query("hour")}
	if v.isOperator() {
		f.Org = v.Query("org")
	}
	if f.Day == "" && (f.Model != "" || f.Token != "" || f.Hour != "") {
		f.Day = v.c.Now().UTC().Format(time.DateOnly)
	}
	ctx, cancel := v.asking()
	defer cancel()
	var page ledger.Page
	var err error
	if f.Day == "" {
		page, err = v.c.Ledger.Latest(ctx, f.Org, v.Query("cursor"), requestsShown)
	} else if q, wrong := f.query(); wrong != nil {
		err = wrong
	} else {
		page, err = v.c.Ledger.Find(ctx, q, v.Query("cursor"), requestsShown)
	}
	if err != nil {
		return err
	}
	var models []string
	for _, m := range v.hub.look(fresh).Models {
		if v.sees(m.Model.ID) {
			models = append(models, m.Model.ID)
		}
	}
	if f.Model != "" && !slices.Contains(models, f.Model) {
		models = append(models, f.Model)
	}
	sorting := v.sorting("-at")
	sortRecords(page.Records, sorting.Now)
	return v.show(http.StatusOK, "requests", "Requests", map[string]any{"Page": page, "Filter": f, "Models": models, "Sort": sorting})
}

// sortRecords sorts what a page has.
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
