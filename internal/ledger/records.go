package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
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
	Last    string   // the cursor behind the last of Records; "" = there are none
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

// End gives the cursor behind all that Records lists now; "" = there was never a record. It reads no record. It holds for this store: a record's ID holds for
// any that has the record.
func (l *Ledger) End(ctx context.Context) (cursor string, err error) {
	var number int64
	err = l.store.Read(ctx, func(tx *sql.Tx) (err error) {
		number, err = lastNumber(ctx, tx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("looking for the newest usage record: %w", err)
	}
	if number == 0 {
		return "", nil
	}
	return joinCursor("", number), nil
}

func (v *view) list(ctx context.Context, org, cursor string, limit int) (page Page, err error) {
	id, number := splitCursor(cursor)
	if number > 0 {
		if page, known, err := v.listFrom(ctx, org, id, number, limit); known || err != nil {
			return page, err
		}
	}
	if number, err = v.locate(ctx, org, id); err != nil {
		return Page{}, err
	}
	page, _, err = v.listFrom(ctx, org, "", number, limit)
	return page, err
}

// listFrom lists after a number. id is the ID that the record with that number must have, which is looked at on the way; "" = it has. known =
// it has it.
func (v *view) listFrom(ctx context.Context, org, id string, number int64, limit int) (page Page, known bool, err error) {
	page.Records, known = []Record{}, id == ""
	after := number
	if !known {
		after--
	}
	err = v.readFrom(ctx, org, number, sink{
		after: after,
		record: func(n numbered, r *rawFields) bool {
			if !known {
				known = n.number == number && string(r.texts[fieldID]) == id
				return known
			}
			if org != "" && string(r.texts[fieldOrg]) != org || r.numbers[fieldDispatched] < v.oldest {
				return true
			}
			if len(page.Records) == limit {
				page.Next = page.Last
				return false
			}
			page.Records = append(page.Records, r.record())
			page.Last = joinCursor(page.Records[len(page.Records)-1].ID, n.number)
			return true
		},
		damaged: func(e *DamagedError) error {
			v.tellDamage(e)
			if e.Block+e.Records-1 > number && e.To.UnixMicro() >= v.oldest {
				page.Damaged = append(page.Damaged, e.Damage)
			}
			return nil
		},
	})
	return page, known, err
}

// A cursor is a record's ID, and where we have made it the record's number, so that it need not be looked up. Another store may have given
// that number to another record: then the ID counts.
func joinCursor(id string, number int64) string { return id + "." + strconv.FormatInt(number, 10) }

func splitCursor(cursor string) (id string, number int64) {
	id, digits, found := strings.Cut(cursor, ".")
	number, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || number < 1 {
		return cursor, 0
	}
	return id, number
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
