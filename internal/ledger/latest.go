package ledger

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Latest lists records newest first, before the record whose ID is cursor ("" = from the newest), those that have not reached the store included. org
// "" = of all. limit 0 = DefaultRecordsLimit. A mistake is an *InvalidError. It is for people who look at what has just been: who needs every record
// once reads Records, whose order does not change when others come.
func (l *Ledger) Latest(ctx context.Context, org, cursor string, limit int) (page Page, err error) {
	if limit, err = clampLimit(limit, DefaultRecordsLimit, MaxRecordsLimit); err != nil {
		return Page{}, err
	}
	err = l.read(ctx, org, func(v *view) (err error) {
		page, err = v.latest(ctx, org, cursor, limit)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("listing the latest usage records: %w", err)
	}
	return page, nil
}

// Record gives the record with an ID, or ErrNotFound. org is whose it has to be; "" = anybody's.
func (l *Ledger) Record(ctx context.Context, org, id string) (found *Record, err error) {
	err = l.read(ctx, org, func(v *view) error {
		err := v.eachUnmoved(ctx, func(r *rawFields) bool {
			if string(r.texts[fieldID]) == id {
				record := r.record()
				found = &record
			}
			return found == nil
		})
		if found != nil || err != nil {
			return err
		}
		kept, err := find(ctx, v.tx, org, id)
		if kept != nil {
			found = &kept.record
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading usage record %s: %w", id, err)
	}
	if found == nil || org != "" && found.Org != org || found.DispatchedAt.UnixMicro() < l.oldest() {
		return nil, ErrNotFound
	}
	return found, nil
}

func (v *view) latest(ctx context.Context, org, cursor string, limit int) (page Page, err error) {
	page.Records = []Record{}
	before := int64(math.MaxInt64)
	recent, found, err := v.recent(ctx, org, cursor)
	if err != nil {
		return Page{}, err
	}
	if cursor != "" && !found {
		if before, err = v.locate(ctx, org, cursorID(cursor)); err != nil {
			return Page{}, err
		}
		recent = nil
	}
	for _, r := range slices.Backward(recent) {
		if len(page.Records) == limit {
			page.Next = page.Records[limit-1].ID
			return page, nil
		}
		page.Records = append(page.Records, r)
	}
	for {
		seqs, err := v.holdersBefore(ctx, org, before)
		if err != nil || len(seqs) == 0 {
			return page, err
		}
		for _, seq := range seqs {
			if err := v.addBackward(ctx, &page, org, seq, before, limit); err != nil {
				return page, err
			}
			if len(page.Records) > limit {
				page.Records = page.Records[:limit]
				page.Next = page.Records[limit-1].ID
				return page, nil
			}
			before = seq
		}
	}
}

func cursorID(cursor string) string {
	id, _ := splitCursor(cursor)
	return id
}

// recent gives the records that are not in the store, oldest first; those before the one that the cursor names, where it is among them.
func (v *view) recent(ctx context.Context, org, cursor string) (records []Record, found bool, err error) {
	err = v.eachUnmoved(ctx, func(r *rawFields) bool {
		if cursor != "" && string(r.texts[fieldID]) == cursorID(cursor) {
			found = true
			return false
		}
		if (org == "" || string(r.texts[fieldOrg]) == org) && r.numbers[fieldDispatched] >= v.oldest {
			records = append(records, r.record())
		}
		return true
	})
	return records, found, err
}

// holdersBefore lists some blocks and runs that hold records of an organisation with smaller numbers, the last first.
func (v *view) holdersBefore(ctx context.Context, org string, before int64) (seqs []int64, err error) {
	const some = 8
	query, args := "SELECT seq FROM (SELECT seq FROM usage_runs UNION ALL SELECT seq FROM usage_blocks) s WHERE seq < $1 ORDER BY seq DESC LIMIT $2", []any{before, some}
	if org != "" {
		query = `SELECT seq FROM (SELECT p.seq FROM usage_parts p WHERE p.org = $3 UNION ALL SELECT b.seq FROM usage_blocks b JOIN usage_keys k ON k.seq = b.seq WHERE k.key = $4) s
			WHERE seq < $1 ORDER BY seq DESC LIMIT $2`
		args = append(args, org, orgKey(org))
	}
	rows, err := v.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		seqs = append(seqs, seq)
	}
	return seqs, rows.Err()
}

// addBackward adds the records of a block or run with numbers below before, newest first, and one more than the limit at most.
func (v *view) addBackward(ctx context.Context, page *Page, org string, seq, before int64, limit int) error {
	var records []Record
	parts, args := "WHERE p.seq = $1", []any{seq}
	if org != "" {
		parts, args = "WHERE p.seq = $1 AND p.org = $2", []any{seq, org}
	}
	err := readPieces(ctx, v.tx, sink{
		record: func(n numbered, r *rawFields) bool {
			if n.number < before && (org == "" || string(r.texts[fieldOrg]) == org) && r.numbers[fieldDispatched] >= v.oldest {
				records = append(records, r.record())
			}
			return n.number < before
		},
		damaged: func(e *DamagedError) error {
			v.tellDamage(e)
			page.Damaged = append(page.Damaged, e.Damage)
			return nil
		},
	}, partColumns+parts+" UNION ALL "+blockColumns+"WHERE b.seq = $1", args...)
	for _, r := range slices.Backward(records) {
		if len(page.Records) > limit {
			break
		}
		page.Records = append(page.Records, r)
	}
	return err
}
