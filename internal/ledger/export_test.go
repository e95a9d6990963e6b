package ledger

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Flush moves what was appended into the store, as Run does.
func (l *Ledger) Flush(ctx context.Context) error { return l.flush(ctx) }

// Sort makes runs of all blocks that can be read.
func (l *Ledger) Sort(ctx context.Context) error {
	for {
		if more, err := l.sort(ctx, true); !more || err != nil {
			return err
		}
	}
}

// SortSome makes the runs that Run would make.
func (l *Ledger) SortSome(ctx context.Context) error {
	for {
		if more, err := l.sort(ctx, false); !more || err != nil {
			return err
		}
	}
}

// SumMonths adds the days before that of a moment to their months.
func (l *Ledger) SumMonths(ctx context.Context, before time.Time) error {
	return l.sumMonths(ctx, floorDay(before.UnixMicro()))
}

// PruneBefore deletes the records of days before that of a moment.
func (l *Ledger) PruneBefore(ctx context.Context, before time.Time) error {
	return l.prune(ctx, floorDay(before.UnixMicro()))
}

// Exec changes a store behind the ledger's back.
func Exec(t testing.TB, s *store.Store, query string, args ...any) {
	t.Helper()
	err := s.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// CloseNow closes a month whatever the clock says.
func (l *Ledger) CloseNow(ctx context.Context, month string) (*Closed, error) {
	number, err := parseMonth(month)
	if err != nil {
		return nil, err
	}
	return l.closeMonth(ctx, number, &Closing{By: "test"})
}

// CloseAll has everything that is in the store on an invoice of long ago, so that retention may delete it.
func (l *Ledger) CloseAll(t testing.TB) {
	t.Helper()
	err := l.flush(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	last, err := lastNumber(context.Background(), l.store.DB())
	if err != nil {
		t.Fatal(err)
	}
	Exec(t, l.store, "INSERT INTO closings (month, up_to, closed_at, closed_by) VALUES ($1, $2, 0, 'test')", monthOf(floorDay(time.Now().UnixMicro()))+12, last)
	if err := l.learnOpen(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Crash ends the ledger as a kill does: nothing is moved any more.
func (l *Ledger) Crash() {
	l.wal.close()
	l.lock.Close()
}
