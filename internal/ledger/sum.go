package ledger

import (
	"context"
	"math"
	"time"
)

// sum adds up what q selects, by q's groups after one of them (nil = from the start): at least the first limit groups, where
// there are so many. Whole days come from usage_days; of a day that the query cuts, of hours, and of what is not yet in the store, the
// records are read.
func (v *view) sum(ctx context.Context, q Query, by grouping, after *dayKey, limit int) (map[dayKey]*sums, error) {
	found := &groupSums{q: q, by: by, after: after, sums: map[dayKey]*sums{}}
	sum := v.sumDays
	if by.hour {
		sum = v.sumHours
	}
	if err := sum(ctx, found, limit); err != nil {
		return nil, err
	}
	from, to := q.period()
	err := v.eachUnmoved(ctx, func(r *rawFields) bool {
		found.add(r, extent{from, to})
		return true
	})
	return found.sums, err
}

// sumDays adds up whole days and what is left around them.
func (v *view) sumDays(ctx context.Context, found *groupSums, limit int) error {
	days, edges := found.q.cut()
	summed, err := summedDay(ctx, v.tx)
	if err != nil {
		return err
	}
	// A group beyond the limit here is beyond it in the answer, too: what the rest brings only goes before it.
	if err := v.sumSums(ctx, sourcesOf(found.by, days, summed), limit, found); err != nil {
		return err
	}
	for _, e := range edges {
		if err := v.sumRecords(ctx, e, found); err != nil {
			return err
		}
	}
	return nil
}

// sumHours adds up the records of one day after the other, until there are limit groups: those of later days come behind them.
func (v *view) sumHours(ctx context.Context, found *groupSums, limit int) error {
	from, to := found.q.period()
	if found.after != nil {
		from = max(from, found.after.day*hourMicros)
	}
	for from < to && len(found.sums) < limit {
		day := extent{from, min(to, (floorDay(from)+1)*dayMicros)}
		if err := v.sumRecords(ctx, day, found); err != nil {
			return err
		}
		from = day.end
	}
	return nil
}

// groupSums are the sums of a query's groups, of those after one (nil = of all).
type groupSums struct {
	q     Query
	by    grouping
	after *dayKey
	sums  map[dayKey]*sums
}

// add adds a record where the query selects it and it was dispatched in a period.
func (g *groupSums) add(r *rawFields, period extent) {
	at := r.numbers[fieldDispatched]
	if at < period.start || at >= period.end || !g.q.selects(r) {
		return
	}
	k := g.by.group(at, string(r.texts[fieldOrg]), string(r.texts[fieldToken]), string(r.texts[fieldModel]))
	if g.after != nil && compareKeys(k, *g.after) <= 0 {
		return
	}
	if g.sums[k] == nil {
		g.sums[k] = new(sums)
	}
	g.sums[k].add(r)
}

// period is the time of a query, in microseconds.
func (q Query) period() (from, to int64) {
	from, to = -math.MaxInt64, math.MaxInt64
	if !q.From.IsZero() {
		from = ceilMicro(q.From)
	}
	if !q.To.IsZero() {
		to = ceilMicro(q.To)
	}
	return from, to
}

// cut splits the time of a query into whole UTC days, and what of days is left around them, in microseconds.
func (q Query) cut() (days extent, edges []extent) {
	from, to := q.period()
	days = extent{-floorDay(-from), floorDay(to)} // rounded up, and down
	if days.start > days.end {
		return extent{}, []extent{{from, to}}
	}
	if q.From.IsZero() {
		days.start = math.MinInt64
	} else if head := (extent{from, days.start * dayMicros}); head.start < head.end {
		edges = append(edges, head)
	}
	if q.To.IsZero() {
		days.end = math.MaxInt64
	} else if tail := (extent{days.end * dayMicros, to}); tail.start < tail.end {
		edges = append(edges, tail)
	}
	return days, edges
}

// ceilMicro is the first whole microsecond that is not before t: records have no finer times.
func ceilMicro(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }

// pointers gives where columns of the key are scanned to.
func (k *dayKey) pointers(columns []string) (all []any) {
	for _, c := range columns {
		all = append(all, map[string]any{"day": &k.day, "org": &k.org, "token_id": &k.tokenID, "model": &k.model}[c])
	}
	return all
}

func (k *dayKey) values(columns []string) (all []any) {
	for _, c := range columns {
		all = append(all, map[string]any{"day": k.day, "org": k.org, "token_id": k.tokenID, "model": k.model}[c])
	}
	return all
}

// sumRecords adds up the records that were dispatched from e.start on and before e.end.
func (v *view) sumRecords(ctx context.Context, e extent, found *groupSums) error {
	e.start = max(e.start, v.oldest)
	query, args := sumAll, []any{e.start, e.end, int64(runSpan)}
	if org := found.q.Org; org != "" {
		query, args = sumOrg, append(args, org, orgKey(org))
	}
	return readPieces(ctx, v.tx, sink{record: func(_ numbered, r *rawFields) bool {
		found.add(r, e)
		return true
	}}, query, args...)
}

// No block or run is longer than runSpan, so that those that begin before the end of a period end soon after it.
const (
	sumPeriod = "dispatched_to >= $1 AND dispatched_to - $3 < $2 AND dispatched_from < $2"

	sumAll = partColumns + "WHERE p.seq IN (SELECT seq FROM usage_runs WHERE " + sumPeriod + ") UNION ALL " +
		blockColumns + "WHERE " + sumPeriod
	sumOrg = partColumns + "WHERE p.org = $4 AND " + sumPeriod + " UNION ALL " +
		blockColumns + "JOIN usage_keys k ON k.seq = b.seq WHERE k.key = $5 AND " + sumPeriod
)

func (q *Query) selects(f *rawFields) bool {
	return (q.Org == "" || q.Org == string(f.texts[fieldOrg])) && (q.TokenID == "" || q.TokenID == string(f.texts[fieldToken])) &&
		(q.Model == "" || q.Model == string(f.texts[fieldModel]))
}
