package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// requestsShown is how many requests a page has.
const requestsShown = 50

func (v *visit) requests() error {
	org := v.org()
	if v.isOperator() {
		org = v.Query("org")
	}
	ctx, cancel := v.asking()
	defer cancel()
	page, err := v.c.Ledger.Latest(ctx, org, v.Query("cursor"), requestsShown)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "requests", "Requests", map[string]any{"Page": page, "Org": org, "First": v.Query("cursor") == ""})
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
