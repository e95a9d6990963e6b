package shares_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestShares_GoWhereRequestsAre: all of a limit can be had at any server, and what ends at one can be had at another.
func TestShares_GoWhereRequestsAre(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := newCluster(t, 10)
		a := c.start("a")
		of := a.await(10)
		a.wantRefused()
		b := c.start("b")
		b.wantRefused()
		for _, request := range of[:3] {
			a.finish(request)
		}
		got := b.await(3)
		b.wantRefused()
		a.wantRefused()
		a.endAll()
		got = append(got, b.await(7)...)
		a.wantRefused()
		b.finish(got[0])
		a.await(1)
		a.stop()
		b.stop()
		if got := c.most; got != 10 {
			t.Errorf("got %d requests at once, want all 10", got)
		}
	})
}

// TestShares_OfOneAtOnce: a limit of one goes from server to server.
func TestShares_OfOneAtOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		c := newCluster(t, 1)
		all := []*member{c.start("a"), c.start("b"), c.start("c")}
		for n := range 12 {
			m := all[n%len(all)]
			request := m.await(1)
			all[(n+1)%len(all)].wantRefused()
			m.finish(request[0])
		}
		for _, m := range all {
			m.stop()
		}
	})
}

// TestShares_OfADeadServer are held until it is certain that it admits nobody on them, or until it is back.
func TestShares_OfADeadServer(t *testing.T) {
	storetest.SkipOnPostgres(t, "it takes minutes of virtual time")
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprintf("back=%v", back), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 8)
				a := c.start("a")
				a.await(8)
				b := c.start("b")
				b.wantRefused()
				a.crash()
				time.Sleep(5*time.Minute - 2*time.Second)
				b.wantRefused()
				if back {
					a = c.start("a")
					b.await(8)
					a.stop()
				} else {
					time.Sleep(14 * time.Second)
					b.await(8)
				}
				b.stop()
			})
		})
	}
}

// TestShares_OfAServerThatIsCutOff: it admits within its share for five minutes, then nobody; what it had is the others' after that. When it hears the store
// again, what runs there counts.
func TestShares_OfAServerThatIsCutOff(t *testing.T) {
	storetest.SkipOnPostgres(t, "it takes minutes of virtual time")
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 8)
		a, b := c.start("a"), c.start("b")
		of := a.await(6)
		b.await(2)
		for _, event := range []string{"INSERT", "UPDATE"} {
			exec(t, b.store, "CREATE TRIGGER cut"+event+" BEFORE "+event+" ON share_servers WHEN NEW.server = 'a' BEGIN SELECT RAISE(ABORT, 'of the test'); END")
		}
		began := time.Now()
		time.Sleep(5*time.Minute - 2*time.Second)
		a.finish(of[0])
		if a.begin() == nil {
			t.Error("got a request refused in the fifth minute, want it admitted within the share")
		}
		b.wantRefused()
		time.Sleep(time.Until(began.Add(5*time.Minute + time.Second)))
		a.finish(of[1])
		a.wantRefused()
		b.wantRefused()
		time.Sleep(time.Until(began.Add(5*time.Minute + 12*time.Second)))
		a.wantRefused()
		for _, request := range of[2:] { // else they are more than the limit, which is said in the package's doc
			a.finish(request)
		}
		b.await(5) // one of a's runs on, unknown to the store
		exec(t, b.store, "DROP TRIGGER cutINSERT")
		exec(t, b.store, "DROP TRIGGER cutUPDATE")
		time.Sleep(3 * time.Second)
		a.wantRefused()
		b.wantRefused()
		b.endAll()
		a.await(7)
		b.wantRefused()
		a.stop()
		b.stop()
	})
}

// TestShares_NeverOver plays histories of servers that serve, crash and come back: the requests that run are never more than the limit, nor are the shares.
func TestShares_NeverOver(t *testing.T) {
	storetest.SkipOnPostgres(t, "it takes minutes of virtual time")
	if testing.Short() {
		t.Skip("looks at the store some ten thousand times")
	}
	const histories = 3
	gone := 0
	for seed := range histories {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 14))
			c := newCluster(t, 1+random.IntN(9))
			c.within = 50 * time.Millisecond // as in a server, though others look each 100 ms only
			const servers = 3
			var mu sync.Mutex // guards all
			var all [servers]*member
			for i := range all {
				all[i] = c.start(named(i))
			}
			at := func(i int) *member {
				mu.Lock()
				defer mu.Unlock()
				return all[i]
			}
			observer := storetest.Open(t, c.path)
			end := time.Now().Add(13 * time.Minute)
			var clients sync.WaitGroup
			for client := range 3 * servers {
				random := rand.New(rand.NewPCG(uint64(seed), uint64(client)))
				clients.Go(func() {
					for time.Now().Before(end) {
						pause := time.Duration(random.IntN(10_000)) * time.Millisecond
						if m := at(client % servers); m != nil {
							if request := m.begin(); request != nil {
								time.Sleep(pause)
								m.finish(request)
								continue
							}
						}
						time.Sleep(pause / 4)
					}
				})
			}
			for time.Now().Before(end) {
				i := random.IntN(servers)
				switch m := at(i); {
				case m == nil && random.IntN(40) == 0:
					mu.Lock()
					all[i] = c.start(named(i))
					mu.Unlock()
				case m != nil && random.IntN(120) == 0:
					mu.Lock()
					all[i] = nil
					mu.Unlock()
					if random.IntN(3) == 0 {
						m.stop()
					} else {
						m.crash()
						gone++
					}
				}
				if sum := shared(t, observer); sum > c.limit {
					t.Errorf("history %d: got shares of %d in all, want %d at most", seed, sum, c.limit)
				}
				time.Sleep(time.Second)
			}
			clients.Wait()
			for i := range all {
				if m := at(i); m != nil {
					m.stop()
				}
			}
			if c.most < min(c.limit, 3) {
				t.Errorf("history %d: got %d requests at once at most of a limit of %d: it shows little", seed, c.most, c.limit)
			}
			observer.Close()
		})
	}
	if gone == 0 {
		t.Error("got no server that crashed: the histories show little")
	}
}

func named(i int) string { return fmt.Sprint("server-", i) }

// TestLimit_OfSeveralServersIsOne records what callers of several servers are told, and sees whether one limit that all had in one place would have told them
// the same: nobody is admitted above it, and nobody is refused below it, for each waits for a share as long as it takes.
func TestLimit_OfSeveralServersIsOne(t *testing.T) {
	histories := 6
	if testing.Short() {
		histories = 1
	}
	for seed := range histories {
		virtually(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 15))
			c := newCluster(t, 1+random.IntN(4))
			c.within = 2 * time.Minute
			members := make([]*member, 2+seed%3)
			for i := range members {
				members[i] = c.start(named(i))
			}
			h := newHistory()
			var clients sync.WaitGroup
			for client := range 3 * len(members) {
				m, random := members[client%len(members)], rand.New(rand.NewPCG(uint64(seed), uint64(client)))
				clients.Go(func() {
					for range 4 {
						var request *account.Charge
						if !h.do(client, op{}, func() bool {
							request = m.begin()
							return request != nil
						}) {
							continue // all of the limit runs on that server
						}
						time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
						h.do(client, op{ends: true}, func() bool {
							m.finish(request)
							return true
						})
					}
				})
			}
			clients.Wait()
			for _, m := range members {
				m.stop()
			}
			h.check(t, c.limit)
		})
	}
}
