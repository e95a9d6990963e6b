package console

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/invoice"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// paperPolicy is that of an invoice's page, which is one file with its style in it, so that it can be kept and printed.
const paperPolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

func (v *visit) invoices() error {
	ctx, cancel := v.asking()
	defer cancel()
	all, next, err := v.c.Ledger.Invoices(ctx, ledger.InvoiceQuery{Org: v.org(), Cursor: v.Query("cursor")})
	if err != nil {
		return err
	}
	open, err := v.c.Ledger.OpenMonths(ctx)
	if err != nil {
		return err
	}
	find := v.find()
	all = slices.DeleteFunc(all, func(i ledger.Invoice) bool { return !find.has(i.Org, i.Month, numberOf(&i)) })
	sorting := v.sorting("-number")
	sortBy(all, sorting.Now, map[string]func(a, b *ledger.Invoice) int{
		"number":  func(a, b *ledger.Invoice) int { return cmp.Compare(*a.Number, *b.Number) }, // those that are listed are closed
		"org":     func(a, b *ledger.Invoice) int { return strings.Compare(a.Org, b.Org) },
		"month":   func(a, b *ledger.Invoice) int { return strings.Compare(a.Month, b.Month) },
		"closed":  func(a, b *ledger.Invoice) int { return a.ClosedAt.Compare(b.ClosedAt.Time) },
		"payable": func(a, b *ledger.Invoice) int { return cmp.Compare(a.Total, b.Total) },
	})
	return v.show(http.StatusOK, "invoices", "Invoices", map[string]any{
		"Q": find.q, "Sort": sorting, "Invoices": all, "Next": next, "Open": open, "Org": v.org(), "This": v.c.Now().UTC().Format("2006-01"),
	})
}

func numberOf(i *ledger.Invoice) string {
	if i.Number == nil {
		return ""
	}
	return strconv.FormatInt(*i.Number, 10)
}

// invoice shows an invoice on paper; of a month that is not closed, what it would be.
func (v *visit) invoice() error {
	org, err := url.PathUnescape(v.Params("org"))
	if err != nil || v.org() != "" && org != v.org() {
		return errNoPage // another organisation's is not there
	}
	ctx, cancel := v.asking()
	defer cancel()
	found, err := v.c.Ledger.Invoice(ctx, org, v.Params("month"))
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := invoice.Page(&page, found); err != nil {
		return err
	}
	v.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	v.Set(fiber.HeaderContentSecurityPolicy, paperPolicy)
	return v.Send(page.Bytes())
}
