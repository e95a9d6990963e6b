package ledger

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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

// Add adds another row's sums to r's. They stop at the ends of an int64, as all sums do.
func (r *UsageRow) Add(other *UsageRow) {
	r.Requests = plus(r.Requests, other.Requests)
	r.PromptTokens = plus(r.PromptTokens, other.PromptTokens)
	r.CompletionTokens = plus(r.CompletionTokens, other.CompletionTokens)
	r.BilledUS = plus(r.BilledUS, other.BilledUS)
	r.GPUUS = plus(r.GPUUS, other.GPUUS)
	r.Cost = fleet.NanoUSD(plus(int64(r.Cost), int64(other.Cost)))
}

// groups are the columns of each grouping, in the order of its rows.
var groups = map[By][]string{
	ByModel: {"org", "model"},
	ByToken: {"org", "token_id", "model"},
	ByDay:   {"day", "org", "model"},
}

// Usage sums records up: by org and model, by org, token and model, or by day, org and model, in that order. next is the
// cursor of the next page, "" at the end. What was appended before the call is in it. A mistake is an *InvalidError.
func (l *Ledger) Usage(ctx context.Context, q Query) (rows []UsageRow, next string, err error) {
	rows = []UsageRow{}
	if q.By == "" {
		q.By = ByModel
	}
	if groups[q.By] == nil {
		return nil, "", &InvalidError{"by", fmt.Sprintf("there is no grouping %q; use model, token or day", q.By)}
	}
	limit, err := clampLimit(q.Limit, DefaultUsageLimit, MaxUsageLimit)
	if err != nil {
		return nil, "", err
	}
	after, err := q.By.parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	var found map[dayKey]*sums
	err = l.read(ctx, q.Org, func(v *view) (err error) {
		found, err = v.sum(ctx, q, after, limit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("summing usage up: %w", err)
	}
	keys := slices.SortedFunc(maps.Keys(found), q.By.compare)
	for _, k := range keys[:min(limit, len(keys))] {
		rows = append(rows, q.By.row(k, found[k]))
	}
	if len(keys) > limit {
		next = q.By.cursor(rows[limit-1])
	}
	return rows, next, nil
}

// Month gives the first moment of a UTC month, written YYYY-MM, and of the next.
func Month(s string) (from, to time.Time, err error) {
	from, err = time.Parse("2006-01", s)
	if err != nil {
		return from, to, &InvalidError{"month", fmt.Sprintf("%q is not a month; write it as 2026-01", s)}
	}
	return from, from.AddDate(0, 1, 0), nil
}

func clampLimit(limit, usual, most int) (int, error) {
	if limit < 0 || limit > most {
		return 0, &InvalidError{"limit", fmt.Sprintf("%d is not in 1 to %d", limit, most)}
	}
	if limit == 0 {
		return usual, nil
	}
	return limit, nil
}

// group is the row of a query that a record or a row of usage_days belongs to.
func (by By) group(k dayKey) dayKey {
	if by != ByToken {
		k.tokenID = ""
	}
	if by != ByDay {
		k.day = 0
	}
	return k
}

// compare orders rows. SQLite compares texts by their bytes, as Go does.
func (by By) compare(a, b dayKey) int {
	return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.org, b.org), cmp.Compare(a.tokenID, b.tokenID), cmp.Compare(a.model, b.model))
}

func (by By) row(k dayKey, s *sums) UsageRow {
	row := s.row(k)
	if by == ByDay {
		row.Day = time.UnixMicro(k.day * dayMicros).UTC().Format(time.DateOnly)
	}
	return row
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

// parseCursor gives the group that a cursor names; nil for none.
func (by By) parseCursor(cursor string) (*dayKey, error) {
	if cursor == "" {
		return nil, nil
	}
	invalid := &InvalidError{"cursor", "it is not one of this query; use the next_cursor of the page before"}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	var keys []string
	if err != nil || json.Unmarshal(text, &keys) != nil || len(keys) != 1+len(groups[by]) || keys[0] != string(by) {
		return nil, invalid
	}
	switch keys = keys[1:]; by {
	case ByToken:
		return &dayKey{org: keys[0], tokenID: keys[1], model: keys[2]}, nil
	case ByDay:
		day, err := time.Parse(time.DateOnly, keys[0])
		if err != nil {
			return nil, invalid
		}
		return &dayKey{day: floorDay(day.UnixMicro()), org: keys[1], model: keys[2]}, nil
	}
	return &dayKey{org: keys[0], model: keys[1]}, nil
}
