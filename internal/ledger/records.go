package ledger

import (
	"context"
	"fmt"
)

// Limits of one answer of Records.
const (
	DefaultRecordsLimit = 100
	MaxRecordsLimit     = 1000
)

// Page is one answer of Records.
type Page struct {
	Records []Record
	Next    string   // the cursor of the next page; "" = this is the last
	Damaged []Damage // blocks that cannot be read, whose records would be in this page
}

// Records lists records in the order in which they reached the store, oldest first, after the record whose ID is cursor
// ("" = from the start). org "" = of all. The ID of any record that is kept is a valid cursor.
// limit 0 = DefaultRecordsLimit. A mistake is an *InvalidError. What has not reached the store has no place in that order yet, for
// another server's may come before it: it is listed when it is there.
func (l *Ledger) Records(ctx context.Context, org, cursor string, limit int) (page Page, err error) {
	if limit, err = clampLimit(limit, DefaultRecordsLimit, MaxRecordsLimit); err != nil {
		return Page{}, err
	}
	err = l.read(ctx, org, func(v *view) (err error) {
		page, err = v.list(ctx, org, cursor, limit)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("listing usage records: %w", err)
	}
	return page, nil
}

// Lists go on in the piece that holds a number; which that is, the greatest seq up to it says.
const (
	fromPart  = "p.seq >= (SELECT COALESCE(MAX(seq), 0) FROM usage_runs WHERE seq <= ?1)"
	fromBlock = "b.seq >= (SELECT COALESCE(MAX(seq), 0) FROM usage_blocks WHERE seq <= ?1)"

	listAll = partColumns + "WHERE " + fromPart + " UNION ALL " + blockColumns + "WHERE " + fromBlock + " ORDER BY 1"
	listOrg = partColumns + "WHERE p.org = ?2 AND " + fromPart + " UNION ALL " +
		blockColumns + "JOIN usage_keys k ON k.seq = b.seq WHERE k.key = ?3 AND " + fromBlock + " ORDER BY 1"
)

func (v *view) list(ctx context.Context, org, cursor string, limit int) (page Page, err error) {
	after, err := v.locate(ctx, org, cursor)
	if err != nil {
		return Page{}, err
	}
	query, args := listAll, []any{after}
	if org != "" {
		query, args = listOrg, []any{after, org, orgKey(org)}
	}
	page.Records = []Record{}
	err = readPieces(ctx, v.tx, sink{
		after: after,
		record: func(_ numbered, r *rawFields) bool {
			if org != "" && string(r.texts[fieldOrg]) != org || r.numbers[fieldDispatched] < v.oldest {
				return true
			}
			if len(page.Records) == limit {
				page.Next = page.Records[limit-1].ID
				return false
			}
			page.Records = append(page.Records, r.record())
			return true
		},
		damaged: func(e *DamagedError) error {
			v.tellDamage(e)
			if e.Block+e.Records > after && e.To.UnixMicro() >= v.oldest {
				page.Damaged = append(page.Damaged, e.Damage)
			}
			return nil
		},
	}, query, args...)
	return page, err
}

// locate gives the number of the record that is a cursor.
func (v *view) locate(ctx context.Context, org, cursor string) (number int64, err error) {
	if cursor == "" {
		return 0, nil
	}
	found, err := find(ctx, v.tx, org, cursor)
	if found == nil && err == nil && org != "" {
		found, err = find(ctx, v.tx, "", cursor) // another organisation's
	}
	if err != nil {
		return 0, fmt.Errorf("looking a cursor up: %w", err)
	}
	if found == nil {
		return 0, &InvalidError{"cursor", "there is no such record; use the id of one"}
	}
	return found.number, nil
}
