package admin

import "github.com/pilotlight-io/pilotlight/internal/ledger"

// Invoice is what one organisation pays for one month. Its JSON is the ledger's.
type Invoice = ledger.Invoice

// InvoiceList is one page of closed invoices, the newest first.
type InvoiceList struct {
	Invoices   []Invoice `json:"invoices"`
	OpenMonths []string  `json:"open_months"` // with usage and not closed, oldest first; the last may go on
	NextCursor *string   `json:"next_cursor"` // nil at the end
}

// Closing is the body of POST /api/invoices: it has a month closed.
type Closing struct {
	Month   string `json:"month"`             // YYYY-MM, UTC
	By      string `json:"by,omitempty"`      // who closes it; empty = the name of the admin token
	Confirm bool   `json:"confirm,omitempty"` // the server's clock is right, though it is further ahead than the ledger believes

	WithoutDamaged bool `json:"without_damaged,omitempty"` // close it though some records cannot be read: nobody pays for those
}

// ClosedMonth is a month that is closed, with its invoices.
type ClosedMonth struct {
	Month    string    `json:"month"`
	ClosedAt Time      `json:"closed_at"`
	ClosedBy string    `json:"closed_by"`
	Already  bool      `json:"already"` // it was closed before
	Invoices []Invoice `json:"invoices"`

	Damaged []ledger.Damage `json:"damaged,omitempty"` // what could not be read, and is on no invoice
}

// Correction is the body of POST /api/corrections.
type Correction struct {
	Record         string `json:"record"`                    // the id of a usage record
	CreditUSD      string `json:"credit_usd,omitempty"`      // a decimal; empty = all that is left of its cost
	Reason         string `json:"reason"`                    // in words, for the organisation, too
	IdempotencyKey string `json:"idempotency_key,omitempty"` // asked again with the same one, it is made once
	By             string `json:"by,omitempty"`              // who asks; empty = the name of the admin token
}
