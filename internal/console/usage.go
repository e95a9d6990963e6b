package console

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/export"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// monthsShown is how many months a visitor may choose from.
const monthsShown = 13

// usageView is the page's.
type usageView struct {
	Month  string
	Months []string
	By     string
	Org    string // "" = all
	Orgs   []string
	Rows   []ledger.UsageRow
	Sum    ledger.UsageRow
	Chart  chart
	Sort   sorting
	Days   int // of the month that have passed
	// Forecast is what the month will cost if it goes on as it has; 0 = too early to say.
	Forecast fleet.NanoUSD
	Budget   *Budget // of the organisation that is shown; nil = there is none
	Current  bool
}

func (v *visit) usageQuery() (q ledger.Query, view usageView, err error) {
	now := v.c.Now().UTC()
	this := now.Format("2006-01")
	view = usageView{Month: v.Query("month", this), By: v.Query("by", "model"), Org: v.org()}
	if v.isOperator() {
		view.Org = v.Query("org")
	}
	if !slices.Contains([]string{"model", "token", "day"}, view.By) {
		view.By = "model"
	}
	for i := range monthsShown {
		view.Months = append(view.Months, time.Date(now.Year(), now.Month()-time.Month(i), 1, 0, 0, 0, 0, time.UTC).Format("2006-01"))
	}
	view.Current = view.Month == this
	q = ledger.Query{Org: view.Org, By: ledger.By(view.By), Limit: ledger.MaxUsageLimit}
	q.From, q.To, err = ledger.Month(view.Month)
	return q, view, err
}

func (v *visit) usage() error {
	q, view, err := v.usageQuery()
	if err != nil {
		return err
	}
	ctx, cancel := v.asking()
	defer cancel()
	if v.isOperator() {
		orgs, err := v.c.Tenants.Orgs(ctx)
		if err != nil {
			return err
		}
		for _, o := range orgs {
			view.Orgs = append(view.Orgs, o.Name)
		}
	}
	if view.Rows, _, err = v.c.Ledger.Usage(ctx, q); err != nil {
		return err
	}
	for i := range view.Rows {
		view.Sum.Add(&view.Rows[i])
	}
	daily := view.Rows
	if view.By != "day" {
		q.By = ledger.ByDay
		if daily, _, err = v.c.Ledger.Usage(ctx, q); err != nil {
			return err
		}
	}
	view.Chart = dailyChart(daily, q.From, q.To)
	view.Sort = v.sorting("-cost")
	sortUsage(view.Rows, view.Sort.Now)
	v.budgetOf(&view, q.From, q.To)
	return v.show(http.StatusOK, "usage", "Usage", view)
}

// budgetOf fills in what the organisation may spend, and what the month will cost if it goes on as it has.
func (v *visit) budgetOf(view *usageView, from, to time.Time) {
	if !view.Current {
		return
	}
	now := v.c.Now().UTC()
	if passed := now.Sub(from); passed > 24*time.Hour {
		view.Forecast = fleet.NanoUSD(float64(view.Sum.Cost) / passed.Hours() * to.Sub(from).Hours()) // an estimate, which nobody pays
	}
	if view.Org == "" {
		return
	}
	if b, ok := v.c.Budget(view.Org); ok {
		view.Budget = &b
	}
}

func sortUsage(rows []ledger.UsageRow, column string) {
	sortBy(rows, column, map[string]func(a, b *ledger.UsageRow) int{
		"org":      func(a, b *ledger.UsageRow) int { return strings.Compare(a.Org, b.Org) },
		"model":    func(a, b *ledger.UsageRow) int { return strings.Compare(a.Model, b.Model) },
		"key":      func(a, b *ledger.UsageRow) int { return strings.Compare(a.Day+a.TokenID, b.Day+b.TokenID) },
		"requests": func(a, b *ledger.UsageRow) int { return cmp.Compare(a.Requests, b.Requests) },
		"prompt":   func(a, b *ledger.UsageRow) int { return cmp.Compare(a.PromptTokens, b.PromptTokens) },
		"answer":   func(a, b *ledger.UsageRow) int { return cmp.Compare(a.CompletionTokens, b.CompletionTokens) },
		"gpu":      func(a, b *ledger.UsageRow) int { return cmp.Compare(a.GPUUS, b.GPUUS) },
		"cost":     func(a, b *ledger.UsageRow) int { return cmp.Compare(a.Cost, b.Cost) },
	})
}

func (v *visit) usageCSV() error {
	q, view, err := v.usageQuery()
	if err != nil {
		return err
	}
	ctx, cancel := v.asking()
	defer cancel()
	var b bytes.Buffer
	name := "usage-" + view.Month
	if v.Query("format") == "focus" {
		name += "-focus"
		err = v.writeFOCUS(ctx, &b, q, view.Month)
	} else {
		err = v.writeCSV(ctx, &b, q)
	}
	if err != nil {
		return err
	}
	v.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	v.Set(fiber.HeaderContentDisposition, `attachment; filename="`+name+`.csv"`)
	return v.Send(b.Bytes())
}

// writeCSV writes all pages of a query.
func (v *visit) writeCSV(ctx context.Context, b *bytes.Buffer, q ledger.Query) error {
	write, err := export.CSV(b, q.By)
	for err == nil {
		var rows []ledger.UsageRow
		if rows, q.Cursor, err = v.c.Ledger.Usage(ctx, q); err == nil {
			err = write(rows)
		}
		if q.Cursor == "" {
			break
		}
	}
	return err
}

// writeFOCUS writes the bills of a month.
func (v *visit) writeFOCUS(ctx context.Context, b *bytes.Buffer, q ledger.Query, month string) error {
	bills, err := v.c.Ledger.Bills(ctx, q.Org, month, q.By)
	if err != nil {
		return err
	}
	return export.FOCUS(b, export.FOCUS14, bills)
}
