package ledger_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func TestCost_Vectors(t *testing.T) {
	price, err := fleet.ParseUSD("8.25")
	if err != nil {
		t.Fatal(err)
	}
	const hour = fleet.NanoUSD(3_600_000_000) // at this price a GPU-microsecond costs one nano-USD
	for _, row := range []struct {
		billed time.Duration
		gpus   int
		price  fleet.NanoUSD
		want   fleet.NanoUSD
	}{
		{1 * time.Second, 1, price, 2_291_667}, // the published reference prices
		{2 * time.Second, 4, price, 18_333_333},
		{5 * time.Second, 8, price, 91_666_667},
		{time.Hour, 1, price, price},
		{0, 8, price, 0},
		{time.Second, 0, price, 0},
		{time.Second, 8, 0, 0},
		{-time.Second, 8, price, 0},
		{time.Microsecond, 1, hour / 2, 0}, // halves go to the even side
		{time.Microsecond, 3, hour / 2, 2},
		{time.Microsecond, 5, hour / 2, 2},
		{time.Microsecond, 1, hour/2 + 1, 1},
		{999 * time.Nanosecond, 1, hour, 0}, // a begun microsecond is not counted
		{math.MaxInt64, math.MaxInt, math.MaxInt64, math.MaxInt64},
	} {
		if got := ledger.Cost(row.billed, row.gpus, row.price); got != row.want {
			t.Errorf("%v x %d at %d: got %d, want %d", row.billed, row.gpus, row.price, got, row.want)
		}
	}
}

// exactCost is the definition in other words: a fraction, rounded half to even.
func exactCost(us int64, gpus int, price fleet.NanoUSD) *big.Int {
	r := new(big.Rat).SetInt64(us)
	r.Mul(r, new(big.Rat).SetInt64(int64(gpus)))
	r.Mul(r, big.NewRat(int64(price), 3_600_000_000))
	floor := new(big.Int).Quo(r.Num(), r.Denom())
	switch r.Sub(r, new(big.Rat).SetInt(floor)).Cmp(big.NewRat(1, 2)) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		floor.Add(floor, new(big.Int).And(floor, big.NewInt(1)))
	}
	return floor
}

func TestCost_IsTheExactFractionRoundedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.OneOf(rapid.Int64Range(0, 1e10), rapid.Int64Range(0, math.MaxInt64/1000)).Draw(t, "us")
		gpus := rapid.OneOf(rapid.IntRange(0, 8), rapid.IntRange(0, math.MaxInt)).Draw(t, "gpus")
		price := fleet.NanoUSD(rapid.OneOf(
			rapid.Int64Range(0, 100e9), rapid.Int64Range(0, math.MaxInt64),
			rapid.Map(rapid.Int64Range(0, 1000), func(n int64) int64 { return n * 1_800_000_000 }), // many halves
		).Draw(t, "price"))
		want := exactCost(us, gpus, price)
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		if got := ledger.Cost(time.Duration(us)*time.Microsecond, gpus, price); int64(got) != want.Int64() {
			t.Errorf("got %d, want %d", got, want)
		}
	})
}

func TestBilled_WhoPays(t *testing.T) {
	dispatched := time.Now()
	ended := dispatched.Add(4*time.Second + 999*time.Nanosecond)
	for _, row := range []struct {
		outcome           ledger.Outcome
		dispatched, ended time.Time
		want              time.Duration
	}{
		{ledger.Complete, dispatched, ended, 4 * time.Second},
		{ledger.ClientGone, dispatched, ended, 4 * time.Second},
		{ledger.TimedOut, dispatched, ended, 4 * time.Second},
		{ledger.BudgetExceeded, dispatched, ended, 4 * time.Second},
		{ledger.EngineError, dispatched, ended, 0},
		{ledger.ClientGone, time.Time{}, ended, 0}, // left while it was queued
		{ledger.Complete, dispatched, dispatched, 0},
		{ledger.Complete, ended, dispatched, 0},
	} {
		if got := ledger.Billed(row.outcome, row.dispatched, row.ended); got != row.want {
			t.Errorf("%s from %v to %v: got %v, want %v", row.outcome, row.dispatched, row.ended, got, row.want)
		}
	}
}

// A clock that is set back or forth changes a time's wall reading and leaves the monotonic one. Nobody can set the clock in
// a test, but the readings can be told apart: without the monotonic one, only wall time is left to subtract.
func TestBilled_MeasuresMonotonicTime(t *testing.T) {
	dispatched := time.Now()
	time.Sleep(2 * time.Millisecond)
	ended := time.Now()
	if got, want := ledger.Billed(ledger.Complete, dispatched, ended), ended.Sub(dispatched).Truncate(time.Microsecond); got != want || got == 0 {
		t.Errorf("got %v, want %v", got, want)
	}
	setBack := ended.Round(0).Add(-time.Hour) // no monotonic reading, an hour back
	if got := ledger.Billed(ledger.Complete, dispatched, setBack); got != 0 {
		t.Errorf("with the wall clock an hour back: got %v, want 0, never less", got)
	}
}
