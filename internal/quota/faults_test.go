package quota

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestFaults plays histories of servers that spend from budgets by a simulated store, in virtual time: transactions are lost, answered to nobody or committed
// late, the store is away or slow and its clock is set, servers crash, and start again on their log or without it, logs come late, budgets change, and requests
// run over the ends of periods. See faultsim.
func TestFaults(t *testing.T) {
	if storetest.OnPostgres() {
		return
	}
	faultsim.Run(t, faultsim.World{Play: func(tape *faultsim.Tape) error {
		f := &faults{SharedHistory: faultsim.SharedHistory[content]{BubbleHistory: faultsim.BubbleHistory{
			History: faultsim.History{Tape: tape}, Settles: settledSoon,
			Faults: []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 3 * time.Minute},
		}}}
		return f.PlayBubble(t, f.play, budgetModel, "who was refused")
	}, Rare: []string{
		"reached: a transaction was lost", "reached: a commit's answer was lost", "reached: a commit was on its way when its server gave it up", "reached: a transaction waited for a row",
		"reached: a request was refused", "reached: a request was ended by its budget", "reached: a request was dispatched in another period than it was admitted in",
		"reached: a server died with a log that never came", "reached: a server died with requests that ran", "reached: what was left was spent to the microsecond",
		"reached: a request was refused at once", "reached: a block was drawn from others",
	}}, 40, 8)
}

// faults is one history.
type faults struct {
	faultsim.SharedHistory[content]
	servers []*server
	names   int
	clients sync.WaitGroup
	budget  account.Budget // of the organisation
	own     account.Budget // of token t0; the zero value = none
	memory  time.Duration  // Config.DeniedFor

	mu      sync.Mutex                          // guards all below, and the servers
	billed  map[account.Period]map[string]int64 // by the server's name
	most    map[account.Period]fleet.NanoUSD    // that a limit has been while something was spent
	before  [2]fleet.NanoUSD                    // most that the limits have been a short while ago
	changed time.Time
}

// server is one of them, over its lives.
type server struct {
	f      *faults
	name   string
	up     bool // it serves
	begun  bool // it was started
	late   time.Time
	log    []record
	logged int // records ever
	denied time.Time

	// Of a life.
	life     int
	link     *faultsim.Link[content]
	disk     *faultsim.Link[content] // the mover's
	accounts *account.Accounts
	quota    *Quota
	end      context.CancelFunc
	running  sync.WaitGroup
	jitter   *rand.Rand
	open     []*request
}

// record is one of a log.
type record struct {
	number int
	token  string
	day    int64
	cost   int64
}

// request is one that runs.
type request struct {
	done   chan struct{} // closed by the world, when it is to end
	ending bool          // it is closed
	cut    chan struct{}
	alone  bool // no other ran on its server, and it was dispatched in the period in which it was let in
}

// OutOfBudget ends it.
func (r *request) OutOfBudget(*account.BudgetError, time.Time) { close(r.cut) }

const (
	faultsOrg     = "acme"
	answeredSoon  = time.Second + 20*time.Microsecond // the longest that somebody waits for a block
	refusedSoon   = 800 * time.Millisecond            // where nothing fails: two questions
	settledSoon   = 8 * time.Second                   // after the last fault
	changedWithin = 15 * time.Second                  // then nothing that was worked out under the limit before is on its way
)

// perNano is a rate at which a nanosecond costs a nano-dollar for each GPU.
func perNano(gpus int) account.Rate {
	return account.Rate{GPUs: gpus, Price: fleet.NanoUSD(time.Hour)}
}

// daily is a window.
func daily(at time.Time) (from, to time.Time) {
	from = at.UTC().Truncate(24 * time.Hour)
	return from, from.AddDate(0, 0, 1)
}

