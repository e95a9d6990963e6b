package ledger

import (
	"math"
	"math/big"
	"math/bits"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Outcome says how a dispatched request ended; it is a record's status.
type Outcome string

// The outcomes. Only an engine error costs nothing: no 2xx, or the engine ended mid-stream.
const (
	Complete       Outcome = "complete"
	ClientGone     Outcome = "client_gone"
	TimedOut       Outcome = "timed_out"
	BudgetExceeded Outcome = "budget_exceeded"
	EngineError    Outcome = "engine_error"
)

// Billed gives the time that the caller pays for, in whole microseconds, a begun one not counted: from the dispatch (the
// request's head written to a ready engine; zero = never dispatched) to the moment at which the answer ended, the client
// left or a limit struck. With times of time.Now it measures monotonic time, so that a clock that is set does not change a
// bill. It is never negative.
func Billed(o Outcome, dispatched, ended time.Time) time.Duration {
	if o == EngineError || dispatched.IsZero() {
		return 0
	}
	return max(0, ended.Sub(dispatched).Truncate(time.Microsecond))
}

// microsPerHour is the exact divisor of a price per hour.
const microsPerHour = uint64(time.Hour / time.Microsecond)

// Cost gives billed microseconds x GPUs x price per GPU-hour: exact, and rounded once, half to even. What is not positive
// costs nothing; what an int64 cannot hold (9 billion dollars for one request) costs the most that it can.
func Cost(billed time.Duration, gpus int, price fleet.NanoUSD) fleet.NanoUSD {
	us := billed.Microseconds()
	if us <= 0 || gpus <= 0 || price <= 0 {
		return 0
	}
	over, gpuMicros := bits.Mul64(uint64(us), uint64(gpus))
	if over != 0 {
		return bigCost(us, gpus, price)
	}
	hi, lo := bits.Mul64(gpuMicros, uint64(price))
	if hi >= microsPerHour { // the quotient has more than 64 bits
		return math.MaxInt64
	}
	quotient, rest := bits.Div64(hi, lo, microsPerHour)
	if rest > microsPerHour/2 || rest == microsPerHour/2 && quotient&1 == 1 {
		quotient++
	}
	return fleet.NanoUSD(min(quotient, math.MaxInt64))
}

// bigCost is Cost for GPU-microseconds beyond 64 bits.
func bigCost(us int64, gpus int, price fleet.NanoUSD) fleet.NanoUSD {
	product := new(big.Int).Mul(big.NewInt(us), big.NewInt(int64(gpus)))
	product.Mul(product, big.NewInt(int64(price)))
	quotient, rest := product.QuoRem(product, new(big.Int).SetUint64(microsPerHour), new(big.Int))
	if half := rest.Cmp(new(big.Int).SetUint64(microsPerHour / 2)); half > 0 || half == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(1))
	}
	if !quotient.IsInt64() {
		return math.MaxInt64
	}
	return fleet.NanoUSD(quotient.Int64())
}
