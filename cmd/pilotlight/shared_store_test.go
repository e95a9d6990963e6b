package main

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestServe_TwoOnOneDatabase: two servers, each with engines and a log of its own, share orgs, tokens, budgets, usage and the audit log of one database.
func TestServe_TwoOnOneDatabase(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres and two servers")
	}
	database := storetest.ServerOf(t)
	t.Setenv(databaseURL, database.Database(t))
	servers := serveBoth(t)

	limit := spentBy(t, servers[0]) + 100_000 // some dozens of milliseconds
	if _, err := servers[0].admin(t).UpdateOrg(t.Context(), "acme", admin.OrgChange{LimitsChange: admin.LimitsChange{BudgetUSD: new(limit.String())}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // a change is known everywhere after it
	var clients sync.WaitGroup
	for n := range 8 {
		s := servers[n%2]
		clients.Go(func() {
			for refused := 0; refused < 2; {
				a, err := s.chat(t.Context(), "demo", n > 3)
				if err != nil {
					t.Error(err)
					return
				}
				if a.status == http.StatusTooManyRequests && strings.Contains(a.body, "budget_exceeded") {
					refused++
				} else if a.status != http.StatusOK && !strings.Contains(a.body, "budget_exceeded") {
					t.Errorf("got status %d and %s", a.status, a.body)
					return
				}
			}
		})
	}
	clients.Wait()
	if spent := spentBy(t, servers[0]); spent > limit || spent < limit-10 {
		t.Errorf("got %s spent by both servers of a budget of %s, want all of it, but for what a microsecond costs", spent, limit)
	}
	opened, err := store.OpenPostgres(t.Context(), os.Getenv(databaseURL))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if check, err := ledger.CheckStore(t.Context(), opened); err != nil || len(check.Differences) > 0 {
		t.Errorf("the store: got %v and %v, want nothing wrong", check.Differences, err)
	}
	ids := [2][]string{}
	for i, s := range servers {
		for _, r := range s.records(t) {
			ids[i] = append(ids[i], r.ID)
		}
		if code, stdout, stderr := commands(s)("audit", "--verify"); code != 0 {
			t.Errorf("the audit log: %s%s", stdout, stderr)
		}
	}
	if !slices.Equal(ids[0], ids[1]) {
		t.Errorf("got %d records from one server and %d from the other, want the same", len(ids[0]), len(ids[1]))
	}
}

// TestServe_LimitsHoldOverServers: two servers of one database never have more requests of an organisation at engines at once than its limit, and let as many in.
func TestServe_LimitsHoldOverServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Postgres and two servers")
	}
	database := storetest.ServerOf(t)
	t.Setenv(databaseURL, database.Database(t))
	servers := serveBoth(t)
	const limit = 3
	if _, err := servers[0].admin(t).UpdateOrg(t.Context(), "acme", admin.OrgChange{LimitsChange: admin.LimitsChange{Concurrency: new(limit)}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // a change is known everywhere after it
	before := len(servers[0].records(t))
	const clients, each = 8, 15
	var running sync.WaitGroup
	for n := range clients {
		s := servers[n%2]
		running.Go(func() {
			for done := 0; done < each; {
				a, err := s.chat(t.Context(), "demo", true)
				switch {
				case err != nil:
					t.Error(err)
					return
				case a.status == http.StatusOK:
					done++
				case a.status != http.StatusTooManyRequests || !strings.Contains(a.body, "concurrency_limit_exceeded"):
					t.Errorf("got status %d and %s", a.status, a.body)
					return
				}
			}
		})
	}
	running.Wait()
	time.Sleep(time.Second) // a record of another server is there half a second after its request
	records := servers[0].records(t)[before:]
	if len(records) != clients*each {
		t.Errorf("got %d records, want %d", len(records), clients*each)
	}
	for _, r := range records {
		open := 0
		for _, other := range records {
			if !other.DispatchedAt.After(r.DispatchedAt) && other.DispatchedAt.Add(other.Upstream).After(r.DispatchedAt) {
				open++
			}
		}
		if open > limit {
			t.Fatalf("got %d requests at engines at %s, want %d at most", open, r.DispatchedAt, limit)
		}
	}
}

// serveBoth starts two servers of one database, each with engines and a log of its own, that both know a token of the organisation acme.
func serveBoth(t *testing.T) []*devServer {
	t.Helper()
	servers := make([]*devServer, 2)
	for i := range servers {
		dir := localServe(t)
		inPostgres(t, dir)
		s, err := launchServe(dir)
		if err != nil {
			t.Fatal(err)
		}
		s.stopAfter(t)
		s.awaitReady(t)
		servers[i] = s
	}
	servers[0].newToken(t)
	servers[1].Token = servers[0].Token
	eventually(t, 20*time.Second, func() string {
		if a, err := servers[1].chat(t.Context(), "demo", false); err != nil || !a.whole() {
			return "the other server does not know the token yet"
		}
		return ""
	})
	servers[0].mustChat(t, "demo", true)
	return servers
}

// spentBy is the sum of all records once none waits in a log.
func spentBy(t *testing.T, s *devServer) (sum fleet.NanoUSD) {
	t.Helper()
	time.Sleep(time.Second) // a record of another server is there half a second after its request
	for _, r := range s.records(t) {
		sum += fleet.NanoUSD(r.Cost)
	}
	return sum
}
