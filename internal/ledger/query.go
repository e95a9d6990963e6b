package ledger

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// By says how usage is grouped.
type By string

// Rows are always per org and model; ByToken and ByDay split them further.
const (
	ByModel By = "model"
	ByToken By = "token"
	ByDay   By = "day"
)

// Limits of one answer of Usage, in rows.
const (
	DefaultUsageLimit = 1000
	MaxUsageLimit     = 10000
)

// Query selects usage. Empty fields select everything.
type Query struct {
	Org, TokenID, Model string
	From, To            time.Time // of the dispatch: From <= t < To
	By                  By        // empty = ByModel
	Limit               int       // rows; 0 = DefaultUsageLimit
	Cursor              string    // the next of the page before, of the same query
}

// UsageRow is the usage of one group. Times are whole microseconds in integers: sums over a fleet's years would overflow a
// time.Duration.
type UsageRow struct {
	Org              string        `json:"org"`
	Model            string        `json:"model"`
	TokenID          string        `json:"token_id,omitempty"` // only ByToken
	Day              string        `json:"day,omitempty"`      // only ByDay: YYYY-MM-DD, UTC
	Requests         int64         `json:"requests"`
	PromptTokens     int64         `json:"prompt_tokens"`
	CompletionTokens int64         `json:"completion_tokens"`
	BilledUS         int64         `json:"billed_us"`
	GPUUS            int64         `json:"gpu_us"`
	Cost             fleet.NanoUSD `json:"cost_nano_usd"`
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// groups are the columns of each grouping, in the order of its rows.
var groups = map[By][]string{
	ByModel: {"org", "model"},
	ByToken: {"org", "token_id", "model"},
	ByDay:   {fmt.Sprintf("(dispatched_at / %d)", dayMicros), "org", "model"},
}

// Usage sums records up: by org and model, by org, token and model, or by day, org and model, in that order. next is the
// cursor of the next page, "" at the end. What was appended before the call is in it. A mistake is an *InvalidError.
func (l *Ledger) Usage(ctx context.Context, q Query) (rows []UsageRow, next string, err error) {
	if q.By == "" {
		q.By = ByModel
	}
	columns := groups[q.By]
	if columns == nil {
		return nil, "", &InvalidError{"by", fmt.Sprintf("there is no grouping %q; use model, token or day", q.By)}
	}
	limit, err := clampLimit(q.Limit, DefaultUsageLimit, MaxUsageLimit)
	if err != nil {
		return nil, "", err
	}
	where, args, err := q.where(columns)
	if err != nil {
		return nil, "", err
	}
	if err := l.flush(ctx); err != nil {
		return nil, "", err
	}
	keys := strings.Join(columns, ", ")
	found, err := l.store.DB().QueryContext(ctx, `SELECT `+keys+`, SUM(CASE WHEN kind = 'usage' THEN 1 ELSE 0 END),
		SUM(prompt_tokens), SUM(completion_tokens), SUM(billed_us), SUM(billed_us * gpus), SUM(cost_nano_usd)
		FROM usage_records`+where+` GROUP BY `+keys+` ORDER BY `+keys+` LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("summing usage up: %w", err)
	}
	defer found.Close()
	rows = []UsageRow{}
	for found.Next() {
		if len(rows) == limit {
			return rows, q.By.cursor(rows[limit-1]), nil
		}
		row, err := q.By.scan(found)
		if err != nil {
			return nil, "", fmt.Errorf("summing usage up: %w", err)
		}
		rows = append(rows, row)
	}
	return rows, "", found.Err()
}

// Limits of one answer of Records.
const (
	DefaultRecordsLimit = 100
	MaxRecordsLimit     = 1000
)

// Records lists records in the order in which they reached the store, oldest first, after the record whose ID is cursor
// ("" = from the start). org "" = of all. next is "" at the end; the ID of any record that is kept is a valid cursor.
// limit 0 = DefaultRecordsLimit. A mistake is an *InvalidError.
func (l *Ledger) Records(ctx context.Context, org, cursor string, limit int) (records []Record, next string, err error) {
	if limit, err = clampLimit(limit, DefaultRecordsLimit, MaxRecordsLimit); err != nil {
		return nil, "", err
	}
	if err := l.flush(ctx); err != nil {
		return nil, "", err
	}
	after, err := l.sequence(ctx, cursor)
	if err != nil {
		return nil, "", err
	}
	where, args := " WHERE seq > ?", []any{after}
	if org != "" {
		where, args = where+" AND org = ?", append(args, org)
	}
	rows, err := l.store.DB().QueryContext(ctx, selectRecord+where+" ORDER BY seq LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("listing usage records: %w", err)
	}
	defer rows.Close()
	records = []Record{}
	for rows.Next() {
		if len(records) == limit {
			return records, records[limit-1].ID, nil
		}
		r, err := scanRecord(rows)
		if err != nil {
			return nil, "", fmt.Errorf("listing usage records: %w", err)
		}
		records = append(records, r)
	}
	return records, "", rows.Err()
}

// Receipt gives the newest record of a token's request, or ErrNotFound.
func (l *Ledger) Receipt(ctx context.Context, tokenID, requestID string) (*Record, error) {
	if err := l.flush(ctx); err != nil {
		return nil, err
	}
	r, err := scanRecord(l.store.DB().QueryRowContext(ctx, selectReceipt, tokenID, requestID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading a receipt: %w", err)
	}
	return &r, nil
}

// Month gives the first moment of a UTC month, written YYYY-MM, and of the next.
func Month(s string) (from, to time.Time, err error) {
	from, err = time.Parse("2006-01", s)
	if err != nil {
		return from, to, &InvalidError{"month", fmt.Sprintf("%q is not a month; write it as 2026-01", s)}
	}
	return from, from.AddDate(0, 1, 0), nil
}

// sequence gives the place of a cursor in the order of records.
func (l *Ledger) sequence(ctx context.Context, cursor string) (seq int64, err error) {
	if cursor == "" {
		return 0, nil
	}
	err = l.store.DB().QueryRowContext(ctx, "SELECT seq FROM usage_records WHERE id = ?", cursor).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, &InvalidError{"cursor", "there is no such record; use the id of one"}
	}
	if err != nil {
		return 0, fmt.Errorf("looking a cursor up: %w", err)
	}
	return seq, nil
}

// where makes the conditions of a query.
func (q Query) where(columns []string) (where string, args []any, err error) {
	var all []string
	add := func(condition string, values ...any) {
		all, args = append(all, condition), append(args, values...)
	}
	for column, value := range map[string]string{"org": q.Org, "token_id": q.TokenID, "model": q.Model} {
		if value != "" {
			add(column+" = ?", value)
		}
	}
	if !q.From.IsZero() {
		add("dispatched_at >= ?", ceilMicro(q.From))
	}
	if !q.To.IsZero() {
		add("dispatched_at < ?", ceilMicro(q.To))
	}
	if q.Cursor != "" {
		keys, err := q.By.parseCursor(q.Cursor)
		if err != nil {
			return "", nil, err
		}
		add("("+strings.Join(columns, ", ")+") > (?"+strings.Repeat(", ?", len(columns)-1)+")", keys...)
	}
	if len(all) > 0 {
		where = " WHERE " + strings.Join(all, " AND ")
	}
	return where, args, nil
}

// ceilMicro is the first whole microsecond that is not before t: records have no finer times.
func ceilMicro(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }

func clampLimit(limit, usual, most int) (int, error) {
	if limit < 0 || limit > most {
		return 0, &InvalidError{"limit", fmt.Sprintf("%d is not in 1 to %d", limit, most)}
	}
	if limit == 0 {
		return usual, nil
	}
	return limit, nil
}

// cursor names a row by its group.
func (by By) cursor(row UsageRow) string {
	keys := []string{row.Org, row.Model}
	switch by {
	case ByToken:
		keys = []string{row.Org, row.TokenID, row.Model}
	case ByDay:
		keys = []string{row.Day, row.Org, row.Model}
	}
	text, err := json.Marshal(append([]string{string(by)}, keys...))
	if err != nil {
		panic(fmt.Sprintf("ledger: marshalling strings: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseCursor gives the values of a cursor's group columns.
func (by By) parseCursor(cursor string) ([]any, error) {
	invalid := &InvalidError{"cursor", "it is not one of this query; use the next_cursor of the page before"}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	var keys []string
	if err != nil || json.Unmarshal(text, &keys) != nil || len(keys) != 1+len(groups[by]) || keys[0] != string(by) {
		return nil, invalid
	}
	keys = keys[1:]
	values := make([]any, len(keys))
	for i, k := range keys {
		values[i] = k
	}
	if by == ByDay {
		day, err := time.Parse(time.DateOnly, keys[0])
		if err != nil {
			return nil, invalid
		}
		values[0] = day.UnixMicro() / dayMicros
	}
	return values, nil
}

func (by By) scan(rows *sql.Rows) (UsageRow, error) {
	var u UsageRow
	var day int64
	keys := map[By][]any{
		ByModel: {&u.Org, &u.Model},
		ByToken: {&u.Org, &u.TokenID, &u.Model},
		ByDay:   {&day, &u.Org, &u.Model},
	}[by]
	err := rows.Scan(append(keys, &u.Requests, &u.PromptTokens, &u.CompletionTokens, &u.BilledUS, &u.GPUUS, &u.Cost)...)
	if by == ByDay {
		u.Day = time.UnixMicro(day * dayMicros).UTC().Format(time.DateOnly)
	}
	return u, err
}
