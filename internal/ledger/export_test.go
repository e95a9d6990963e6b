package ledger

import (
	"context"
	"database/sql"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Flush moves what was appended into the store, as Run does.
func (l *Ledger) Flush(ctx context.Context) error { return l.flush(ctx) }

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