func (f *faults) play() error {
	f.billed, f.most = map[account.Period]map[string]int64{}, map[account.Period]fleet.NanoUSD{}
	f.Store = faultsim.NewDatabase(newContent(), (*content).clone, f.Count, f.look)
	time.Sleep(faultsim.Pick(f.Tape, []time.Duration{12 * time.Hour, 24*time.Hour - 3*time.Minute, 24*time.Hour - 20*time.Second, 24*time.Hour - 4*time.Second}))
	f.memory = faultsim.Pick(f.Tape, []time.Duration{0, deniedFor})
	f.budget = account.Budget{Limit: f.chooseLimit(), Period: "daily", Window: daily}
	if f.Choose(2) == 0 {
		f.own = account.Budget{Limit: f.chooseLimit(), Period: "daily", Window: daily}
	}
	for range 2 + f.Choose(2) {
		f.servers = append(f.servers, &server{f: f})
	}
	for _, s := range f.servers {
		f.name(s)
		f.start(s)
	}
	f.Settle()
	return f.Play(f.chooseKinds(), f.calmDown, f.close)
}

// chooseLimit gives what so many seconds cost, and some nano-dollars.
func (f *faults) chooseLimit() fleet.NanoUSD {
	seconds := faultsim.Pick(f.Tape, []int{0, 1, 20, 100, 600})
	return fleet.NanoUSD(time.Duration(seconds)*time.Second) + fleet.NanoUSD(1+f.Choose(20_000))
}

func (f *faults) chooseKinds() []faultsim.Kind {
	kinds := []faultsim.Kind{{Name: "requests come", Do: f.stepCome}, {Name: "requests come", Do: f.stepCome}, {Name: "requests end", Do: f.stepEnd}, {Name: "time", Do: f.StepTime}}
	return append(kinds, f.Swarm([]faultsim.Kind{
		{Name: "requests come", Do: f.stepCome},
		{Name: "requests end", Do: f.stepEnd},
		{Name: "time", Do: f.StepTime},
		{Name: "minutes", Do: f.stepMinutes},
		{Name: "store away", Do: f.StepAway},
		{Name: "store slow", Do: f.StepSlow},
		{Name: "store's clock is set", Do: f.stepClock},
		{Name: "server cut off", Do: f.stepCut},
		{Name: "transactions lost", Do: f.stepLossy},
		{Name: "log comes late", Do: f.stepLate},
		{Name: "server crashes", Do: f.stepCrash},
		{Name: "server stops", Do: f.stepStop},
		{Name: "server starts", Do: f.stepStart},
		{Name: "log lost", Do: f.stepLoseLog},
		{Name: "budget changes", Do: f.stepBudget},
	}...)...)
}

// periodOf gives the period of a budget at a day.
func periodOf(token string, day int64) account.Period {
	return account.Period{Org: faultsOrg, Token: token, From: day, To: day + 1}
}

// mostOf gives the most that the limit of a period has been; mu is held.
func (f *faults) mostOf(of account.Period) fleet.NanoUSD {
	b, before := &f.budget, f.before[0]
	if of.Token != "" {
		b, before = &f.own, f.before[1]
	}
	limit := b.Limit
	if time.Now().Before(b.Raise.Until.Add(changedWithin)) {
		limit = max(limit, b.Raise.Limit)
	}
	if time.Since(f.changed) < changedWithin {
		limit = max(limit, before)
	}
	f.most[of] = max(f.most[of], limit)
	return f.most[of]
}

// look is called after each commit.
func (f *faults) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Store.Look(func(c *content) {
		for _, of := range slices.SortedFunc(maps.Keys(c.blocks), compare) {
			if sum := c.reserved(of); sum > int64(f.mostOf(of)) {
				f.Broke("the servers may spend %d in all of period %v, more than its limit of %d", sum, of, f.most[of])
			}
		}
	})
}

// bill counts what a request costs; mu is held.
func (f *faults) bill(s *server, token string, day, cost int64) {
	for _, of := range []account.Period{periodOf("", day), periodOf(token, day)} {
		if of.Token != "" && (of.Token != "t0" || f.own.Limit == 0) {
			continue
		}
		if f.billed[of] == nil {
			f.billed[of] = map[string]int64{}
		}
		f.billed[of][s.name] += cost
		sum := int64(0)
		for _, n := range f.billed[of] {
			sum += n
		}
		if sum > int64(f.mostOf(of)) {
			f.Broke("%d were billed in all of period %v, more than its limit of %d", sum, of, f.most[of])
		}
		f.Store.Look(func(c *content) {
			if mine, granted := f.billed[of][s.name], c.blocks[of][s.name].granted; mine > granted {
				f.Broke("%s has billed %d of period %v, of which the store grants it %d", s.name, mine, of, granted)
			}
		})
	}
}
