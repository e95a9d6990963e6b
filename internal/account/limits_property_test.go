package account

import (
	"errors"
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// refiller is a bucket of requests as its definition has it, in exact numbers.
type refiller struct {
	rpm   int
	level *big.Rat // requests
	at    time.Time
}

// until brings the bucket to a moment.
func (r *refiller) until(at time.Time) {
	back := new(big.Rat).Mul(big.NewRat(int64(at.Sub(r.at)), int64(time.Minute)), big.NewRat(int64(r.rpm), 1))
	if r.level.Add(r.level, back).Cmp(big.NewRat(int64(r.rpm), 1)) > 0 {
		r.level.SetInt64(int64(r.rpm))
	}
	r.at = at
}

func (r *refiller) take() bool {
	if r.level.Cmp(big.NewRat(1, 1)) < 0 {
		return false
	}
	r.level.Sub(r.level, big.NewRat(1, 1))
	return true
}

// One caller, at any moments: it is admitted exactly when its bucket holds a whole request, never before the moment that it is told, and always at it.
func TestAdmit_RateIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New(Config{Memory: 1})
		at := a.made
		limit := rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(11, 10_000), rapid.Just(math.MaxInt32)).Draw(t, "rpm")
		spec := refiller{rpm: limit, level: big.NewRat(int64(limit), 1), at: at}
		claim := Claim{Org: "acme", Token: "t", TokenLimits: Limits{RPM: limit}}
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			at = at.Add(time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 2*60_000_000/int64(limit)), rapid.Int64Range(0, 70_000_000)).Draw(t, "µs")) * time.Microsecond)
			spec.until(at)
			var c Charge
			claim.At = at
			err := a.Admit(&c, &claim, nil)
			if want := spec.take(); (err == nil) != want {
				t.Fatalf("got %v, want admitted %v with %v left", err, want, spec.level)
			}
			s := c.Standing()
			whole := new(big.Int).Quo(spec.level.Num(), spec.level.Denom())
			if s.Limit != limit || int64(s.Remaining) != whole.Int64() || s.Reset < 0 || s.Reset > time.Minute {
				t.Fatalf("got %+v, want %v of %d left", s, spec.level, limit)
			}
			c.Settle()
			var refused *LimitError
			if !errors.As(err, &refused) {
				continue
			}
			if !refused.OfToken || refused.AtOnce || refused.Limit != limit || refused.After > time.Minute {
				t.Fatalf("got %+v", refused)
			}
			claim.At = at.Add(refused.After - time.Microsecond)
			if _, err := a.MayAdmit(&claim); err == nil {
				t.Fatalf("admitted %v before %v", time.Microsecond, refused.After)
			}
			// Those seconds that Retry-After says.
			at = at.Add((refused.After + time.Second - 1).Truncate(time.Second))
			spec.until(at)
			spec.take()
			claim.At = at
			if err := a.Admit(&c, &claim, nil); err != nil {
				t.Fatalf("came back when it was told, and got %v", err)
			}
			c.Settle()
		}
	})
}
