package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/router"
)

// worth is what one GPU costs for so long.
func worth(d time.Duration) fleet.NanoUSD { return ledger.Cost(d, 1, 8_250_000_000) }

// budget gives an organisation a budget, and returns when it holds.
func (w *world) budget(org string, limit fleet.NanoUSD) {
	w.Helper()
	_, err := w.tenants.UpdateOrg(context.Background(), org, tenant.OrgChange{Limits: tenant.LimitsChange{Budget: &limit}})
	w.must(err)
	synctest.Wait()
}

// budgetBills are rows of bills: from a hot model on.
var budgetBills = []bill{
	{"budget is used up in mid-stream", setup{}, func(w *world) {
		w.budget("acme", worth(4*time.Second))
		w.turns(slowly(100, time.Second))
		w.do(call{body: chat(chatModel, stream)})
	}, &charge{Status: ledger.BudgetExceeded, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"budget is used up before an answer", setup{}, func(w *world) {
		w.budget("acme", worth(4*time.Second)-1)
		w.turns(says(hours))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.BudgetExceeded, Start: fleet.Hot, Upstream: 3999999 * time.Microsecond, Billed: 3999999 * time.Microsecond, Cost: 9_166_664}},
	{"budget suffices to the nano-dollar", setup{}, func(w *world) {
		w.budget("acme", worth(4*time.Second))
		w.turns(says(4*time.Second, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"budget is used up just before the answer ends, which is whole", setup{}, func(w *world) {
		w.budget("acme", worth(4*time.Second))
		w.turns(says(4*time.Second+time.Millisecond, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 4*time.Second + time.Millisecond, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"budget is used up, and the caller has left just before", setup{}, func(w *world) {
		w.budget("acme", worth(4*time.Second))
		w.turns(says(hours))
		w.leave(4*time.Second-time.Microsecond, chat(chatModel))
	}, &charge{Status: ledger.ClientGone, Start: fleet.Hot, Upstream: 3999999 * time.Microsecond, Billed: 3999999 * time.Microsecond, Cost: 9_166_664}},
	{"budget is not spent by a failure, nor by what it made wait", setup{model: two}, func(w *world) {
		w.budget("acme", worth(4*time.Second))
		w.turns(says(3*time.Second, die), says(4*time.Second, body))
		w.do(call{body: chat(chatModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Hot, Upstream: 4 * time.Second, Billed: 4 * time.Second, Cost: 9_166_667}},
	{"budget is not spent by a cold start", setup{load: 20 * time.Second}, func(w *world) {
		w.budget("acme", 2*worth(time.Second))
		w.turns(says(time.Second, body))
		w.do(call{body: chat(rareModel)})
	}, &charge{Status: ledger.Complete, Start: fleet.Cold, Activate: 20 * time.Second, Upstream: time.Second, Billed: time.Second, Cost: 4_583_333}},
	{"budget is not spent by the tail of a resume", asleep(3 * time.Second), func(w *world) {
		w.budget("acme", worth(time.Second))
		w.turns(says(hours))
		w.do(call{body: chat(chatModel)})
	}, &charge{
		Status: ledger.BudgetExceeded, Start: fleet.Parked, Activate: wakeTime, Wake: 3 * time.Second,
		Upstream: 4 * time.Second, Billed: time.Second, Cost: 2_291_667,
	}},
}

func TestBills_Budget(t *testing.T) { testBills(t, budgetBills) }

func TestBudget_IsUsedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		w.budget("acme", worth(3*time.Second))
		w.engines.swap(slowly(100, time.Second))

		a := w.do(call{body: chat(chatModel, stream)})
		if code, message := errorOf(a.text); code != "budget_exceeded" || !strings.Contains(message, "2000-02-01T00:00:00Z") || strings.Contains(a.text, "[DONE]") {
			t.Errorf("got %s, want the stream ended with budget_exceeded and when it resets, and no [DONE]", a.text)
		}
		if got := a.Header.Get("X-Pilotlight-Budget-Left-Usd"); got != worth(3*time.Second).String() {
			t.Errorf("got %q left at the start of the stream, want %s", got, worth(3*time.Second))
		}
		launched := w.host.launches()
		for name, body := range map[string]string{"hot": chat(chatModel), "cold": chat(rareModel), "stream": chat(chatModel, stream)} {
			a := w.do(call{body: body})
			w.named(name, func() { w.wantCode(a, 429, "budget_exceeded") })
			if a.Header.Get("X-Should-Retry") != "false" || a.Header.Get("Retry-After") != "" {
				t.Errorf("%s: got %v, want no retry asked for", name, a.Header)
			}
			if got := a.Header.Get("X-Pilotlight-Budget-Left-Usd"); got != "0.00" {
				t.Errorf("%s: got %q left, want 0.00", name, got)
			}
		}
		if w.host.launches() != launched {
			t.Error("got an engine started for a request that was refused")
		}
		w.records(2)

		w.budget("acme", worth(4*time.Second))
		w.engines.swap(answerChat)
		if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 || a.Header.Get("X-Pilotlight-Budget-Left-Usd") != "0.002291667" {
			t.Errorf("got %d %s, %s left, want an answer once the budget is larger, and a second's worth left", a.StatusCode, a.text, a.Header.Get("X-Pilotlight-Budget-Left-Usd"))
		}
	})
}

func TestBudget_OfAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.heat(chatModel)
		w.budget("acme", worth(10*time.Second))
		limit := worth(2 * time.Second)
		secret, id := w.newToken("acme", tenant.NewToken{
			Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeUsageRead}, Limits: tenant.LimitsChange{Budget: &limit},
		})
		synctest.Wait()
		w.engines.swap(slowly(100, time.Second))
		a := w.do(call{body: chat(chatModel, stream), secret: secret})
		if code, message := errorOf(a.text); code != "budget_exceeded" || !strings.Contains(message, "this token") {
			t.Errorf("got %s, want the token's budget used up", a.text)
		}
		w.wantCode(w.do(call{body: chat(chatModel), secret: secret}), 429, "budget_exceeded")
		if r := w.lastRecord(2); r.TokenID != id || r.Cost != limit {
			t.Errorf("got %+v, want all of the token's budget", r)
		}
		type budget struct {
			Limit  string `json:"limit_usd"`
			Spent  string `json:"spent_usd"`
			Left   string `json:"left_usd"`
			Period string
			Resets string `json:"resets_at"`
		}
		var usage struct {
			Budget      *budget
			TokenBudget *budget `json:"token_budget"`
		}
		a = w.do(call{method: http.MethodGet, path: "/v1/usage", secret: secret})
		w.must(json.Unmarshal([]byte(a.text), &usage))
		const resets = "2000-02-01T00:00:00Z"
		if want := (budget{"0.022916667", "0.004583333", "0.018333334", "monthly", resets}); usage.Budget == nil || *usage.Budget != want {
			t.Errorf("got %s, want the organisation's budget %v", a.text, want)
		}
		if want := (budget{"0.004583333", "0.004583333", "0.00", "monthly", resets}); usage.TokenBudget == nil || *usage.TokenBudget != want {
			t.Errorf("got %s, want the token's budget %v", a.text, want)
		}
		w.engines.swap(answerChat)
		if a := w.do(call{body: chat(chatModel)}); a.StatusCode != 200 {
			t.Errorf("got %d %s of another token, want an answer", a.StatusCode, a.text)
		}
	})
}

// TestBudgets_OfManyClients has 1,000 clients of 20 organisations spend at once, whose engines and callers end at random: no organisation spends a
// nano-dollar more than its budget, what it has spent is the sum of its records, and a budget that covers all of it exactly refuses nobody: all, that is, of
// what is paid for; that an engine will die, whose request then costs nothing, nobody knows while it runs.
func TestBudgets_OfManyClients(t *testing.T) {
	t.Parallel()
	const orgs = 20
	clients, seeds := 1000, uint64(2)
	if testing.Short() {
		clients, seeds = 300, 1
	}
	run := func(budgets []fleet.NanoUSD, seed uint64, ends ...string) (spent []fleet.NanoUSD, refused int64) {
		synctest.Test(t, func(t *testing.T) {
			accounts := account.New(account.Config{Memory: 1 << 30, Cost: ledger.Cost})
			w := newWorld(t, setup{
				model:  func(m *fleet.Model) { m.MaxConcurrency = 200 },
				router: func(c *router.Config) { c.Accounts = accounts },
			})
			w.heat(chatModel)
			w.engines.swap(streamFor)
			var secrets []string
			for i := range orgs {
				secret, _ := w.newToken(fmt.Sprint("org", i), tenant.NewToken{})
				secrets = append(secrets, secret)
				if budgets != nil {
					w.budget(fmt.Sprint("org", i), budgets[i])
				}
			}
			var g sync.WaitGroup
			var short atomic.Int64
			random := rand.New(rand.NewPCG(seed, 14))
			for i := range clients {
				after, long := time.Duration(random.Int64N(int64(20*time.Second))), time.Duration(random.Int64N(int64(10*time.Second)))
				end := ends[random.IntN(len(ends))]
				g.Go(func() {
					time.Sleep(after)
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					if end == "leave" {
						ctx, cancel = context.WithTimeout(ctx, long)
						defer cancel()
					}
					a := w.do(call{body: chat(chatModel, stream, fmt.Sprintf(`,"user":"%s %d"`, end, long.Microseconds())), secret: secrets[i%orgs], ctx: ctx})
					if code, _ := errorOf(a.text); code == "budget_exceeded" {
						short.Add(1)
					}
				})
			}
			g.Wait()
			time.Sleep(time.Minute)
			spent, refused = make([]fleet.NanoUSD, orgs), short.Load()
			for i := range orgs {
				cursor := ""
				for more := true; more; more = cursor != "" {
					page, err := w.ledger.Records(context.Background(), fmt.Sprint("org", i), cursor, 1000)
					w.must(err)
					for _, r := range page.Records {
						spent[i] += r.Cost
					}
					cursor = page.Next
				}
				if budgets == nil {
					continue
				}
				if b, _ := accounts.Balance(fmt.Sprint("org", i), ""); b.Spent != spent[i] {
					t.Errorf("seed %d: got %s spent by org%d, want the sum of its records, %s", seed, b.Spent, i, spent[i])
				}
				if spent[i] > budgets[i] {
					t.Errorf("seed %d: got %s spent by org%d, want its budget of %s at most", seed, spent[i], i, budgets[i])
				}
			}
		})
		return spent, refused
	}
	all, _ := run(nil, 1, "done", "leave")
	spent, refused := run(all, 1, "done", "leave")
	if refused > 0 {
		t.Errorf("got %d requests refused or ended, want none: each budget covers all that is asked", refused)
	}
	for i := range all {
		if spent[i] != all[i] || all[i] == 0 {
			t.Errorf("got %s spent by org%d, want its budget to the nano-dollar, %s", spent[i], i, all[i])
		}
	}
	near := make([]fleet.NanoUSD, orgs)
	for seed := range seeds {
		for i := range near {
			near[i] = all[i] / 20 * fleet.NanoUSD(i+1)
		}
		if _, refused := run(near, seed+2, "done", "leave", "die"); refused < int64(clients/20) {
			t.Errorf("got %d requests refused or ended by budgets that do not suffice, want many", refused)
		}
	}
}

// streamFor streams a token each 100 ms for as long as the request says, and ends as it says.
func streamFor(w http.ResponseWriter, r *http.Request) {
	var asked struct{ User string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		panic(err)
	}
	end, digits, _ := strings.Cut(asked.User, " ")
	us, err := strconv.Atoi(digits)
	if err != nil {
		panic(err)
	}
	left := time.Duration(us) * time.Microsecond
	if end == "leave" {
		left = hours
	}
	for events(w, token("a")); left > 0; events(w, token("b")) {
		step := min(left, time.Second)
		select {
		case <-time.After(step):
			left -= step
		case <-r.Context().Done():
			return
		}
	}
	if end == "die" {
		die(w)
	}
	events(w, done)
}
