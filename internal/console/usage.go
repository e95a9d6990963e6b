package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const (
	monthsShown = 13     // that a visitor may choose from
	rowsRead    = 50_000 // most rows that a page sums up
	rowsShown   = 500
)

// usageView is the page's.
type usageView struct {
	usageFilter
	Months []string
	Orgs   []string
	Rows   []ledger.UsageRow
	More   int             // rows that are not shown
	Cut    bool            // there are more rows than a page sums up
	Sum    ledger.UsageRow // of all rows
	Chart  chart
	Past   chart             // what each of the past months has cost; empty = it was not asked for
	Names  map[string]string // token ID -> its name, where they are known
	Sort   sorting
	// Forecast is what the month will cost if it goes on as it has; 0 = too early to say, or not the whole month is shown.
	Forecast fleet.NanoUSD
	Budget   *budgetView // of the organisation that is shown; nil = there is none
	Current  bool
}

// usageFilter is what of usage a visitor wants to see.
type usageFilter struct {
	Month, Day        string // Day "" = the whole month
	By, And           string // keys of the table; And "" = one
	Org, Model, Token string // "" = all
	from, to          time.Time
}

var usageKeys = []string{"model", "token", "day", "hour"}

// Keys are those that the table may be grouped by.
func (f usageFilter) Keys() []string { return usageKeys }

// Has reports whether the table is grouped by the key.
func (f usageFilter) Has(key string) bool { return f.By == key || f.And == key }

// by is the grouping in the ledger's words.
func (f usageFilter) by() ledger.By {
	if f.And == "" || f.And == f.By {
		return ledger.By(f.By)
	}
	return ledger.By(f.By + "," + f.And)
}

func (f usageFilter) query(by ledger.By) ledger.Query {
	return ledger.Query{Org: f.Org, TokenID: f.Token, Model: f.Model, From: f.from, To: f.to, By: by, Limit: ledger.MaxUsageLimit}
}

