package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Check is what CheckStore has found.
type Check struct {
	Records, Days, Months int64    // records read, and sums compared with them
	Differences           []string // each for people to read; none = the store is right
}

// CheckStore recomputes every sum of a store from its records, as the store is at one moment, and names each that is another, and each block that cannot be
// read. It changes nothing, and a server may use the store meanwhile. Days that retention has begun to delete have no sums any more, and are left out.
func CheckStore(ctx context.Context, s *store.Store) (c Check, err error) {
	err = s.ReadAll(ctx, func(tx *sql.Tx) error { return c.run(ctx, tx) })
	if err != nil {
		return Check{}, fmt.Errorf("checking the store: %w", err)
	}
	return c, nil
}

func (c *Check) run(ctx context.Context, tx *sql.Tx) error {
	kept, err := keptSums(ctx, tx, "usage_days", "day")
	if err != nil {
		return err
	}
	months, err := keptSums(ctx, tx, "usage_months", "month")
	if err != nil {
		return err
	}
	summed, err := summedDay(ctx, tx)
	if err != nil {
		return err
	}
	recomputed, err := c.recompute(ctx, tx, oldestDay(kept))
	if err != nil {
		return err
	}
	ofMonths := days{}
	for k, s := range kept {
		if k.day < summed {
			ofMonths.addSums(dayKey{monthOf(k.day), k.org, k.tokenID, k.model}, s)
		}
	}
	c.Days, c.Months = int64(len(kept)), int64(len(months))
	c.compare("day", kept, recomputed, func(day int64) string { return time.UnixMicro(day * dayMicros).UTC().Format(time.DateOnly) })
	c.compare("month", months, ofMonths, func(month int64) string {
		return time.UnixMicro(firstDay(month) * dayMicros).UTC().Format("2006-01")
	})
	return nil
}

// recompute adds all records up, of days from the oldest on.
func (c *Check) recompute(ctx context.Context, tx *sql.Tx, oldest int64) (days, error) {
	found := days{}
	err := readPieces(ctx, tx, sink{
		record: func(_ numbered, r *rawFields) bool {
			c.Records++
			if floorDay(r.numbers[fieldDispatched]) >= oldest {
				found.add(r)
			}
			return true
		},
		damaged: func(e *DamagedError) error {
			c.Differences = append(c.Differences, e.Error())
			return nil
		},
	}, partColumns+"UNION ALL "+blockColumns+"ORDER BY 1")
	return found, err
}

func oldestDay(kept days) int64 {
	oldest, any := int64(0), false
	for k := range kept {
		if !any || k.day < oldest {
			oldest, any = k.day, true
		}
	}
	return oldest
}

func (d days) addSums(k dayKey, s *sums) {
	if d[k] == nil {
		d[k] = new(sums)
	}
	to := d[k]
	to.requests, to.promptTokens, to.completionTokens = plus(to.requests, s.requests), plus(to.promptTokens, s.promptTokens), plus(to.completionTokens, s.completionTokens)
	to.billedUS, to.gpuUS, to.cost = plus(to.billedUS, s.billedUS), plus(to.gpuUS, s.gpuUS), plus(to.cost, s.cost)
}

// keptSums reads a table of sums.
func keptSums(ctx context.Context, tx *sql.Tx, table, period string) (days, error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+period+", org, token_id, model, "+sumsOf+" FROM "+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	kept := days{}
	for rows.Next() {
		var k dayKey
		var s sums
		err := rows.Scan(&k.day, &k.org, &k.tokenID, &k.model, &s.requests, &s.promptTokens, &s.completionTokens, &s.billedUS, &s.gpuUS, &s.cost)
		if err != nil {
			return nil, err
		}
		kept[k] = &s
	}
	return kept, errors.Join(rows.Err(), rows.Close())
}

// compare notes where sums that are kept are not those that were recomputed. Sums of nothing need no row.
func (c *Check) compare(period string, kept, recomputed days, name func(int64) string) {
	all := maps.Clone(kept)
	maps.Copy(all, recomputed)
	keys := slices.SortedFunc(maps.Keys(all), func(a, b dayKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.org, b.org), cmp.Compare(a.tokenID, b.tokenID), cmp.Compare(a.model, b.model))
	})
	for _, k := range keys {
		has, want := sums{}, sums{}
		if kept[k] != nil {
			has = *kept[k]
		}
		if recomputed[k] != nil {
			want = *recomputed[k]
		}
		if has != want {
			c.Differences = append(c.Differences, fmt.Sprintf("%s %s, organisation %s, token %s, model %s: kept %s; its records make %s",
				period, name(k.day), k.org, k.tokenID, k.model, has, want))
		}
	}
}

func (s sums) String() string {
	return fmt.Sprintf("%d requests, %d prompt and %d completion tokens, %d us billed, %d GPU-us, %d nano-USD",
		s.requests, s.promptTokens, s.completionTokens, s.billedUS, s.gpuUS, s.cost)
}
