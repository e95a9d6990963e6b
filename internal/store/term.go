package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// mostTerm is far beyond any clock, and leaves room for every life.
const mostTerm = 1 << 56

// NextTerm gives the term of a new server life: larger than every one that it has given before, and than seen, the largest that the caller knows of
// others. It is durable before it is given. Callers at the same time get different ones.
//
// It counts up by one, whatever the clock says. Only the first term of a store is at least the milliseconds of the clock: so it exceeds those
// of lives before this table, which were just that, and those of a store that was lost, which had begun at such a moment and gained one a
// life since. Where the clock was set back before it began again, seen is what helps.
func (s *Store) NextTerm(ctx context.Context, now time.Time, seen uint64) (uint64, error) {
	var term uint64
	err := s.Write(ctx, func(tx *sql.Tx) error {
		var last int64
		err := tx.QueryRowContext(ctx, "SELECT term FROM terms").Scan(&last)
		if errors.Is(err, sql.ErrNoRows) {
			last, err = max(now.UnixMilli()-1, 0), nil
		}
		if err != nil {
			return explain(err)
		}
		if seen >= mostTerm {
			return fmt.Errorf("%d, which was seen, is no term of a server", seen)
		}
		term = max(uint64(last), seen) + 1
		_, err = tx.ExecContext(ctx, "INSERT INTO terms (one, term) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET term = excluded.term", int64(term))
		return explain(err)
	})
	if err != nil {
		return 0, fmt.Errorf("taking the next term: %w", err)
	}
	return term, nil
}
