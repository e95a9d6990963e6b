package ledger

import (
	"context"
	"database/sql"
	"errors"
	"math"
)

// stored is a record with its number.
type stored struct {
	number int64
	record Record
}

// find gives the record with an ID, or nil. org says whose it is; "" = not known, which takes longer. The error is a *DamagedError
// where the record is not found and may be in a damaged block.
func find(ctx context.Context, tx *sql.Tx, org, id string) (*stored, error) {
	var unsure *DamagedError
	for _, key := range idKeys(id) {
		found, err := lookUp(ctx, tx, org, key, id, func(r *rawFields) bool { return string(r.texts[fieldID]) == id })
		if found != nil {
			return found, nil
		}
		if err != nil && !errors.As(err, &unsure) {
			return nil, err
		}
	}
	if unsure != nil {
		return nil, unsure
	}
	return nil, nil
}

// lookUp gives the newest record that has a key and is the one, or nil. The error is a *DamagedError where a newer one may be in a damaged
// block; the record is given all the same. id is its ID where that is known.
func lookUp(ctx context.Context, tx *sql.Tx, org string, key int64, id string, is func(*rawFields) bool) (found *stored, err error) {
	var unsure *DamagedError
	to := sink{
		id: id,
		record: func(n numbered, r *rawFields) bool {
			if is(r) {
				found = &stored{n.number, r.record()}
			}
			return true
		},
		damaged: func(e *DamagedError) error { unsure = e; return nil },
	}
	for before := int64(math.MaxInt64); found == nil; {
		// A key says in which block its record has come; that may be a part of a run now.
		var seq sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT MAX(seq) FROM usage_keys WHERE key = $1 AND seq < $2", key, before).Scan(&seq); err != nil {
			return nil, err
		}
		if !seq.Valid {
			break
		}
		if before, err = readHolder(ctx, tx, org, seq.Int64, to); err != nil {
			return nil, err
		}
	}
	if unsure != nil {
		return found, unsure
	}
	return found, nil
}

// readHolder reads the block, or of the run the parts of an organisation ("" = all), that holds a number, and gives where it begins.
func readHolder(ctx context.Context, tx *sql.Tx, org string, number int64, to sink) (seq int64, err error) {
	var run, records int64
	err = tx.QueryRowContext(ctx, "SELECT seq, records FROM usage_runs WHERE seq <= $1 ORDER BY seq DESC LIMIT 1", number).Scan(&run, &records)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	if err != nil || number >= run+records {
		return number, readPieces(ctx, tx, to, blockColumns+"WHERE b.seq = $1", number)
	}
	if org == "" {
		return run, readPieces(ctx, tx, to, partColumns+"WHERE p.seq = $1", run)
	}
	return run, readPieces(ctx, tx, to, partColumns+"WHERE p.seq = $1 AND p.org = $2", run, org)
}
