package joined_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestFaults plays histories of several servers, their callers and their engines, in virtual time: servers crash, end and start again, are cut off from each other,
// from the database, from the lock and from the engines; messages and transactions are lost, late and doubled; engines die, hang and do not start; disks are full.
// See faultsim.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.db")
	s, err := storetest.TryOpen(t, empty)
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	faultsim.Run(t, faultsim.World{Play: func(tape *faultsim.Tape) error {
		w := &world{BubbleHistory: faultsim.BubbleHistory{
			History: faultsim.History{Tape: tape}, Settles: settledSoon, Faults: []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second},
		}}
		return w.playIn(t, dir, empty)
	}, Rare: rare}, 40, 3)
}

// rare are the states that a long run has to reach.
var rare = []string{
	"reached: a server led", "reached: a server died that led", "reached: a server was stopped that led", "reached: a server died with requests", "reached: a server could not open at once",
	"reached: a leader was not certain to lead", "reached: a leader was replaced and lived on", "reached: a leader found what the one before had left", "reached: an act of an older term was refused", "reached: an act came late",
	"reached: an engine died with requests on it", "reached: a parked engine was resumed", "reached: a lease was granted on an engine that was gone",
	"reached: a request was asked of a second engine", "reached: a request waited for an engine", "reached: a caller left as its wait was over", "reached: a request was ended by its budget",
	"reached: " + faultsim.LostBefore.String(), "reached: " + faultsim.LostAnswer.String(), "reached: " + faultsim.LostLater.String(), "reached: a transaction waited for another",
	"reached: answered: " + string(served), "reached: answered: " + string(overLimit), "reached: answered: " + string(overBudget),
	"reached: answered: " + string(notServed), "reached: answered: " + string(serverEnds), "reached: answered: " + string(engineLost), "reached: answered: " + string(callerGone),
}

// world is one history.
type world struct {
	faultsim.BubbleHistory
	dir        string
	database   *database
	lock       *lock
	net        *network
	engines    *engines
	durability ledger.Durability
	pool       fleet.Pool
	models     []*fleet.Model
	limits     map[account.Limited]int
	budgets    map[account.Limited]account.Budget
	servers    []*server
	running    sync.WaitGroup // all that servers do
	clients    sync.WaitGroup

	mu      sync.Mutex // guards what follows
	open    map[*exchange]bool
	records map[string]*kept // by ID
	spent   map[account.Period]fleet.NanoUSD
}

// kept is a record that was appended.
type kept struct {
	ledger.Record
	err error
}

const (
	settledSoon = 12 * time.Second // after the last fault
	maxWait     = time.Minute
	price       = fleet.NanoUSD(time.Hour) // so that a nanosecond costs a nano-dollar for each GPU
)

// playIn plays in a directory of its own, on a copy of an empty database.
func (w *world) playIn(t *testing.T, parent, empty string) error {
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w.dir = dir
	w.database = &database{path: filepath.Join(dir, "p.db"), reached: w.Count}
	tables, err := os.ReadFile(empty)
	if err == nil {
		err = os.WriteFile(w.database.path, tables, 0o600)
	}
	if err != nil {
		return err
	}
	return w.PlayBubble(t, w.play)
}

func (w *world) play() error {
	w.open, w.records, w.spent = map[*exchange]bool{}, map[string]*kept{}, map[account.Period]fleet.NanoUSD{}
	time.Sleep(faultsim.Pick(w.Tape, []time.Duration{12 * time.Hour, 24*time.Hour - time.Minute}))
	w.lock, w.net = &lock{}, newNetwork(uint64(w.Choose(1<<30)))
	w.durability = faultsim.Pick(w.Tape, []ledger.Durability{ledger.Async, ledger.Sync})
	w.chooseEngines()
	w.chooseOrgs()
	for n := range 2 + w.Choose(2) {
		s, err := w.newServer(n)
		if err != nil {
			return err
		}
		w.servers = append(w.servers, s)
		w.start(s)
	}
	w.settle()
	return w.Play(w.chooseKinds(), w.settle, w.calm, w.end)
}

func (w *world) chooseEngines() {
	w.engines = &engines{
		w: w, parks: w.Choose(2) == 0, seed: uint64(w.Choose(1 << 30)), stopped: map[string]bool{}, done: map[[2]uint64]bool{}, ears: map[chan struct{}]bool{},
	}
	w.pool = fleet.Pool{Name: fleet.LocalPool}
	if w.engines.parks {
		w.pool.MaxParkedPerGPU = 2
	}
	for n := range 1 + w.Choose(2) {
		w.engines.slots = append(w.engines.slots, fleet.Slot{ID: fmt.Sprint("slot-", n), Pool: fleet.LocalPool, Node: fmt.Sprint("node-", n), GPUs: faultsim.Pick(w.Tape, []int{2, 4}), Host: 1 << 40})
	}
	for n := range 2 + w.Choose(2) {
		w.models = append(w.models, &fleet.Model{
			ID: fmt.Sprint("m", n), GPUs: 1 + w.Choose(2), MaxConcurrency: 1 + w.Choose(3), Pool: fleet.LocalPool, IdleAfter: faultsim.Pick(w.Tape, []time.Duration{time.Second, 20 * time.Second}),
			Instances: fleet.Range{Max: 1 + w.Choose(2)}, Queue: fleet.QueueLimits{Limit: 12, PerOrg: 8, MaxWait: maxWait}, Timeouts: fleet.Timeouts{Start: time.Minute},
		})
	}
}

