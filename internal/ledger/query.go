package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
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
	Hour             string        `json:"hour,omitempty"`     // only ByHour: its first moment, RFC 3339, UTC
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

// Usage sums records up by org and model, and by what else q.By says, in that order: hour or day, org, token, model. next is the
// cursor of the next page, "" at the end. What was appended before the call is in it. A mistake is an *InvalidError.
func (l *Ledger) Usage(ctx context.Context, q Query) (rows []UsageRow, next string, err error) {
	rows = []UsageRow{}
	by, err := q.By.grouping()
	if err != nil {
		return nil, "", err
	}
	if by.hour && (q.From.IsZero() || q.To.IsZero() || q.To.Sub(q.From) > MaxHours) {
		return nil, "", &InvalidError{"by", "by hour the records themselves are read; give from and to, at most 31 days apart"}
	}
	limit, err := clampLimit(q.Limit, DefaultUsageLimit, MaxUsageLimit)
	if err != nil {
		return nil, "", err
	}
	after, err := by.parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	var found map[dayKey]*sums
	err = l.read(ctx, q.Org, func(v *view) (err error) {
		found, err = v.sum(ctx, q, by, after, limit+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("summing usage up: %w", err)
	}
	keys := slices.SortedFunc(maps.Keys(found), compareKeys)
	for _, k := range keys[:min(limit, len(keys))] {
		rows = append(rows, by.row(k, found[k]))
	}
	if len(keys) > limit {
		next = by.cursor(keys[limit-1])
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
