package ledger

import (
	"context"
	"database/sql"
	"errors"
)

// view is what one query sees: the store at one moment, and the records of the log that are not in it then.
type view struct {
	tx      *sql.Tx
	unmoved []stretch
	oldest  int64 // first dispatch that is listed, in microseconds

	tellDamage func(*DamagedError)
}

// read runs a query of an organisation ("" = of all). It neither moves nor writes anything.
func (l *Ledger) read(ctx context.Context, org string, f func(*view) error) error {
	leave, err := l.readers.enter(ctx, org)
	if err != nil {
		return err
	}
	defer leave()
	// The log first: what the mover brings into the store in between is then at both places, and is known by its bytes.
	v := &view{unmoved: l.wal.unmoved(), oldest: l.oldest(), tellDamage: l.tellDamage}
	if err := l.wal.load(v.unmoved); err != nil {
		return err
	}
	err = l.store.Read(ctx, func(tx *sql.Tx) error {
		v.tx = tx
		return f(v)
	})
	if damaged := (*DamagedError)(nil); errors.As(err, &damaged) {
		l.tellDamage(damaged)
	}
	return err
}

// eachUnmoved calls f with the records that are not in the store, oldest first, until f returns false.
func (v *view) eachUnmoved(ctx context.Context, f func(r *rawFields) bool) error {
	return eachUnmoved(ctx, v.tx, v.unmoved, f)
}
