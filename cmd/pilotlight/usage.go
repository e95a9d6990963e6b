package main

import (
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// usageCmd prints what organisations have used in a month, and what it costs.
type usageCmd struct {
	Org    string    `placeholder:"NAME" help:"Only this organisation's."`
	Month  string    `placeholder:"YYYY-MM" help:"The month, in UTC; this month if not given."`
	By     ledger.By `enum:"model,token,day" default:"model" help:"One line for each model, or also for each token or day: model, token, day."`
	Format string    `enum:"table,json,csv,focus" default:"table" help:"table, json, csv, or focus (FinOps FOCUS, as CSV)."`
	serverFlags
	jsonFlag
}

// Run prints the month's usage.
func (c usageCmd) Run(env *Env) error {
	if c.Month == "" {
		c.Month = env.Now().UTC().Format("2006-01")
	}
	from, to, err := ledger.Month(c.Month)
	if err != nil {
		return err
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	rows, err := c.rows(env, client, from, to)
	if err != nil {
		return err
	}
	switch {
	case c.JSON || c.Format == "json":
		return writeJSON(env.Stdout, rows)
	case c.Format == "csv":
		return ledger.WriteCSV(env.Stdout, c.By, rows)
	case c.Format == "focus":
		return ledger.WriteFOCUS(env.Stdout, rows, from, to)
	}
	return c.table(rows).write(env.Stdout)
}

// rows fetches all pages.
func (c usageCmd) rows(env *Env, client *admin.Client, from, to time.Time) ([]ledger.UsageRow, error) {
	rows := []ledger.UsageRow{} // JSON shows an empty array, never null
	q := admin.UsageQuery{Org: c.Org, From: from.Format(time.RFC3339), To: to.Format(time.RFC3339), By: c.By}
	for {
		page, err := client.Usage(env.ctx, q)
		if err != nil {
			return nil, err
		}
		rows = append(rows, page.Usage...)
		if page.NextCursor == nil {
			return rows, nil
		}
		q.Cursor = *page.NextCursor
	}
}

// table has one line a row and, under more than one, their sum.
func (c usageCmd) table(rows []ledger.UsageRow) *table {
	header, key := []string{"ORG", "MODEL"}, func(ledger.UsageRow) []any { return nil }
	switch c.By {
	case ledger.ByToken:
		header, key = append(header, "TOKEN"), func(r ledger.UsageRow) []any { return []any{r.TokenID} }
	case ledger.ByDay:
		header, key = append(header, "DAY"), func(r ledger.UsageRow) []any { return []any{r.Day} }
	}
	t := newTable(append(header, ">REQUESTS", ">PROMPT", ">COMPLETION", ">BILLED S", ">GPU S", ">COST USD")...)
	var sum ledger.UsageRow
	add := func(r ledger.UsageRow) {
		t.row(append(append([]any{r.Org, r.Model}, key(r)...),
			r.Requests, r.PromptTokens, r.CompletionTokens, seconds(r.BilledUS), seconds(r.GPUUS), r.Cost)...)
	}
	for _, r := range rows {
		add(r)
		sum.Add(&r)
	}
	if len(rows) > 1 {
		sum.Org = "total"
		add(sum)
	}
	return t
}

// seconds writes microseconds as seconds, exactly.
func seconds(us int64) string { return fmt.Sprintf("%d.%06d", us/1e6, us%1e6) }
