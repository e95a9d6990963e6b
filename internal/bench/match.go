package bench

import (
	"slices"
	"time"
)

// MatchByTime finds the receipts where the harness sent no IDs. What began first was received first: of all ways that keep this order, give each receipt at most
// once, and none whose request was received further than slack from the exchange's start, it takes one that leaves the fewest exchanges without, and of those one
// in which the moments are nearest, added up. The nearest pairs first would not do: under load, a request is received when the next has long begun.
func MatchByTime(exchanges []Exchange, receipts []Receipt, slack time.Duration) []Joined {
	joined, order := make([]Joined, len(exchanges)), make([]int, len(exchanges))
	for i := range exchanges {
		joined[i].Exchange, order[i] = exchanges[i], i
	}
	slices.SortStableFunc(order, func(a, b int) int { return exchanges[a].Start.Compare(exchanges[b].Start) })
	receipts = slices.Clone(receipts)
	slices.SortStableFunc(receipts, func(a, b Receipt) int { return a.ReceivedAt.Compare(b.ReceivedAt) })

	starts, received := make([]time.Time, len(order)), make([]time.Time, len(receipts))
	for i, of := range order {
		starts[i] = exchanges[of].Start
	}
	for k := range receipts {
		received[k] = receipts[k].ReceivedAt
	}
	for i, k := range align(starts, received, slack) {
		if k >= 0 {
			joined[order[i]].Receipt = &receipts[k]
		}
	}
	return joined
}

// A fit says how well some exchanges go with some receipts.
type fit struct {
	without int           // exchanges that have no receipt
	apart   time.Duration // the others from their receipts, added up
}

func (f fit) betterThan(other fit) bool {
	return f.without < other.without || f.without == other.without && f.apart < other.apart
}

// A choice is what the best fit of some exchanges and receipts does with the last of each.
type choice uint8

const (
	leaveExchange choice = iota
	leaveReceipt
	takeBoth
)

// choices are those of one exchange: the element k is of the receipts before from+k. Further ones are out of its reach.
type choices struct {
	from int
	of   []choice
}

// align gives for each start the index of the receipt that is its, or -1; both are in order. It takes a step and a byte for each pair that slack allows.
func align(starts, received []time.Time, slack time.Duration) []int {
	rows := make([]choices, len(starts))
	best, reached := []fit{{}}, 0 // of the starts so far, with the receipts before reached, before reached+1, ...
	from, to := 0, 0
	for i, start := range starts {
		for from < len(received) && received[from].Before(start.Add(-slack)) {
			from++
		}
		for to < len(received) && !received[to].After(start.Add(slack)) {
			to++
		}
		next, of := make([]fit, to-from+1), make([]choice, to-from+1)
		for k := range next {
			next[k] = best[min(from+k-reached, len(best)-1)]
			next[k].without++
			if k == 0 {
				continue
			}
			if next[k-1].betterThan(next[k]) {
				next[k], of[k] = next[k-1], leaveReceipt
			}
			both := best[min(from+k-1-reached, len(best)-1)]
			both.apart += received[from+k-1].Sub(start).Abs()
			if both.betterThan(next[k]) {
				next[k], of[k] = both, takeBoth
			}
		}
		rows[i], best, reached = choices{from, of}, next, from
	}
	return receiptsOf(rows, len(received))
}

// receiptsOf follows the choices back from the last start with all receipts.
func receiptsOf(rows []choices, receipts int) []int {
	found := make([]int, len(rows))
	for i := len(rows) - 1; i >= 0; {
		r := &rows[i]
		k := min(receipts-r.from, len(r.of)-1)
		receipts = r.from + k
		switch r.of[k] {
		case leaveReceipt:
			receipts--
		case leaveExchange:
			found[i] = -1
			i--
		case takeBoth:
			receipts--
			found[i] = receipts
			i--
		}
	}
	return found
}
