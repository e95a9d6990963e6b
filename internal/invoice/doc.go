// Package invoice shows an invoice on paper, and whether it is true.
//
// Verify needs nothing but records and, where there is one, the invoice: no server, no store, no clock. It recomputes each record's cost and
// hash, follows the chains, adds up to the nano-dollar, and says of everything that does not fit where it is and what would be right.
// It never takes a sum, a hash or a cost from what it checks. Page writes one HTML page that prints well and needs no other file.
package invoice
