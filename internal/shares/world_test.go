package shares_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/shares"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// cluster is servers of one store, and one organisation with a limit.
type cluster struct {
	testing.TB
	path   string
	limit  int
	within time.Duration // a request waits for a share

	mu   sync.Mutex // guards open
	open int        // requests that were admitted anywhere, and have not ended
	most int        // that open has been
}

// member is one server.
type member struct {
	*cluster
	name     string
	store    *store.Store
	accounts *account.Accounts
	end      context.CancelFunc
	running  sync.WaitGroup
	mine     map[*account.Charge]bool // its open requests; guarded by the cluster's mu
	dead     bool                     // it has crashed; guarded by it, too
}

func newCluster(t testing.TB, limit int) *cluster {
	return &cluster{TB: t, path: filepath.Join(t.TempDir(), "p.db"), limit: limit, within: 300 * time.Millisecond}
}

// start begins a life of a server.
func (c *cluster) start(name string) *member {
	c.Helper()
	s, err := storetest.TryOpen(c.TB, c.path)
	if err != nil {
		c.Fatal(err)
	}
	m := &member{cluster: c, name: name, store: s, mine: map[*account.Charge]bool{}}
	of, err := shares.New(shares.Config{Store: s, Server: name})
	if err != nil {
		c.Fatal(err)
	}
	m.accounts = account.New(account.Config{Memory: 1, Shares: of, AskWithin: c.within})
	ctx, cancel := context.WithCancel(context.Background())
	m.end = cancel
	m.running.Go(func() { _ = of.Run(ctx, m.accounts) })
	return m
}

// stop ends a server in order, when its requests have ended.
func (m *member) stop() {
	m.endAll()
	m.end()
	m.running.Wait()
	_ = m.store.Close()
}

// crash ends a server without a word, and its requests with it.
func (m *member) crash() {
	m.mu.Lock()
	m.dead = true
	m.mu.Unlock()
	m.endAll()
	_ = m.store.Close()
	m.end()
	m.running.Wait()
}

func (m *member) endAll() {
	m.mu.Lock()
	var all []*account.Charge
	for c := range m.mine {
		all = append(all, c)
	}
	m.mu.Unlock()
	for _, c := range all {
		m.finish(c)
	}
}

// begin has a request ask; nil = it is refused.
func (m *member) begin() *account.Charge {
	c := new(account.Charge)
	err := m.accounts.Admit(c, &account.Claim{Org: "acme", Token: "t", OrgLimits: account.Limits{Concurrency: m.limit}}, nil)
	if err != nil {
		if limit := (*account.LimitError)(nil); !errors.As(err, &limit) || !limit.AtOnce || limit.Limit != m.limit {
			m.Errorf("%s: got %v, want the limit of %d", m.name, err, m.limit)
		}
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil
	}
	m.mine[c] = true
	m.open++
	m.most = max(m.most, m.open)
	if m.open > m.limit {
		m.Errorf("%s: got request %d at once, want %d at most", m.name, m.open, m.limit)
	}
	return c
}

// finish ends a request, if its server has not crashed.
func (m *member) finish(c *account.Charge) {
	m.mu.Lock()
	is := m.mine[c]
	if is {
		m.open--
		delete(m.mine, c)
	}
	m.mu.Unlock()
	if is {
		c.Settle()
	}
}

// await begins so many requests, each as often as it is refused, and says what is missing after a minute and a half.
func (m *member) await(n int) (took []*account.Charge) {
	m.Helper()
	for end := time.Now().Add(90 * time.Second); len(took) < n; {
		if c := m.begin(); c != nil {
			took = append(took, c)
		} else if time.Now().After(end) {
			m.Errorf("%s: got %d requests admitted, want %d", m.name, len(took), n)
			break
		} else {
			time.Sleep(10 * time.Millisecond) // who is refused at once takes no time
		}
	}
	return took
}

func (m *member) wantRefused() {
	m.Helper()
	if m.begin() != nil {
		m.Errorf("%s: got a request admitted, want it refused", m.name)
	}
}

// exec changes the store behind the servers' backs.
func exec(t testing.TB, s *store.Store, query string) {
	t.Helper()
	err := s.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shared is the sum of all shares as the store has them.
func shared(t testing.TB, s *store.Store) (sum int) {
	t.Helper()
	if err := s.DB().QueryRow("SELECT COALESCE(CAST(SUM(share) AS BIGINT), 0) FROM shares").Scan(&sum); err != nil {
		t.Error(err)
	}
	return sum
}

// virtually runs a test in virtual time where the store allows that: a socket does not.
func virtually(t *testing.T, f func(*testing.T)) {
	if storetest.OnPostgres() {
		f(t)
		return
	}
	synctest.Test(t, f)
}
