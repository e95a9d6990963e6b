package ledger

import (
	"context"
	"database/sql"
	"fmt"
)

// stride is how many blocks and runs are asked for at once. A database that has begun to answer sends the whole of its answer, however soon who asks has enough.
const stride = 8

// readFrom reads the pieces of an organisation ("" = of all) in order, from the one on that holds a number, until to.record returns false.
func (v *view) readFrom(ctx context.Context, org string, number int64, to sink) error {
	from, err := v.holder(ctx, number)
	if err != nil {
		return err
	}
	over, record := false, to.record
	to.record = func(n numbered, r *rawFields) bool {
		over = !record(n, r)
		return !over
	}
	for !over {
		last, err := v.reach(ctx, org, from)
		if err != nil || last < 0 {
			return err
		}
		query, args := partColumns+"WHERE p.seq BETWEEN $1 AND $2 UNION ALL "+blockColumns+"WHERE b.seq BETWEEN $1 AND $2 ORDER BY 1", []any{from, last}
		if org != "" {
			query, args = partColumns+"WHERE p.org = $3 AND p.seq BETWEEN $1 AND $2 UNION ALL "+
				blockColumns+"JOIN usage_keys k ON k.seq = b.seq WHERE k.key = $4 AND b.seq BETWEEN $1 AND $2 ORDER BY 1", append(args, org, orgKey(org))
		}
		if err := readPieces(ctx, v.tx, to, query, args...); err != nil {
			return err
		}
		from = last + 1
	}
	return nil
}

// holder gives where the block or run begins that holds a number, or would.
func (v *view) holder(ctx context.Context, number int64) (int64, error) {
	var seq sql.NullInt64
	err := v.tx.QueryRowContext(ctx, `SELECT MAX(seq) FROM (SELECT MAX(seq) AS seq FROM usage_runs WHERE seq <= $1
		UNION ALL SELECT MAX(seq) FROM usage_blocks WHERE seq <= $1) AS holders`, number).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("looking for the holder of usage record %d: %w", number, err)
	}
	return seq.Int64, nil
}

// reach gives the last of the next blocks and runs that hold records of an organisation, from one on; -1 = there are no more.
func (v *view) reach(ctx context.Context, org string, from int64) (int64, error) {
	next, args := "SELECT seq FROM usage_runs WHERE seq >= $1 UNION ALL SELECT seq FROM usage_blocks WHERE seq >= $1 ORDER BY 1 LIMIT $2", []any{from, stride}
	if org != "" {
		next = `SELECT p.seq FROM usage_parts p WHERE p.org = $3 AND p.seq >= $1
			UNION ALL SELECT b.seq FROM usage_blocks b JOIN usage_keys k ON k.seq = b.seq WHERE k.key = $4 AND b.seq >= $1 ORDER BY 1 LIMIT $2`
		args = append(args, org, orgKey(org))
	}
	var last sql.NullInt64
	if err := v.tx.QueryRowContext(ctx, "SELECT MAX(seq) FROM ("+next+") AS next", args...).Scan(&last); err != nil {
		return 0, fmt.Errorf("looking for more usage records: %w", err)
	}
	if !last.Valid {
		return -1, nil
	}
	return last.Int64, nil
}
