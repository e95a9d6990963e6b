package console

import (
	"bytes"
	"cmp"
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/export"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func sortUsage(rows []ledger.UsageRow, column string) {
	sortBy(rows, column, map[string]func(a, b *ledger.UsageRow) int{
		"org":      func(a, b *ledger.UsageRow) int { return strings.Compare(a.Org, b.Org) },
		"model":    func(a, b *ledger.UsageRow) int { return strings.Compare(a.Model, b.Model) },
		"token":    func(a, b *ledger.UsageRow) int { return strings.Compare(a.TokenID, b.TokenID) },
		"day":      func(a, b *ledger.UsageRow) int { return strings.Compare(a.Day+a.Hour, b.Day+b.Hour) },
		"requests": func(a, b *ledger.UsageRow) int { return cmp.Compare(a.Requests, b.Requests) },
		"prompt":   func(a, b *ledger.UsageRow) int { return cmp.Compare(a.PromptTokens, b.PromptTokens) },
		"answer":   func(a, b *ledger.UsageRow) int { return cmp.Compare(a.CompletionTokens, b.CompletionTokens) },
		"gpu":      func(a, b *ledger.UsageRow) int { return cmp.Compare(a.GPUUS, b.GPUUS) },
		"cost":     func(a, b *ledger.UsageRow) int { return cmp.Compare(a.Cost, b.Cost) },
	})
}

func (v *visit) usageCSV() error {
	f, err := v.usageFilter()
	if err != nil {
		return err
	}
	ctx, cancel := v.asking()
	defer cancel()
	var b bytes.Buffer
	name := "usage-" + cmp.Or(f.Day, f.Month)
	if v.Query("format") == "focus" {
		name = "usage-" + f.Month + "-focus"
		err = v.writeFOCUS(ctx, &b, f)
	} else {
		err = v.writeCSV(ctx, &b, f.query(f.by()))
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
func (v *visit) writeFOCUS(ctx context.Context, b *bytes.Buffer, f usageFilter) error {
	bills, err := v.c.Ledger.Bills(ctx, f.Org, f.Month, f.by())
	if err != nil {
		return err
	}
	return export.FOCUS(b, export.FOCUS14, bills)
}
