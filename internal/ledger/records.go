package ledger

import (
	"context"
	"database/sql"
	"fmt"
)

// Limits of one answer of Records.
const (
	DefaultRecordsLimit = 100
	MaxRecordsLimit     = 1000
)

// Records lists records in the order in which they reached the store, oldest first, after the record whose ID is cursor
// ("" = from the start). org "" = of all. next is "" at the end; the ID of any record that is kept is a valid cursor.
// limit 0 = DefaultRecordsLimit. A mistake is an *InvalidError. What has not reached the store has no place in that order yet, for
// another server's may come before it: it is listed when it is there.
func (l *Ledger) Records(ctx context.Context, org, cursor string, limit int) (records []Record, next string, err error) {
	if limit, err = clampLimit(limit, DefaultRecordsLimit, MaxRecordsLimit); err != nil {
		return nil, "", err
	}
	err = l.read(ctx, org, func(v *view) (err error) {
		records, next, err = v.list(ctx, org, cursor, limit)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing usage records: %w", err)
	}
	return records, next, nil
}

func (v *view) list(ctx context.Context, org, cursor string, limit int) (records []Record, next string, err error) {
	after, err := v.locate(ctx, cursor)
	if err != nil {
		return nil, "", err
	}
	from, args := "WHERE b.seq >= ? ORDER BY b.seq", []any{after.block}
	if org != "" {
		from, args = "JOIN usage_keys k ON k.seq = b.seq WHERE k.key = ? AND k.seq >= ? ORDER BY k.seq", []any{orgKey(org), after.block}
	}
	records = []Record{}
	err = readBlocks(ctx, v.tx, func(block, index int64, f *rawFields) bool {
		if block == after.block && index <= after.index || org != "" && string(f.texts[fieldOrg]) != org || f.numbers[fieldDispatched] < v.oldest {
			return true
		}
		if len(records) == limit {
			next = records[limit-1].ID
			return false
		}
		records = append(records, f.record())
		return true
	}, from, args...)
	return records, next, err
}

// Receipt gives the newest record of a token's request, or ErrNotFound. org is the token's.
func (l *Ledger) Receipt(ctx context.Context, org, tokenID, requestID string) (found *Record, err error) {
	err = l.read(ctx, org, func(v *view) (err error) {
		found, err = v.receipt(ctx, tokenID, requestID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading a receipt: %w", err)
	}
	if found == nil || found.DispatchedAt.UnixMicro() < l.oldest() {
		return nil, ErrNotFound
	}
	return found, nil
}

// receipt gives the newest record of a token's request, or nil.
func (v *view) receipt(ctx context.Context, tokenID, requestID string) (*Record, error) {
	is := func(r *rawFields) bool {
		request := r.texts[fieldRequest]
		if len(request) == 0 {
			request = r.texts[fieldID]
		}
		return string(request) == requestID && string(r.texts[fieldToken]) == tokenID && string(r.texts[fieldKind]) == string(KindUsage)
	}
	var newest *Record
	err := v.eachUnmoved(ctx, func(r *rawFields) bool {
		if is(r) {
			record := r.record()
			newest = &record
		}
		return true
	})
	if newest != nil || err != nil {
		return newest, err
	}
	named, err := v.named(ctx, tokenID, requestID)
	if err != nil {
		return nil, err
	}
	own, err := find(ctx, v.tx, requestID)
	if err != nil {
		return nil, err
	}
	if own != nil && (own.record.TokenID != tokenID || own.record.RequestID != requestID || own.record.Kind != KindUsage) {
		own = nil
	}
	found := named
	if named == nil || own != nil && own.after(named) {
		found = own
	}
	if found == nil {
		return nil, nil
	}
	return &found.record, nil
}

// stored is a record with its place in the store.
type stored struct {
	block, index int64
	record       Record
}

func (s *stored) after(o *stored) bool { return s.block+s.index > o.block+o.index }

// locate gives the place of a cursor in the order of records.
func (v *view) locate(ctx context.Context, cursor string) (*stored, error) {
	if cursor == "" {
		return &stored{}, nil
	}
	s, err := find(ctx, v.tx, cursor)
	if err != nil {
		return nil, fmt.Errorf("looking a cursor up: %w", err)
	}
	if s == nil {
		return nil, &InvalidError{"cursor", "there is no such record; use the id of one"}
	}
	return s, nil
}

// named gives the newest record of a request that its caller named, or nil.
func (v *view) named(ctx context.Context, tokenID, requestID string) (found *stored, err error) {
	err = readBlocks(ctx, v.tx, func(block, index int64, f *rawFields) bool {
		if found != nil && block != found.block {
			return false
		}
		if string(f.texts[fieldRequest]) == requestID && string(f.texts[fieldToken]) == tokenID && string(f.texts[fieldKind]) == string(KindUsage) {
			found = &stored{block, index, f.record()}
		}
		return true
	}, "JOIN usage_keys k ON k.seq = b.seq WHERE k.key = ? ORDER BY k.seq DESC", nameKey(tokenID, requestID))
	return found, err
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// find gives the record with an ID, or nil.
func find(ctx context.Context, db querier, id string) (found *stored, err error) {
	err = readBlocks(ctx, db, func(block, index int64, f *rawFields) bool {
		if string(f.texts[fieldID]) == id {
			found = &stored{block, index, f.record()}
		}
		return found == nil
	}, "JOIN usage_keys k ON k.seq = b.seq WHERE k.key = ?", idKey(id))
	return found, err
}

// readBlocks calls f with the records of blocks b of the store, each with its block and its place in it, until f returns
// false. Blocks are read as they are needed.
func readBlocks(ctx context.Context, db querier, f func(block, index int64, r *rawFields) bool, from string, args ...any) error {
	rows, err := db.QueryContext(ctx, "SELECT b.seq, b.data FROM usage_blocks b "+from, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var data sql.RawBytes
		if err := rows.Scan(&seq, &data); err != nil {
			return err
		}
		more := true
		err := eachRecord(seq, data, func(index int64, r *rawFields) bool {
			more = f(seq, index, r)
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return rows.Err()
}
