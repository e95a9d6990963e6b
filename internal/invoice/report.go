package invoice

import (
	"fmt"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// Report is what Verify has found.
type Report struct {
	Records  int64         `json:"records"` // that were read
	Billed   int64         `json:"billed"`  // of them, on the invoice; without an invoice all
	Total    fleet.NanoUSD `json:"total_nano_usd"`
	TotalUSD string        `json:"total_usd"`
	Payable  string        `json:"payable_usd"`
	Chains   []Chain       `json:"chains"`
	Notes    []string      `json:"notes"`    // what cannot be checked, and why that may be so
	Problems []Problem     `json:"problems"` // empty = all is as it must be
}

// Chain is what the records show of one chain.
type Chain struct {
	Chain   string      `json:"chain"`
	Records int64       `json:"records"`
	First   ledger.Hash `json:"first"` // hash of its first record
	Last    ledger.Hash `json:"last"`  // and of its last
}

// Problem is something that is not as it must be.
type Problem struct {
	Line int    `json:"line"` // of the receipts, from 1; 0 = it is about all of them, or about the invoice
	What string `json:"what"`
}

// In gives the problem with its line in a file.
func (p Problem) In(file string) string {
	if p.Line == 0 {
		return file + ": " + p.What
	}
	return fmt.Sprintf("%s:%d: %s", file, p.Line, p.What)
}

// Text writes the problems for people, one a line, as file:line: what.
func (r *Report) Text(file string) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&b, p.In(file))
	}
	return b.String()
}
