package account

import (
	"math"
	"math/bits"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// later adds to a moment.
func later(at, d int64) int64 {
	if d > 0 && at > never-d {
		return never
	}
	return at + d
}

// plus stops at the ends of its type.
func plus(a, b fleet.NanoUSD) fleet.NanoUSD {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// uint128 holds a rate times a moment.
type uint128 struct{ high, low uint64 }

func product(a, b uint64) uint128 {
	high, low := bits.Mul64(a, b)
	return uint128{high, low}
}

func (a uint128) plus(b uint128) uint128 {
	low, carry := bits.Add64(a.low, b.low, 0)
	high, _ := bits.Add64(a.high, b.high, carry)
	return uint128{high, low}
}

func (a uint128) minus(b uint128) uint128 {
	low, borrow := bits.Sub64(a.low, b.low, 0)
	high, _ := bits.Sub64(a.high, b.high, borrow)
	return uint128{high, low}
}

func (a uint128) less(b uint128) bool {
	return a.high < b.high || a.high == b.high && a.low < b.low
}

// over divides, rounding down; what an int64 cannot hold is the most that it can.
func (a uint128) over(b uint64) int64 {
	if a.high >= b {
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(a.high, a.low, b)
	return int64(min(quotient, math.MaxInt64))
}
