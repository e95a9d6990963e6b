package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// shelved is a store of which only the sizes are kept.
type shelved struct {
	t         *testing.T
	shelves   []shelf
	rewritten int64
}

// bring adds a block behind all others, and has sorted what is to be sorted.
func (s *shelved) bring(records, first int64) {
	seq := int64(1)
	if n := len(s.shelves); n > 0 {
		seq = s.shelves[n-1].seq + s.shelves[n-1].records
	}
	s.shelves = append(s.shelves, shelf{seq: seq, records: records, first: first, last: first + 1})
	s.sort()
}

func (s *shelved) sort() {
	for rounds := 0; ; rounds++ {
		from, to, settled := plan(s.shelves, false)
		if to == 0 {
			return
		}
		if rounds > 2*len(s.shelves) || settled > from {
			s.t.Fatalf("no end, or settled %d after the plan's begin %d", settled, from)
		}
		run := shelf{seq: s.shelves[from].seq, first: s.shelves[from].first, run: true}
		for _, old := range s.shelves[from:to] {
			run.records += old.records
			run.first, run.last = min(run.first, old.first), max(run.last, old.last)
		}
		if run.last-run.first > runSpan {
			s.t.Fatalf("a run of %d us", run.last-run.first)
		}
		s.rewritten += run.records
		s.shelves = slices.Replace(s.shelves, from, to, run)
	}
}

func TestPlan_FewShelvesAndFewRewrites(t *testing.T) {
	for _, each := range []int64{1, 10, 100, 1250, 5000, 20000} {
		t.Run(fmt.Sprint(each, " records a block"), func(t *testing.T) {
			s := &shelved{t: t}
			total := int64(0)
			for total < 20*runFull {
				s.bring(each, total)
				total += each
				if full := total / runFull; int64(len(s.shelves)) > full+5*fanIn {
					t.Fatalf("%d blocks and runs of %d records", len(s.shelves), total)
				}
			}
			if times := float64(s.rewritten) / float64(total); times > 5 {
				t.Errorf("each record was rewritten %.1f times", times)
			}
		})
	}
}

func TestPlan_BlocksDaysApartBecomeARunEach(t *testing.T) {
	s := &shelved{t: t}
	for i := range int64(60) {
		s.bring(1, i*runSpan/4)
	}
	if len(s.shelves) > 60/4+fanIn {
		t.Errorf("got %d blocks and runs of 15 days", len(s.shelves))
	}
}

func TestPlan_LeavesDamageWhereItIs(t *testing.T) {
	for at := range 20 {
		s := &shelved{t: t}
		for i := range int64(20) {
			s.shelves = append(s.shelves, shelf{seq: 1 + i, records: 1, first: i, last: i, damaged: i == int64(at)})
		}
		s.sort()
		for _, shelf := range s.shelves {
			if shelf.damaged != (shelf.seq == int64(1+at)) || shelf.damaged && shelf.records != 1 {
				t.Errorf("damage at %d: got %+v", at, s.shelves)
			}
		}
	}
}

// Whatever there is, sorting ends, and keeps every number in its order.
func TestPlan_KeepsAllNumbers(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		s := &shelved{t: t}
		seq, total := int64(1), int64(0)
		for range random.IntN(60) {
			if random.IntN(15) == 0 {
				seq += 10 // deleted
			}
			n, first := 1+random.Int64N(1<<random.IntN(15)), random.Int64N(2*runSpan)
			s.shelves = append(s.shelves, shelf{seq: seq, records: n, first: first, last: first + 5, run: random.IntN(2) == 0, damaged: random.IntN(20) == 0})
			seq, total = seq+n, total+n
		}
		s.sort()
		for i, shelf := range s.shelves {
			if total -= shelf.records; i > 0 && shelf.seq < s.shelves[i-1].seq+s.shelves[i-1].records {
				t.Fatalf("out of order: %+v", s.shelves)
			}
		}
		if total != 0 {
			t.Fatalf("%d records too few: %+v", total, s.shelves)
		}
	}
}
