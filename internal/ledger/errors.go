package ledger

import "errors"

// Errors of this package.
var (
	ErrNotFound = errors.New("no such usage record")
	ErrClosed   = errors.New("the ledger is closed")
	ErrLocked   = errors.New("another process has the ledger's directory open")
	ErrNoRoom   = errors.New("the ledger's disk has no room for one more record than those of the requests in flight")
	ErrNewer    = errors.New("the ledger's directory was written by a newer Pilotlight")
)

// InvalidError says which field of a query or record is wrong, and what would be right.
type InvalidError struct {
	Field, Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }
