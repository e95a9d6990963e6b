package quota_test

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/quota"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// perNano is a rate at which a microsecond costs a thousand nano-dollars: what is billed is told by its time.
var perNano = account.Rate{GPUs: 1, Price: fleet.NanoUSD(time.Hour)}

// least is what a request owes at that rate as long as it is not paid for.
const least = 1000

// cluster is servers of one store. What they log is kept here, and brought to the store by move, as the ledger's mover does.
type cluster struct {
	testing.TB
	path   string
	budget account.Budget
	live   time.Duration // after a sign of life
	within time.Duration // a request waits
}

// member is one server.
type member struct {
	*cluster
	name     string
	store    *store.Store
	accounts *account.Accounts
	quota    *quota.Quota
	end      context.CancelFunc
	running  sync.WaitGroup

	mu  sync.Mutex    // guards log
	log fleet.NanoUSD // what is in it and not in the store
}

func newCluster(t testing.TB, limit fleet.NanoUSD) *cluster {
	return &cluster{TB: t, path: filepath.Join(t.TempDir(), "p.db"), live: time.Minute, within: time.Minute, budget: account.Budget{Limit: limit, Period: "all", Window: always}}
}

// always is one period.
func always(time.Time) (from, to time.Time) {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
}

// start begins a life of a server, whose log holds what its life before has left.
func (c *cluster) start(name string, left fleet.NanoUSD) *member {
	c.Helper()
	s, err := storetest.TryOpen(c.TB, c.path)
	if err != nil {
		c.Fatal(err)
	}
	m := &member{cluster: c, name: name, store: s, log: left}
	m.move()
	if m.quota, err = quota.New(quota.Config{Store: s, Server: name, LiveFor: c.live, Log: slog.New(slog.NewTextHandler(c.Output(), nil)).With("server", name)}); err != nil {
		c.Fatal(err)
	}
	m.accounts = account.New(account.Config{Memory: 1, Cost: ledger.Cost, Quota: m.quota, DrawWithin: c.within})
	m.accounts.Count("acme", "t", time.Now(), m.spent())
	m.accounts.SetBudget("acme", "", c.budget)
	ctx, cancel := context.WithCancel(context.Background())
	m.end = cancel
	m.running.Go(func() { _ = m.quota.Run(ctx, m.accounts) })
	return m
}

// stop ends a server in order.
func (m *member) stop() {
	m.end()
	m.running.Wait()
	m.move()
	_ = m.store.Close()
}

// crash ends a server without a word: what it would write while it ends does not reach the store. It gives what its log holds.
func (m *member) crash() fleet.NanoUSD {
	_ = m.store.Close()
	m.end()
	m.running.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log
}

func (m *member) append(cost fleet.NanoUSD) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log += cost
}

// move brings the log to the store.
func (m *member) move() {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.store.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), `INSERT INTO usage_servers (day, org, token_id, server, cost_nano_usd) VALUES ($1, 'acme', '*', $2, $3)
			ON CONFLICT (org, token_id, day, server) DO UPDATE SET cost_nano_usd = usage_servers.cost_nano_usd + excluded.cost_nano_usd`,
			time.Now().Unix()/86400, m.name, int64(m.log))
		return err
	})
	if err != nil {
		m.Errorf("moving: %v", err)
		return
	}
	m.log = 0
}

// spent is what the store has of this server.
func (m *member) spent() fleet.NanoUSD { return sum(m.TB, m.store, "WHERE server = '"+m.name+"'") }

// sum is what the store has of all servers.
func sum(t testing.TB, s *store.Store, where string) (sum fleet.NanoUSD) {
	t.Helper()
	if err := s.DB().QueryRow("SELECT COALESCE(CAST(SUM(cost_nano_usd) AS BIGINT), 0) FROM usage_servers " + where).Scan(&sum); err != nil {
		t.Error(err)
	}
	return sum
}

// begin has a request join the meter; nil = it is refused.
func (m *member) begin() *account.Charge {
	c := new(account.Charge)
	if err := m.accounts.Admit(c, &account.Claim{Org: "acme", Token: "t"}, nil); err != nil {
		m.Error(err)
		return nil
	}
	if err := c.Spend(perNano, false, nil); err != nil {
		c.Settle()
		return nil
	}
	return c
}

// bill ends a request that is to cost so much, and gives what it costs.
func (m *member) bill(c *account.Charge, cost fleet.NanoUSD) fleet.NanoUSD {
	from := time.Now()
	billed := ledger.Cost(c.Bill(from, from, from.Add(time.Duration(cost))).Sub(from), perNano.GPUs, perNano.Price)
	m.append(billed)
	c.Settle()
	return billed
}
