package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// floorDay is the day of a moment, in days since 1970.
func floorDay(micros int64) int64 { return floorTo(micros, dayMicros) }

// floorTo is how many whole units lie between 1970 and a moment.
func floorTo(micros, unit int64) int64 {
	n := micros / unit
	if micros%unit < 0 {
		n--
	}
	return n
}

// dayKey is a row of usage_days. In the answers of Usage, what a query does not group by is zero.
type dayKey struct {
	day                 int64
	org, tokenID, model string
}

// sums are what is added up of records. They stop at the ends of an int64: an engine may report any number of tokens.
type sums struct {
	requests, promptTokens, completionTokens, billedUS, gpuUS, cost int64
}

func (s *sums) add(f *rawFields) {
	if string(f.texts[fieldKind]) == string(KindUsage) {
		s.requests++
	}
	s.promptTokens = plus(s.promptTokens, f.numbers[fieldPrompt])
	s.completionTokens = plus(s.completionTokens, f.numbers[fieldCompletion])
	s.billedUS = plus(s.billedUS, f.numbers[fieldBilled])
	s.gpuUS = plus(s.gpuUS, times(f.numbers[fieldBilled], f.numbers[fieldGPUs]))
	s.cost = plus(s.cost, f.numbers[fieldCost])
}

func (s *sums) row(k dayKey) UsageRow {
	return UsageRow{
		Org: k.org, Model: k.model, TokenID: k.tokenID, Requests: s.requests, PromptTokens: s.promptTokens,
		CompletionTokens: s.completionTokens, BilledUS: s.billedUS, GPUUS: s.gpuUS, Cost: fleet.NanoUSD(s.cost),
	}
}

func plus(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

func times(a, b int64) int64 {
	product := a * b
	switch {
	case a == 0 || product/a == b && product != math.MinInt64:
		return product
	case (a < 0) == (b < 0):
		return math.MaxInt64
	}
	return math.MinInt64
}

// days are the sums of one transaction of the mover.
type days map[dayKey]*sums

func (d days) add(f *rawFields) {
	day := floorDay(f.numbers[fieldDispatched])
	s := d[dayKey{day, string(f.texts[fieldOrg]), string(f.texts[fieldToken]), string(f.texts[fieldModel])}] // no copies
	if s == nil {
		s = new(sums)
		d[dayKey{day, string(f.texts[fieldOrg]), string(f.texts[fieldToken]), string(f.texts[fieldModel])}] = s
	}
	s.add(f)
}

var sumColumns = []string{"requests", "prompt_tokens", "completion_tokens", "billed_us", "gpu_us", "cost_nano_usd"}

// addTo is the end of an INSERT of sums into a table: where there are some of the same group, they are added to those.
func addTo(table, key string) string {
	var sets []string
	for _, c := range sumColumns {
		sets = append(sets, saturating(table, c))
	}
	return " ON CONFLICT (" + key + ", org, token_id, model) DO UPDATE SET " + strings.Join(sets, ", ")
}

// saturating adds what an INSERT has brought to a column, which stops at the ends of an int64.
func saturating(table, column string) string {
	return strings.NewReplacer("{c}", column, "{t}", table, "{max}", fmt.Sprint(math.MaxInt64), "{min}", fmt.Sprint(-math.MaxInt64)).Replace(
		`{c} = CASE WHEN excluded.{c} > 0 AND {t}.{c} > {max} - excluded.{c} THEN {max}
			WHEN excluded.{c} < 0 AND {t}.{c} < {min} - excluded.{c} THEN {min} ELSE {t}.{c} + excluded.{c} END`)
}

var (
	sumsOf      = strings.Join(sumColumns, ", ")
	upsertDay   = "INSERT INTO usage_days (day, org, token_id, model, " + sumsOf + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)" + addTo("usage_days", "day")
	upsertMonth = "INSERT INTO usage_months (month, org, token_id, model, " + sumsOf + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)" + addTo("usage_months", "month")
)

// store adds the sums to those of the store.
func (d days) store(ctx context.Context, tx *sql.Tx) error {
	summed, err := summedDay(ctx, tx)
	if err != nil {
		return err
	}
	upsert, err := tx.PrepareContext(ctx, upsertDay)
	if err != nil {
		return fmt.Errorf("preparing to add usage up: %w", err)
	}
	defer upsert.Close()
	for k, s := range d {
		row := []any{k.day, k.org, k.tokenID, k.model, s.requests, s.promptTokens, s.completionTokens, s.billedUS, s.gpuUS, s.cost}
		if _, err := upsert.ExecContext(ctx, row...); err != nil {
			return fmt.Errorf("adding usage of %s up: %w", k.org, err)
		}
		if k.day >= summed {
			continue
		}
		row[0] = monthOf(k.day)
		if _, err := tx.ExecContext(ctx, upsertMonth, row...); err != nil {
			return fmt.Errorf("adding usage of %s up: %w", k.org, err)
		}
	}
	return nil
}
