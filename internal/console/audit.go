package console

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/audit"
)

// entriesShown is how many entries of the audit log a page has.
const entriesShown = 100

// auditRow is one entry, with what it has changed member by member.
type auditRow struct {
	audit.Entry
	Changes []auditChange
}

// auditChange is one value before and after; "" = there was none.
type auditChange struct{ Name, Before, After string }

// auditView is the page's.
type auditView struct {
	Rows                             []auditRow
	Actor, Action, Subject, From, To string // as they were asked for
	Next                             string // link to what is older; "" = there is nothing
	Filtered                         bool
}

func (v *visit) audit() error {
	view := auditView{Actor: v.Query("actor"), Action: v.Query("action"), Subject: v.Query("subject"), From: v.Query("from"), To: v.Query("to")}
	q := audit.Query{Actor: view.Actor, Action: view.Action, Subject: view.Subject, Cursor: v.Query("cursor"), Limit: entriesShown}
	var err error
	if q.From, err = dayAsked(view.From); err == nil {
		q.To, err = dayAsked(view.To)
	}
	if err != nil {
		return &problem{http.StatusBadRequest, "That cannot be shown", "A day is written YYYY-MM-DD."}
	}
	if !q.To.IsZero() {
		q.To = q.To.AddDate(0, 0, 1) // the day is in it
	}
	ctx, cancel := v.asking()
	defer cancel()
	page, next, err := v.c.Audit.List(ctx, q)
	var invalid *audit.InvalidError
	if errors.As(err, &invalid) {
		return &problem{http.StatusBadRequest, "That cannot be shown", invalid.Error()}
	}
	if err != nil {
		return err
	}
	for _, e := range page {
		view.Rows = append(view.Rows, auditRow{e, changesOf(e.Before, e.After)})
	}
	asked := url.Values{}
	for name, value := range map[string]string{"actor": view.Actor, "action": view.Action, "subject": view.Subject, "from": view.From, "to": view.To} {
		if value != "" {
			asked.Set(name, value)
			view.Filtered = true
		}
	}
	if next != "" {
		asked.Set("cursor", next)
		view.Next = "/audit?" + asked.Encode()
	}
	return v.show(http.StatusOK, "audit", "Audit", view)
}

func dayAsked(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, text)
}

// changesOf puts two objects side by side, by name.
func changesOf(before, after json.RawMessage) []auditChange {
	was, is := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(before, &was) // null leaves it empty
	_ = json.Unmarshal(after, &is)
	names := slices.Collect(maps.Keys(was))
	for name := range is {
		if _, both := was[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	changes := make([]auditChange, len(names))
	for i, name := range names {
		changes[i] = auditChange{name, plainly(was[name]), plainly(is[name])}
	}
	return changes
}

// plainly writes a JSON value as people do.
func plainly(value json.RawMessage) string {
	var text string
	var list []string
	switch {
	case len(value) == 0:
		return ""
	case string(value) == "null":
		return "none"
	case json.Unmarshal(value, &text) == nil:
		if text == "" {
			return "empty"
		}
		return text
	case json.Unmarshal(value, &list) == nil:
		if len(list) == 0 {
			return "none"
		}
		return strings.Join(list, ", ")
	}
	return string(value)
}