func (w *world) chooseOrgs() {
	w.limits, w.budgets = map[account.Limited]int{}, map[account.Limited]account.Budget{}
	for _, of := range []account.Limited{{Org: "acme"}, {Org: "acme", Token: "t0"}, {Org: "acme", Token: "t1"}, {Org: "umbra"}, {Org: "umbra", Token: "t2"}} {
		if n := w.Choose(16); n < 8 {
			w.limits[of] = n + 1
		}
		if seconds := faultsim.Pick(w.Tape, []int{0, 0, 60, 600}); seconds > 0 {
			w.budgets[of] = account.Budget{Limit: fleet.NanoUSD(time.Duration(seconds) * time.Second), Period: "daily", Window: daily}
		}
	}
}

// tokens are those of callers, with their organisations.
var tokens = []account.Limited{{Org: "acme", Token: "t0"}, {Org: "acme", Token: "t1"}, {Org: "umbra", Token: "t2"}}

// daily is a window.
func daily(at time.Time) (from, to time.Time) {
	from = at.UTC().Truncate(24 * time.Hour)
	return from, from.AddDate(0, 0, 1)
}

func (w *world) claim(o *order) account.Claim {
	return account.Claim{
		Org: o.org, Token: o.token, OrgLimits: account.Limits{Concurrency: w.limits[account.Limited{Org: o.org}]},
		TokenLimits: account.Limits{Concurrency: w.limits[account.Limited{Org: o.org, Token: o.token}]},
	}
}

// budgeted reports whether a budget may end a request.
func (w *world) budgeted(o *order) bool {
	_, org := w.budgets[account.Limited{Org: o.org}]
	_, token := w.budgets[account.Limited{Org: o.org, Token: o.token}]
	return org || token
}

func (w *world) rate(model string) account.Rate {
	k := slices.IndexFunc(w.models, func(m *fleet.Model) bool { return m.ID == model })
	return account.Rate{GPUs: w.models[k].GPUs, Price: price}
}

func (w *world) settle() { w.BubbleHistory.Settle(w.String) }

// String shows how it stands.
func (w *world) String() string {
	text := ""
	for _, s := range w.servers {
		switch {
		case s.life == nil:
			text += fmt.Sprintf(" server %d is down;", s.n)
		default:
			t, role := s.life.tenure.Load(), "follows"
			if t != nil {
				role = fmt.Sprint("leads in term ", t.term)
			}
			text += fmt.Sprintf(" server %d %s, %d requests;", s.n, role, len(s.life.requests()))
		}
	}
	w.engines.mu.Lock()
	defer w.engines.mu.Unlock()
	for _, e := range w.engines.all {
		if !e.gone {
			text += fmt.Sprintf(" %s of %s on %s/%d+%d is %s with %d;", e.ID, e.Model, e.Slot, e.GPU, e.GPUs, e.State, len(e.calls))
		}
	}
	return text
}

// admitted holds that limits hold over all servers.
func (w *world) admitted(x *exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[x] = true
	for _, of := range []account.Limited{{Org: x.o.org}, {Org: x.o.org, Token: x.o.token}} {
		limit, n := w.limits[of], 0
		for other := range w.open {
			if !other.l.dead() && other.o.org == of.Org && (of.Token == "" || other.o.token == of.Token) {
				n++
			}
		}
		if limit > 0 && n > limit {
			w.Broke("%s admitted request %d at once of %s/%s, whose limit is %d", x.l.name, n, of.Org, of.Token, limit)
		}
	}
}

func (w *world) left(x *exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, x)
}

// appended notes a record, and holds that no budget is overspent.
func (w *world) appended(x *exchange, r *ledger.Record, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[r.ID] = &kept{*r, err}
	if err != nil {
		if !x.l.dead() {
			w.Count("a record was withheld")
		}
		return
	}
	day := r.DispatchedAt.Unix() / 86400
	for _, of := range []account.Limited{{Org: r.Org}, {Org: r.Org, Token: r.TokenID}} {
		p := account.Period{Org: of.Org, Token: of.Token, From: day, To: day + 1}
		w.spent[p] += r.Cost
		if b, has := w.budgets[of]; has && w.spent[p] > b.Limit {
			w.Broke("%d were billed in all of the budget of %s/%s of day %d, which is %d", w.spent[p], of.Org, of.Token, day, b.Limit)
		}
	}
}

// answered notes what a caller was told.
func (w *world) answered(x *exchange, got answer) {
	w.Count("answered: " + string(got))
	if took, most := time.Since(x.began), 2*maxWait+hangMost+x.o.first+x.o.runs+drainWithin; took > most {
		w.Broke("%s answered %q after %s", x.l.name, got, took)
	}
}
