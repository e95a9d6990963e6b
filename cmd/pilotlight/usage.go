package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// usageCmd prints what organisations have used in a month, and what it costs.
type usageCmd struct {
	Org          string   `placeholder:"NAME" complete:"org" help:"Only this organisation's."`
	Month        string   `placeholder:"YYYY-MM" complete:"month" help:"The month, in UTC; this month if not given."`
	By           []string `enum:"model,token,day,hour" default:"model" help:"One line for each model, or also for each token, day or hour; one or two of model, token, day, hour, with a comma between."`
	Format       string   `enum:"table,json,jsonl,csv,focus" default:"table" help:"table, json, jsonl, csv, or focus (FinOps FOCUS, as CSV: the month's bills)."`
	FOCUSVersion string   `name:"focus-version" enum:",1.4,1.2" default:"" placeholder:"1.4" help:"Of --format focus: 1.4, or 1.2 for tools that lag."`
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
	q := admin.UsageQuery{Org: c.Org, From: from.Format(time.RFC3339), To: to.Format(time.RFC3339), By: ledger.By(strings.Join(c.By, ","))}
	switch {
	case c.JSON && c.Format != "table" && c.Format != "json":
		return errors.New("--json and another --format are given; leave one of them")
	case c.FOCUSVersion != "" && c.Format != "focus":
		return errors.New("--focus-version belongs to --format focus; leave it out")
	case c.Format == "jsonl", c.Format == "csv":
		return client.ExportUsage(env.ctx, env.Stdout, q, c.Format, "")
	case c.Format == "focus":
		return client.ExportUsage(env.ctx, env.Stdout, q, c.Format, c.FOCUSVersion)
	}
	rows, err := usageRows(env, client, q)
	if err != nil {
		return err
	}
	if c.JSON || c.Format == "json" {
		return writeJSON(env.Stdout, rows)
	}
	return usageTable(q.By, rows).write(env.Stdout)
}

// usageRows fetches all pages.
func usageRows(env *Env, client *admin.Client, q admin.UsageQuery) ([]ledger.UsageRow, error) {
	rows := []ledger.UsageRow{} // JSON shows an empty array, never null
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

// usageTable has one line a row and, under more than one, their sum.
func usageTable(by ledger.By, rows []ledger.UsageRow) *table {
	header := []string{"ORG", "MODEL"}
	for _, column := range []struct {
		title string
		there bool
	}{{"TOKEN", by.HasToken()}, {"DAY", by.HasDay()}, {"HOUR", by.HasHour()}} {
		if column.there {
			header = append(header, column.title)
		}
	}
	t := newTable(append(header, ">REQUESTS", ">PROMPT", ">COMPLETION", ">BILLED S", ">GPU S", ">COST USD")...)
	var sum ledger.UsageRow
	for _, r := range rows {
		usageLine(t, by, r)
		sum.Add(&r)
	}
	if len(rows) > 1 {
		sum.Org = "total"
		usageLine(t, by, sum)
	}
	return t
}

func usageLine(t *table, by ledger.By, r ledger.UsageRow) {
	cells := []any{r.Org, r.Model}
	if by.HasToken() {
		cells = append(cells, r.TokenID)
	}
	if by.HasDay() {
		cells = append(cells, r.Day)
	}
	if by.HasHour() {
		cells = append(cells, r.Hour)
	}
	t.row(append(cells, r.Requests, r.PromptTokens, r.CompletionTokens, seconds(r.BilledUS), seconds(r.GPUUS), r.Cost)...)
}

// seconds writes microseconds as seconds, exactly. None are below zero: a correction takes money off, not time.
func seconds(us int64) string { return fmt.Sprintf("%d.%06d", us/1e6, us%1e6) }
