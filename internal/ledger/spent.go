package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Spent is what a token has spent on one day.
type Spent struct {
	Org, TokenID string
	Day          time.Time // midnight, UTC: the day of the dispatches
	Others       bool      // other servers of the store have brought it
	Cost         fleet.NanoUSD
}

// Spent calls f with what was spent on a day and after it, corrections included, in parts that add up: what is in the store, and what only the log holds.
func (l *Ledger) Spent(ctx context.Context, from time.Time, f func(Spent)) error {
	first := floorDay(from.UnixMicro())
	err := l.read(ctx, "", func(v *view) error {
		rows, err := v.tx.QueryContext(ctx, `SELECT day, org, token_id, server, cost_nano_usd FROM usage_servers
			WHERE day >= $1 AND cost_nano_usd <> 0 AND token_id <> $2`, first, ofOrg)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s Spent
			var day int64
			var server string
			if err := rows.Scan(&day, &s.Org, &s.TokenID, &server, &s.Cost); err != nil {
				return err
			}
			s.Day, s.Others = timeOfDay(day), server != l.server
			f(s)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return v.eachUnmoved(ctx, func(r *rawFields) bool {
			if day := floorDay(r.numbers[fieldDispatched]); day >= first && r.numbers[fieldCost] != 0 {
				f(Spent{
					Org: string(r.texts[fieldOrg]), TokenID: string(r.texts[fieldToken]), Day: timeOfDay(day), Cost: fleet.NanoUSD(r.numbers[fieldCost]),
				})
			}
			return true
		})
	})
	if err != nil {
		return fmt.Errorf("adding up what was spent since %s: %w", from.UTC().Format(time.DateOnly), err)
	}
	return nil
}

func timeOfDay(day int64) time.Time { return time.UnixMicro(day * dayMicros).UTC() }