// Link goes to the same page with other values: names and values in turn.
func (f usageFilter) Link(pairs ...string) string {
	q := url.Values{}
	for _, p := range [][2]string{{"month", f.Month}, {"day", f.Day}, {"by", f.By}, {"and", f.And}, {"org", f.Org}, {"model", f.Model}, {"token", f.Token}} {
		if p[1] != "" {
			q.Set(p[0], p[1])
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return "?" + q.Encode()
}

// Requests links to the single requests of a row: those of its day, or of the page's; "" = the row has no day.
func (f usageFilter) Requests(r ledger.UsageRow) string {
	day := f.Day
	switch {
	case r.Hour != "":
		day = r.Hour[:len(time.DateOnly)]
	case r.Day != "":
		day = r.Day
	}
	if day == "" {
		return ""
	}
	q := url.Values{"day": {day}, "org": {r.Org}, "model": {r.Model}}
	if r.TokenID != "" || f.Token != "" {
		q.Set("token", max(r.TokenID, f.Token))
	}
	if r.Hour != "" {
		q.Set("hour", r.Hour[11:13])
	}
	return "/requests?" + q.Encode()
}

// usageFilter reads the query. An operator may see all organisations, everybody else one.
func (v *visit) usageFilter() (f usageFilter, err error) {
	this := v.c.Now().UTC().Format("2006-01")
	f = usageFilter{
		Month: v.Query("month", this), Day: v.Query("day"), By: v.Query("by", "model"), And: v.Query("and"),
		Org: v.org(), Model: v.Query("model"), Token: v.Query("token"),
	}
	if v.isOperator() {
		f.Org = v.Query("org")
	}
	if !slices.Contains(usageKeys, f.By) {
		f.By = "model"
	}
	if !slices.Contains(usageKeys, f.And) || f.And == f.By {
		f.And = ""
	}
	if f.Day != "" {
		if f.from, f.to, err = dayOf(f.Day); err == nil {
			f.Month = f.Day[:len("2006-01")]
		}
		return f, err
	}
	f.from, f.to, err = ledger.Month(f.Month)
	return f, err
}

// dayOf gives the first moment of a UTC day, and of the next.
func dayOf(s string) (from, to time.Time, err error) {
	if from, err = time.Parse(time.DateOnly, s); err != nil {
		return from, to, &problem{http.StatusBadRequest, "No such day", s + " is no day; write it as 2026-01-31."}
	}
	return from, from.AddDate(0, 0, 1), nil
}

func (v *visit) usage() error {
	f, err := v.usageFilter()
	if err != nil {
		return err
	}
	now := v.c.Now().UTC()
	view := usageView{usageFilter: f, Current: f.Month == now.Format("2006-01") && f.Day == ""}
	for i := range monthsShown {
		view.Months = append(view.Months, time.Date(now.Year(), now.Month()-time.Month(i), 1, 0, 0, 0, 0, time.UTC).Format("2006-01"))
	}
	if !slices.Contains(view.Months, f.Month) {
		view.Months = append(view.Months, f.Month)
	}
	ctx, cancel := v.asking()
	defer cancel()
	if err := v.names(ctx, &view); err != nil {
		return err
	}
	if view.Rows, view.Cut, err = v.readUsage(ctx, f.query(f.by())); err != nil {
		return err
	}
	for i := range view.Rows {
		view.Sum.Add(&view.Rows[i])
	}
	if err := v.drawUsage(ctx, &view); err != nil {
		return err
	}
	view.Sort = v.sorting("-cost")
	sortUsage(view.Rows, view.Sort.Now)
	if view.More = len(view.Rows) - rowsShown; view.More > 0 {
		view.Rows = view.Rows[:rowsShown]
	}
	v.budgetOf(&view)
	return v.show(http.StatusOK, "usage", "Usage", view)
}

// names fills in what organisations there are, and how tokens are called.
func (v *visit) names(ctx context.Context, view *usageView) error {
	if v.isOperator() {
		orgs, err := v.c.Tenants.Orgs(ctx)
		if err != nil {
			return err
		}
		for _, o := range orgs {
			view.Orgs = append(view.Orgs, o.Name)
		}
	}
	if view.Org == "" || !view.Has("token") && view.Token == "" || !v.may(tenant.ScopeTokensManage) {
		return nil
	}
	tokens, err := v.c.Tenants.Tokens(ctx, view.Org)
	if err != nil {
		return err
	}
	view.Names = map[string]string{}
	for _, t := range tokens {
		view.Names[t.ID] = t.Name
	}
	return nil
}

// readUsage reads all pages of a query, up to rowsRead; cut = there are more.
func (v *visit) readUsage(ctx context.Context, q ledger.Query) (all []ledger.UsageRow, cut bool, err error) {
	for {
		rows, next, err := v.c.Ledger.Usage(ctx, q)
		if err != nil {
			return nil, false, err
		}
		if all = append(all, rows...); next == "" || len(all) >= rowsRead {
			return all, next != "", nil
		}
		q.Cursor = next
	}
}

// drawUsage draws the charts: each day of the month, or each hour of the day; and the months before.
func (v *visit) drawUsage(ctx context.Context, view *usageView) error {
	by, title := ledger.ByDay, "Cost a day"
	key := func(r *ledger.UsageRow) string { return r.Day }
	stretches := daysOf(view.from, view.to, func(day string) string { return v.base + "/usage" + view.Link("day", day) })
	if view.Day != "" {
		by, title, stretches = ledger.ByHour, "Cost an hour", hoursOf(view.from)
		key = func(r *ledger.UsageRow) string { return r.Hour }
	}
	rows := view.Rows
	if by == ledger.ByDay && !view.Has("day") || by == ledger.ByHour && !view.Has("hour") {
		var cut bool
		var err error
		if rows, cut, err = v.readUsage(ctx, view.query(by)); err != nil {
			return err
		}
		view.Cut = view.Cut || cut
	}
	view.Chart = costChart(title, stretches, chartRows(rows, key))
	if view.Day != "" {
		return nil
	}
	return v.drawPast(ctx, view)
}

// drawPast draws what each of the months that may be chosen has cost.
func (v *visit) drawPast(ctx context.Context, view *usageView) error {
	var stretches []stretch
	var rows []chartRow
	months := slices.Clone(view.Months[:monthsShown])
	slices.Sort(months)
	for _, month := range months {
		of := view.usageFilter
		var err error
		if of.from, of.to, err = ledger.Month(month); err != nil {
			return err
		}
		stretches = append(stretches, stretch{month, month[2:], v.base + "/usage" + view.Link("month", month)})
		found, cut, err := v.readUsage(ctx, of.query(ledger.ByModel))
		if err != nil {
			return err
		}
		view.Cut = view.Cut || cut
		rows = append(rows, chartRows(found, func(*ledger.UsageRow) string { return month })...)
	}
	view.Past = costChart("Cost a month", stretches, rows)
	return nil
}
