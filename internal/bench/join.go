package bench

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Joined is an exchange of another harness with what the server says of it; nil = nothing was found.
type Joined struct {
	Exchange
	Receipt *Receipt
}

// MatchByAnswer takes the receipts that the harness has kept with the answers.
func MatchByAnswer(exchanges []Exchange) []Joined {
	joined := make([]Joined, len(exchanges))
	for i := range exchanges {
		joined[i] = Joined{exchanges[i], exchanges[i].Receipt}
	}
	return joined
}

// JoinRow is what the exchanges of one tier come to: hot, parked or cold, "total" for all, or "" for those without a receipt.
type JoinRow struct {
	Start     string        `json:"start"`
	Requests  int           `json:"requests"`
	Failed    int           `json:"failed"`
	TTFT      LatencyRow    `json:"ttft"`       // as the harness has measured it
	Held      LatencyRow    `json:"held"`       // of it, what the server says that they waited for a place, a start and the rest of a wake
	ModelTTFT LatencyRow    `json:"model_ttft"` // what is left
	BilledUS  int64         `json:"billed_us"`
	Cost      fleet.NanoUSD `json:"cost_nano_usd"`

	ttft, held, model Histogram
}

// SplitByStart adds exchanges up by the tier that their answers came from, in the order hot, parked, cold, none, with a total last.
func SplitByStart(joined []Joined) []JoinRow {
	rows := []JoinRow{{Start: "hot"}, {Start: "parked"}, {Start: "cold"}, {Start: ""}, {Start: "total"}}
	for i := range joined {
		j := &joined[i]
		start := ""
		if j.Receipt != nil {
			start = j.Receipt.Start
		}
		for k := range rows {
			if rows[k].Start == start || rows[k].Start == "total" {
				rows[k].add(j)
			}
		}
	}
	rows = slices.DeleteFunc(rows, func(r JoinRow) bool { return r.Requests == 0 && r.Start != "total" })
	for i := range rows {
		r := &rows[i]
		r.TTFT, r.Held, r.ModelTTFT = r.ttft.row(), r.held.row(), r.model.row()
	}
	return rows
}

func (r *JoinRow) add(j *Joined) {
	r.Requests++
	if j.Failed {
		r.Failed++
	}
	var held time.Duration
	if j.Receipt != nil {
		r.BilledUS += j.Receipt.BilledUS
		r.Cost = fleet.NanoUSD(saturatingAdd(int64(r.Cost), int64(j.Receipt.Cost)))
		held = j.Receipt.Held()
		r.held.Add(held)
	}
	if !j.First.IsZero() {
		ttft := j.First.Sub(j.Start)
		r.ttft.Add(ttft)
		if j.Receipt != nil {
			r.model.Add(ttft - held)
		}
	}
}

func saturatingAdd(a, b int64) int64 {
	if sum := a + b; b < 0 || sum >= a {
		return sum
	}
	return 1<<63 - 1
}
