package account

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// meterOp is one thing that is done to a meter, at a moment of its caller's clock.
type meterOp struct {
	kind     string
	id       int
	token    string
	rate     Rate
	at       int64 // now; of bill, the end
	budget   Budget
	narrower bool
}

// meterModel is the spec as porcupine takes it: an operation gives whether it was admitted, or until when it is billed.
var meterModel = porcupine.Model{
	Init: func() any { return newSpec(linearStart) },
	Step: func(state, in, out any) (bool, any) {
		s, op := state.(spec).clone(), in.(meterOp)
		got := int64(0)
		switch op.kind {
		case "join":
			if s.join(op.id, op.token, op.rate, op.at) {
				got = 1
			}
		case "pay":
			s.pay(op.id, op.at, op.at)
		case "bill":
			got = s.bill(op.id, op.at)
		case "unbill":
			s.unbill(op.id)
		case "expire":
			s.expire(op.at)
		case "set":
			s.set(op.token, op.budget, op.narrower, op.at)
		}
		return got == out.(int64), s
	},
	Equal:             func(a, b any) bool { return a.(spec).String() == b.(spec).String() },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %v", in, out) },
}

var linearStart = time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)

// linear is a meter that many use at once. Each of them has the time from one clock, and is late with what it says by as much as the scheduler wants.
type linear struct {
	all   *Accounts
	meter *meter
	clock atomic.Int64
	ids   atomic.Int64
	began time.Time

	mu  sync.Mutex // guards ops
	ops []porcupine.Operation
}

func newLinear() *linear {
	all := New(Config{Memory: 1, Cost: ledger.Cost})
	all.made = linearStart
	all.timer = func(func()) *time.Timer { return idleTimer(func() {}) }
	return &linear{all: all, meter: all.meterOf("acme"), began: time.Now()}
}

func (l *linear) do(client int, op meterOp, f func() int64) int64 {
	called := time.Since(l.began)
	got := f()
	returned := time.Since(l.began)
	l.mu.Lock()
	l.ops = append(l.ops, porcupine.Operation{ClientId: client, Input: op, Output: got, Call: int64(called), Return: int64(returned)})
	l.mu.Unlock()
	return got
}

func (l *linear) set(client int, token string, b Budget, narrower bool) {
	op := meterOp{kind: "set", token: token, at: l.clock.Load(), budget: b, narrower: narrower}
	l.do(client, op, func() int64 {
		l.meter.set(token, b, l.all.moment(op.at))
		return 0
	})
}

// request goes the way of one request, and gives what it has cost.
func (l *linear) request(client int, random *rand.Rand, admitted *atomic.Int64) fleet.NanoUSD {
	id := int(l.ids.Add(1))
	rate := rates[random.IntN(3)]
	op := meterOp{kind: "join", id: id, token: []string{"a", "b"}[random.IntN(2)], rate: rate, at: l.clock.Add(random.Int64N(1000))}
	r := &run{rate: rate, unit: rate.unit(), least: max(ledger.Cost(time.Microsecond, rate.GPUs, rate.Price), 1), proven: never}
	if l.do(client, op, func() int64 {
		if l.meter.join(r, op.token, l.all.moment(op.at)) != nil {
			return 0
		}
		return 1
	}) == 0 {
		return 0
	}
	admitted.Add(1)
	from := l.clock.Add(random.Int64N(1000))
	sent := l.all.moment(from)
	l.do(client, meterOp{kind: "pay", id: id, at: from}, func() int64 {
		l.meter.pay(r, sent, sent, sent)
		return 0
	})
	runtime.Gosched()
	if random.IntN(8) == 0 {
		l.do(client, meterOp{kind: "unbill", id: id}, func() int64 {
			l.meter.unbill(r)
			return 0
		})
		return 0
	}
	until := l.clock.Add(random.Int64N(20_000))
	if random.IntN(4) == 0 {
		runtime.Gosched() // it says so late
	}
	got := l.do(client, meterOp{kind: "bill", id: id, at: until}, func() int64 {
		return l.all.since(l.meter.bill(r, sent, sent, l.all.moment(until)))
	})
	return ledger.Cost(time.Duration(got-from), rate.GPUs, rate.Price)
}

func (l *linear) expire(client int) {
	at := l.clock.Load()
	l.do(client, meterOp{kind: "expire", at: at}, func() int64 {
		l.meter.lock()
		l.meter.expire(at)
		l.meter.mu.Unlock()
		return 0
	})
}

// linearBudget is what a handful of requests use up.
func linearBudget(random *rand.Rand, period string) Budget {
	return Budget{Limit: fleet.NanoUSD(50 + random.IntN(400)), Period: period, Window: days[period]}
}

// TestMeter_IsLinearizable records what many do to a meter at once, and sees whether one after another would have been told the same: that no request is
// admitted or billed for more than is left, and none refused or cut while enough is.
func TestMeter_IsLinearizable(t *testing.T) {
	histories := 400
	if testing.Short() {
		histories = 60
	}
	var admitted atomic.Int64
	for seed := range histories {
		l, random := newLinear(), rand.New(rand.NewPCG(uint64(seed), 11))
		l.set(0, "", linearBudget(random, "daily"), true)
		if seed%2 == 0 {
			l.set(0, "a", linearBudget(random, "daily"), true)
		}
		var g sync.WaitGroup
		for client := range 4 {
			random := rand.New(rand.NewPCG(uint64(seed), uint64(client)))
			g.Go(func() {
				for range 5 {
					l.request(client, random, &admitted)
				}
			})
		}
		g.Go(func() {
			for n := range 4 {
				switch runtime.Gosched(); {
				case seed%4 == 3 && n == 2:
					l.clock.Add(int64(2*time.Hour) - l.clock.Load()%int64(time.Hour)) // to another day
				case seed%4 > 1 && n == 3:
					l.raise(random)
				default:
					l.expire(4)
				}
			}
		})
		g.Wait()
		if result := porcupine.CheckOperationsTimeout(meterModel, l.ops, 20*time.Second); result != porcupine.Ok {
			t.Fatalf("history %d: got %s, want one that some order explains: %v", seed, result, l.ops)
		}
	}
	if n := admitted.Load(); n < int64(histories)*4 {
		t.Errorf("got %d requests admitted in %d histories: they show little", n, histories)
	}
}

// raise makes the organisation's budget a larger one for a while, or a smaller one.
func (l *linear) raise(random *rand.Rand) {
	b := linearBudget(random, "daily")
	if random.IntN(2) == 0 {
		b.Limit = 1
		l.set(4, "", b, true)
		return
	}
	b.Limit += 500
	b.Raise = Raise{Limit: b.Limit + 500, Until: l.all.moment(l.clock.Load() + 5000)}
	l.set(4, "", b, false)
}
