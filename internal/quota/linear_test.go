package quota_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// op is what a caller does to one of the servers: a request comes, whose output is whether it was admitted; or one ends, which costs its least.
type op struct{ ends bool }

// state is one budget, as if there were one server: requests that it is still worth.
type state struct{ left fleet.NanoUSD }

func budget(limit fleet.NanoUSD) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{limit / least} },
		Step: func(before, in, out any) (bool, any) {
			s := before.(state)
			switch {
			case in.(op).ends:
			case s.left == 0:
				return out == false, s
			default:
				s.left--
				return out == true, s
			}
			return true, s
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %v", in, out) },
	}
}

// TestBudget_OfSeveralServersIsOne records what callers of several servers are told, and sees whether one budget that all had in one place, asked one after
// the other, would have told them the same: that no request is admitted or billed for more than is left anywhere, and none refused or cut while enough is.
func TestBudget_OfSeveralServersIsOne(t *testing.T) {
	histories := 24
	if testing.Short() {
		histories = 2
	}
	var refused atomic.Int64
	for seed := range histories {
		random := rand.New(rand.NewPCG(uint64(seed), 14))
		limit := fleet.NanoUSD(least*(8+random.IntN(12)) + random.IntN(least))
		c := newCluster(t, limit)
		members := make([]*member, 2+seed%3)
		for i := range members {
			members[i] = c.start(fmt.Sprintf("server-%d", i), 0)
		}
		var mu sync.Mutex // guards ops
		var ops []porcupine.Operation
		began := time.Now()
		do := func(client int, in op, f func() bool) bool {
			called := time.Since(began)
			got := f()
			returned := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			ops = append(ops, porcupine.Operation{ClientId: client, Input: in, Output: got, Call: int64(called), Return: int64(returned)})
			return got
		}
		var g sync.WaitGroup
		for client := range 2 * len(members) {
			m, random := members[client%len(members)], rand.New(rand.NewPCG(uint64(seed), uint64(client)))
			g.Go(func() {
				for range 6 {
					var charge *account.Charge
					if !do(client, op{}, func() bool {
						charge = m.begin()
						return charge != nil
					}) {
						refused.Add(1)
						continue
					}
					time.Sleep(time.Duration(random.IntN(2000)) * time.Microsecond)
					do(client, op{ends: true}, func() bool {
						if cost := m.bill(charge, least); cost != least {
							t.Errorf("history %d: got a request billed %d, want the %d that it had taken", seed, cost, least)
						}
						return true
					})
					if random.IntN(3) == 0 {
						m.move()
					}
				}
			})
		}
		g.Wait()
		for _, m := range members {
			m.stop()
		}
		if got := porcupine.CheckOperationsTimeout(budget(limit), ops, 20*time.Second); got != porcupine.Ok {
			t.Fatalf("history %d, a budget of %d: got %s, want one that some order explains: %v", seed, limit, got, ops)
		}
	}
	if refused.Load() == 0 {
		t.Errorf("got no request refused in %d histories: they show little", histories)
	}
}

// TestBudget_ThatSufficesExactly is spent to the nano-dollar by several servers at once: nobody is refused or cut.
func TestBudget_ThatSufficesExactly(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 1
	}
	for seed := range rounds {
		random := rand.New(rand.NewPCG(uint64(seed), 15))
		costs := make([][]fleet.NanoUSD, 4) // by client
		limit := fleet.NanoUSD(0)
		for i := range costs {
			for range 8 {
				cost := fleet.NanoUSD(least * (1 + random.IntN(9)))
				costs[i], limit = append(costs[i], cost), limit+cost
			}
		}
		c := newCluster(t, limit)
		members := []*member{c.start("server-0", 0), c.start("server-1", 0), c.start("server-2", 0)}
		var g sync.WaitGroup
		for client := range costs {
			m := members[client%len(members)]
			g.Go(func() {
				for n, cost := range costs[client] {
					charge := m.begin()
					if charge == nil {
						t.Errorf("round %d: request %d of %d is refused, want it admitted", seed, n, client)
						return
					}
					if got := m.bill(charge, cost); got != cost {
						t.Errorf("round %d: got request %d of %d billed %d, want %d", seed, n, client, got, cost)
					}
					if n%3 == 0 {
						m.move()
					}
				}
			})
		}
		g.Wait()
		for _, m := range members {
			m.move()
		}
		if got := sum(t, members[0].store, "WHERE token_id = '*'"); got != limit {
			t.Errorf("round %d: got %d spent, want all of %d", seed, got, limit)
		}
		for _, m := range members {
			m.stop()
		}
		if t.Failed() {
			return
		}
	}
}
