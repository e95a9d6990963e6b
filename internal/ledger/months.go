package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A month of many days has many rows in usage_days. So each day is added to its month when it is over, by whoever runs; a late record
// of such a day is added to both.

func monthOf(day int64) int64 {
	t := time.UnixMicro(day * dayMicros).UTC()
	return int64(t.Year()-1970)*12 + int64(t.Month()) - 1
}

// firstDay is the first day of a month.
func firstDay(month int64) int64 {
	return floorDay(time.Date(1970, time.Month(1+month), 1, 0, 0, 0, 0, time.UTC).UnixMicro())
}

// summedDay is the first day that is not in the sums of months.
func summedDay(ctx context.Context, db querier) (day int64, err error) {
	if err := db.QueryRowContext(ctx, "SELECT day FROM usage_summed").Scan(&day); err != nil {
		return 0, fmt.Errorf("reading which days are in the sums of months: %w", err)
	}
	return day, nil
}

var (
	addDayToMonth = "INSERT INTO usage_months (month, org, token_id, model, " + sumsOf + ") SELECT CAST($1 AS BIGINT), org, token_id, model, " + sumsOf +
		" FROM usage_days WHERE day = $2" + addTo("usage_months", "month")

	takeDayFromMonth = "UPDATE usage_months AS m SET " + eachSum("{c} = m.{c} - d.{c}", ", ") +
		" FROM usage_days d WHERE d.day = $2 AND m.month = $1 AND m.org = d.org AND m.token_id = d.token_id AND m.model = d.model"
	dropEmpty = "DELETE FROM usage_months WHERE month = $1 AND " + eachSum("{c} = 0", " AND ")
)

func eachSum(text, between string) string {
	var all []string
	for _, c := range sumColumns {
		all = append(all, strings.ReplaceAll(text, "{c}", c))
	}
	return strings.Join(all, between)
}

// sumMonths adds the days before a day to their months.
func (l *Ledger) sumMonths(ctx context.Context, before int64) error {
	for more := true; more && pause(ctx, retentionPause); {
		var err error
		if more, err = l.sumMonth(ctx, before); err != nil {
			return fmt.Errorf("adding up usage of months: %w", err)
		}
	}
	return nil
}

// sumMonth adds the next day before a day to its month. It gives false when all are in.
func (l *Ledger) sumMonth(ctx context.Context, before int64) (more bool, err error) {
	err = l.store.Write(ctx, func(tx *sql.Tx) error {
		ctx := context.WithoutCancel(ctx) // see moveSegment
		summed, err := summedDay(ctx, tx)
		if err != nil || summed >= before {
			return err
		}
		var day, newest sql.NullInt64
		err = tx.QueryRowContext(ctx, "SELECT MIN(day), (SELECT MAX(day) FROM usage_days) FROM usage_days WHERE day >= $1", summed).Scan(&day, &newest)
		if err != nil || !day.Valid || day.Int64 >= min(before, newest.Int64) { // the newest day goes on
			return err
		}
		more = true
		if _, err := tx.ExecContext(ctx, addDayToMonth, monthOf(day.Int64), day.Int64); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE usage_summed SET day = $1", day.Int64+1)
		return err
	})
	return more, err
}

// pruneDays deletes the sums of the days before a day, from those of their months, too.
func (l *Ledger) pruneDays(ctx context.Context, before int64) error {
	for more := true; more; {
		err := l.store.Write(ctx, func(tx *sql.Tx) (err error) {
			more, err = pruneDay(context.WithoutCancel(ctx), tx, before)
			return err
		})
		if err != nil {
			return err
		}
		if more && !pause(ctx, retentionPause) {
			return nil
		}
	}
	return nil
}

// pruneDay is pruneDays of the oldest day. It gives false when there is none.
func pruneDay(ctx context.Context, tx *sql.Tx, before int64) (more bool, err error) {
	if before, err = beforeOpen(ctx, tx, before); err != nil {
		return false, err
	}
	summed, err := summedDay(ctx, tx)
	if err != nil {
		return false, err
	}
	var day sql.NullInt64
	if err := tx.QueryRowContext(ctx, "SELECT MIN(day) FROM usage_days").Scan(&day); err != nil {
		return false, err
	}
	if !day.Valid || day.Int64 >= before {
		_, err := tx.ExecContext(ctx, "DELETE FROM usage_months WHERE month < $1", monthOf(before))
		return false, err
	}
	month := monthOf(day.Int64)
	if day.Int64 < summed {
		if _, err := tx.ExecContext(ctx, takeDayFromMonth, month, day.Int64); err != nil {
			return false, err
		}
		if _, err := tx.ExecContext(ctx, dropEmpty, month); err != nil {
			return false, err
		}
	}
	for _, table := range [...]string{"usage_days", "usage_servers"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE day = $1", day.Int64); err != nil {
			return false, err
		}
	}
	return true, nil
}

// source is a part of the sums: rows of a table whose period is from start on and before end.
type source struct {
	table, period string
	extent
}

