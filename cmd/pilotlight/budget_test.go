package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// spentBefore fills the log of a data directory with three records of the organisation dev, of 18,333,333 nano-dollars each, and leaves them in it as a
// server that was killed does. It gives the ID of one.
func spentBefore(t *testing.T, dir string) (id string) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(dir, "pilotlight.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Store: db})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now := time.Now()
		r := &ledger.Record{
			Org: devOrg, TokenID: "tok", Model: "meta-llama/Meta-Llama-3-70B-Instruct", GPUs: 4, Start: fleet.Hot,
			ReceivedAt: now, DispatchedAt: now, Upstream: 2 * time.Second, Billed: 2 * time.Second, Price: 8_250_000_000, Status: ledger.Complete,
		}
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
		id = r.ID
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return id
}

// receiver takes what webhooks send.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex // guards told
	told []string   // percents and limits, in order
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var events []struct {
			Data admin.BudgetEvent `json:"data"`
		}
		body, _ := io.ReadAll(q.Body)
		if err := json.Unmarshal(body, &events); err != nil {
			t.Errorf("got %s sent, want a batch of events: %v", body, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range events {
			r.told = append(r.told, fmt.Sprintf("%d of %s", e.Data.Percent, e.Data.Limit))
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.told, ", ")
}

// budget gives what is left, as the caller's API says.
func (s *devServer) budget(t *testing.T) (spent, left string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.API+"/usage", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var usage struct {
		Budget struct {
			Spent string `json:"spent_usd"`
			Left  string `json:"left_usd"`
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&usage); err != nil {
		t.Fatal(err)
	}
	return usage.Budget.Spent, usage.Budget.Left
}

func (s *devServer) setBudget(t *testing.T, usd string) {
	t.Helper()
	if code, _, stderr := commands(s)("org", "update", devOrg, "--budget-usd", usd); code != 0 {
		t.Fatal(stderr)
	}
}

// TestBudget_OverRestarts: what was spent before counts, whatever ended the server, and each notice is told once.
func TestBudget_OverRestarts(t *testing.T) {
	notQuick(t)
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	hook, dir := newReceiver(t), t.TempDir()
	t.Setenv("BUDGET_SECRET", "a text of more than 24 bytes")
	config := writeConfig(t, fmt.Sprintf("webhook \"finance\" {\n  url = %q\n  secret_env = \"BUDGET_SECRET\"\n  events = [\"budget.threshold\"]\n}\n", hook.URL))
	id := spentBefore(t, dir)

	s := startDev(t, dir, "--config", config)
	s.setBudget(t, "0.1")
	if spent, left := s.budget(t); spent != "0.054999999" || left != "0.045000001" {
		t.Errorf("got %s spent and %s left, want what former lives have spent", spent, left)
	}
	eventually(t, 10*time.Second, func() string {
		if got := hook.all(); got != "50 of 0.10" {
			return "the webhook was told of " + got
		}
		return ""
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = s.admin(t).Events(ctx, "", func(e admin.Event) error {
		if e.Budget != nil {
			if e.Budget.Percent != 50 || e.Budget.Spent != "0.054999999" || e.Budget.Org != devOrg {
				t.Errorf("got %+v, want half told of", e.Budget)
			}
			cancel()
		}
		return nil
	})
	if ctx.Err() != context.Canceled {
		t.Error("got no event of the budget, want one")
	}
	s.kill()

	s = startDev(t, dir, "--config", config)
	if spent, _ := s.budget(t); spent != "0.054999999" {
		t.Errorf("got %s spent after a restart, want as much as before", spent)
	}
	s.setBudget(t, "0.054999999")
	a, err := s.chat(t.Context(), model, false)
	if err != nil || a.status != http.StatusTooManyRequests || !strings.Contains(a.body, "budget_exceeded") || a.header.Get("X-Pilotlight-Budget-Left-Usd") != "0.00" {
		t.Errorf("got %+v, %v; want 429 budget_exceeded: nothing is left", a, err)
	}
	eventually(t, 10*time.Second, func() string {
		if got, want := hook.all(), "50 of 0.10, 50 of 0.054999999, 80 of 0.054999999, 100 of 0.054999999"; got != want {
			return "the webhook was told of " + got
		}
		return ""
	})
	if code, _, stderr := commands(s)("correct", id, "--all", "--reason", "an outage"); code != 0 {
		t.Fatal(stderr)
	}
	if spent, left := s.budget(t); spent != "0.036666666" || left != "0.018333333" {
		t.Errorf("got %s spent and %s left, want one record less", spent, left)
	}
	s.setBudget(t, "100")
	s.mustChat(t, model, false)
}
