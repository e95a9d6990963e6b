package admin

import (
	"context"
	"net/http"
	"net/url"
)

// Invoices gives one page of closed invoices, the newest first, and the months that are not closed. Empty texts select all; limit 0 = the server's default.
func (c *Client) Invoices(ctx context.Context, org, month, cursor string, limit int) (*InvoiceList, error) {
	parameters := search("org", org, "month", month, "cursor", cursor, "limit", page(limit))
	return one(ask[InvoiceList](ctx, c, http.MethodGet, "/api/invoices"+parameters, nil))
}

// Invoice gives an organisation's invoice of a month; of one that is not closed, what it would be now.
func (c *Client) Invoice(ctx context.Context, org, month string) (*Invoice, error) {
	return one(ask[Invoice](ctx, c, http.MethodGet, invoicePath(org, month), nil))
}

// Receipts gives one page of the records that a closed invoice is made of. limit 0 = the server's default.
func (c *Client) Receipts(ctx context.Context, org, month, cursor string, limit int) (*Records, error) {
	return one(ask[Records](ctx, c, http.MethodGet, invoicePath(org, month)+"/receipts"+search("cursor", cursor, "limit", page(limit)), nil))
}

func invoicePath(org, month string) string {
	return "/api/invoices/" + url.PathEscape(org) + "/" + url.PathEscape(month)
}

// CloseMonth makes the invoices of a month.
func (c *Client) CloseMonth(ctx context.Context, closing Closing) (*ClosedMonth, error) {
	return one(ask[ClosedMonth](ctx, c, http.MethodPost, "/api/invoices", closing))
}

// Correct takes something off what a usage record costs, and gives the record that does.
func (c *Client) Correct(ctx context.Context, correction Correction) (*Record, error) {
	return one(ask[Record](ctx, c, http.MethodPost, "/api/corrections", correction))
}