// sourcesOf says where the sums of whole days are, where those before summed are in the sums of months, too.
func sourcesOf(by grouping, days extent, summed int64) []source {
	if by.day {
		return []source{{"usage_days", "day", days}}
	}
	first, last := int64(math.MinInt64), monthOf(summed-1) // months, last not included below
	if days.start != math.MinInt64 {
		if first = monthOf(days.start); firstDay(first) < days.start {
			first++
		}
	}
	if end := min(firstDay(last+1), summed); days.end < end { // the last month that has days would have some too many
		last = monthOf(days.end) - 1
	}
	if first > last {
		return []source{{"usage_days", "day", days}}
	}
	all := []source{{"usage_months", "month", extent{first, last + 1}}}
	if days.start != math.MinInt64 {
		all = append(all, source{"usage_days", "day", extent{days.start, firstDay(first)}})
	}
	all = append(all, source{"usage_days", "day", extent{min(firstDay(last+1), summed), days.end}})
	return slices.DeleteFunc(all, func(s source) bool { return s.start >= s.end })
}

// sumSums adds up rows of sources, the first limit groups.
func (v *view) sumSums(ctx context.Context, sources []source, limit int, found *groupSums) error {
	err := v.sumBy(ctx, "SUM(%s)", sources, limit, found)
	if err != nil && strings.Contains(err.Error(), "integer overflow") { // of SUM; slower, but it goes on at the ends of an int64
		return v.sumBy(ctx, "SUM(%[1]s >> 31), SUM(%[1]s & 2147483647)", sources, limit, found)
	}
	return err
}

func (v *view) sumBy(ctx context.Context, sum string, sources []source, limit int, found *groupSums) error {
	if len(sources) == 0 {
		return nil
	}
	columns := found.by.columns()
	keys := strings.Join(columns, ", ")
	var selects, totals []string
	var args arguments
	for _, s := range sources {
		selects = append(selects, s.query(found, columns, &args))
	}
	for _, c := range sumColumns {
		totals = append(totals, fmt.Sprintf(sum, c))
	}
	rows, err := v.tx.QueryContext(ctx, "SELECT "+keys+", "+strings.Join(totals, ", ")+" FROM ("+strings.Join(selects, " UNION ALL ")+
		") AS selected GROUP BY "+keys+" ORDER BY "+keys+" LIMIT "+args.add(limit), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	parts := make([]total, len(sumColumns)*strings.Count(sum, "SUM"))
	for rows.Next() {
		var k dayKey
		into := k.pointers(columns)
		for i := range parts {
			into = append(into, &parts[i])
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		found.sums[k] = sumsFrom(parts)
	}
	return rows.Err()
}

// sumsFrom makes sums of their columns, each whole, or in two parts of which the first counts 2^31.
func sumsFrom(parts []total) *sums {
	var whole [6]int64
	for i := range whole {
		if len(parts) > len(whole) {
			whole[i] = plus(times(int64(parts[2*i]), 1<<31), int64(parts[2*i+1]))
		} else {
			whole[i] = int64(parts[i])
		}
	}
	return &sums{whole[0], whole[1], whole[2], whole[3], whole[4], whole[5]}
}

// total scans a SUM. SQLite's is an integer, or an error; Postgres's has any number of digits, and stops here at the ends of an int64.
type total int64

func (t *total) Scan(column any) error {
	var text sql.NullString
	if err := text.Scan(column); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text.String, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	*t = total(n)
	return err
}

// arguments are the values of a query that is put together from parts, and give each the name by which the query has it.
type arguments []any

func (a *arguments) add(value any) (name string) {
	*a = append(*a, value)
	return "$" + strconv.Itoa(len(*a))
}

func (a *arguments) addAll(values []any) (names string) {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = a.add(v)
	}
	return strings.Join(all, ", ")
}

// query selects the rows of a source that a query asks for.
func (s source) query(found *groupSums, columns []string, args *arguments) string {
	text := "SELECT " + strings.Join(columns, ", ") + ", " + sumsOf + " FROM "
	start, end := args.add(s.start), args.add(s.end)
	if q := found.q; q.Org == "" {
		text += s.table + " WHERE {p} >= {start} AND {p} < {end}"
	} else {
		// The tables' keys begin with the period, because that is where rows are added. An organisation's are found by looking into each period
		// that there is: a few hundred at most, however many others there are. SQLite keeps to the order of a CROSS JOIN.
		text += `(WITH RECURSIVE present(p) AS (SELECT MIN({p}) FROM {t} WHERE {p} >= {start} AND {p} < {end}
			UNION ALL SELECT (SELECT MIN({p}) FROM {t} WHERE {p} > present.p AND {p} < {end}) FROM present WHERE present.p IS NOT NULL)
			SELECT {t}.* FROM present CROSS JOIN {t} WHERE {t}.{p} = present.p AND {t}.org = ` + args.add(q.Org) + ") AS of_org WHERE 1 = 1"
	}
	for column, value := range map[string]string{"token_id": found.q.TokenID, "model": found.q.Model} {
		if value != "" {
			text += " AND " + column + " = " + args.add(value)
		}
	}
	if found.after != nil {
		text += " AND (" + strings.Join(columns, ", ") + ") > (" + args.addAll(found.after.values(columns)) + ")"
	}
	return strings.NewReplacer("{p}", s.period, "{t}", s.table, "{start}", start, "{end}", end).Replace(text)
}
