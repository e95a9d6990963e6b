package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxFound is the longest period of Find, whose records are all read.
const MaxFound = 24 * time.Hour

// Find lists the records that a query selects, of at most a day, newest dispatch first, before the one that cursor names ("" = from the newest). limit 0 =
// DefaultRecordsLimit. q.By and q.Limit mean nothing here. A mistake is an *InvalidError.
func (l *Ledger) Find(ctx context.Context, q Query, cursor string, limit int) (page Page, err error) {
	if limit, err = clampLimit(limit, DefaultRecordsLimit, MaxRecordsLimit); err != nil {
		return Page{}, err
	}
	if q.From.IsZero() || q.To.IsZero() || q.To.Sub(q.From) > MaxFound {
		return Page{}, &InvalidError{"from", "single requests are looked for within a day; give from and to, at most 24 hours apart"}
	}
	f := finder{q: q, limit: limit}
	if f.before, err = parseFound(cursor); err != nil {
		return Page{}, err
	}
	err = l.read(ctx, q.Org, func(v *view) error {
		from, to := q.period()
		period := extent{max(from, v.oldest), to}
		query, args := sumAll, []any{period.start, period.end, int64(runSpan)}
		if q.Org != "" {
			query, args = sumOrg, append(args, q.Org, orgKey(q.Org))
		}
		err := readPieces(ctx, v.tx, sink{
			record: func(_ numbered, r *rawFields) bool {
				f.take(r, period)
				return true
			},
			damaged: func(e *DamagedError) error {
				v.tellDamage(e)
				page.Damaged = append(page.Damaged, e.Damage)
				return nil
			},
		}, query, args...)
		if err != nil {
			return err
		}
		return v.eachUnmoved(ctx, func(r *rawFields) bool {
			f.take(r, period)
			return true
		})
	})
	if err != nil {
		return Page{}, fmt.Errorf("looking for usage records: %w", err)
	}
	f.cut()
	page.Records = f.found
	if f.more {
		page.Next = foundCursor(&f.found[len(f.found)-1])
	}
	return page, nil
}

// finder keeps the newest records that a query selects.
type finder struct {
	q      Query
	limit  int
	before *foundPlace // only what comes behind it; nil = all
	found  []Record
	more   bool // there were more than limit
}

// foundPlace is a record's place in the answers of Find.
type foundPlace struct {
	at int64
	id string
}

// behind reports whether a record comes behind the place: it is older.
func (p *foundPlace) behind(at int64, id []byte) bool {
	return at < p.at || at == p.at && string(id) < p.id
}

func (f *finder) take(r *rawFields, period extent) {
	at, id := r.numbers[fieldDispatched], r.texts[fieldID]
	if at < period.start || at >= period.end || !f.q.selects(r) || f.before != nil && !f.before.behind(at, id) {
		return
	}
	if len(f.found) >= 2*f.limit {
		f.cut()
	}
	if n := len(f.found); f.more && n == f.limit { // sorted: what is older than the last is not among the newest
		last := foundPlace{f.found[n-1].DispatchedAt.UnixMicro(), f.found[n-1].ID}
		if last.behind(at, id) {
			return
		}
	}
	f.found = append(f.found, r.record())
}

// cut sorts what was found, and drops all but the newest.
func (f *finder) cut() {
	slices.SortFunc(f.found, func(a, b Record) int {
		return cmp.Or(b.DispatchedAt.Compare(a.DispatchedAt), strings.Compare(b.ID, a.ID))
	})
	if len(f.found) > f.limit {
		f.found, f.more = f.found[:f.limit], true
	}
	if f.found == nil {
		f.found = []Record{}
	}
}

func foundCursor(r *Record) string {
	return r.DispatchedAt.UTC().Format(instantLayout) + "." + r.ID
}

func parseFound(cursor string) (*foundPlace, error) {
	if cursor == "" {
		return nil, nil
	}
	if len(cursor) > len(instantLayout) && cursor[len(instantLayout)] == '.' {
		if at, err := time.Parse(instantLayout, cursor[:len(instantLayout)]); err == nil {
			return &foundPlace{at.UnixMicro(), cursor[len(instantLayout)+1:]}, nil
		}
	}
	return nil, &InvalidError{"cursor", "it is none of this list; use the next of the page before"}
}
