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
	"github.com/pilotlight-io/pilotlight/internal/ledger"
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
		"reached: a request was refused at once", "reached: a block was drawn from others", "reached: something was spent after a raise had ended", "reached: a busy server was asked for what it does not need",
		"reached: a server died that held what another needed soon",
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
	spells  map[account.Period][]spell
	terms   [2][]term                        // of the organisation's budget, and of the token's
	most    map[account.Period]fleet.NanoUSD // that a limit has been while something was spent
	before  [2]fleet.NanoUSD                 // most that the limits have been a short while ago
	changed time.Time
	asked   map[account.Period]map[string]time.Time // since when a server has not answered what others wish
}

// server is one of them, over its lives.
type server struct {
	f      *faults
	name   string
	up     bool      // it serves
	since  time.Time // it does
	begun  bool      // it was started
	late   time.Time
	log    []record
	logged int       // records ever
	busy   time.Time // until then others keep it so
	denied time.Time // when it last heard that there is nothing more, which it remembers

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

// spell is what one request was billed for.
type spell struct {
	from, until time.Time
	gpus        int
}

// term is a budget from when it was first told, until the next one was.
type term struct {
	account.Budget
	from time.Time
}

// request is one that runs.
type request struct {
	gpus   int
	from   time.Time // it is paid for from then on; zero = not yet
	spends *op
	done   chan struct{} // closed by the world, when it is to end
	ending bool          // it is closed
	cut    chan struct{}
	alone  bool // no other ran on its server, and it was dispatched in the period in which it was let in
}

// OutOfBudget ends it.
func (r *request) OutOfBudget(*account.BudgetError, time.Time) { close(r.cut) }

const (
	faultsOrg     = "acme"
	othersOrg     = "others"
	answeredSoon  = time.Second + 20*time.Microsecond // the longest that somebody waits for a block
	refusedSoon   = 800 * time.Millisecond            // where nothing fails: two questions
	wishedSoon    = 600 * time.Millisecond            // the longest that a wish waits for an answer, where nothing fails
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
	f.billed, f.most, f.spells = map[account.Period]map[string]int64{}, map[account.Period]fleet.NanoUSD{}, map[account.Period][]spell{}
	f.Store = faultsim.NewDatabase(newContent(), (*content).clone, f.Count, f.look)
	time.Sleep(faultsim.Pick(f.Tape, []time.Duration{12 * time.Hour, 24*time.Hour - 3*time.Minute, 24*time.Hour - 20*time.Second, 24*time.Hour - 4*time.Second}))
	f.memory = faultsim.Pick(f.Tape, []time.Duration{0, deniedFor})
	f.budget = account.Budget{Limit: f.chooseLimit(), Period: "daily", Window: daily}
	if f.Choose(2) == 0 {
		f.own = account.Budget{Limit: f.chooseLimit(), Period: "daily", Window: daily}
	}
	f.asked = map[account.Period]map[string]time.Time{}
	f.terms = [2][]term{{{f.budget, time.Now()}}, {{f.own, time.Now()}}}
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
	kinds = append(kinds, f.Swarm([]faultsim.Kind{
		{Name: "requests come", Do: f.stepCome},
		{Name: "requests end", Do: f.stepEnd},
		{Name: "time", Do: f.StepTime},
		{Name: "minutes", Do: f.stepMinutes},
		{Name: "budget changes", Do: f.stepBudget},
		{Name: "others' budgets change", Do: f.stepBusy},
	}...)...)
	if f.Choose(4) == 0 {
		return kinds // what is held only where nothing fails is held here
	}
	return append(kinds, f.Swarm([]faultsim.Kind{
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
			if of.Org != faultsOrg {
				continue
			}
			f.lookAtWishes(of, c.blocks[of])
			if sum := c.reserved(of); sum > int64(f.mostOf(of)) {
				f.Broke("the servers may spend %d in all of period %v, more than its limit of %d", sum, of, f.most[of])
			}
		}
	})
}

// lookAtWishes holds that who lives answers what others wish; mu is held.
func (f *faults) lookAtWishes(of account.Period, blocks map[string]block) {
	if f.asked[of] == nil {
		f.asked[of] = map[string]time.Time{}
	}
	for _, s := range f.servers {
		since, open := f.asked[of][s.name]
		mine, drew := blocks[s.name]
		took := time.Since(since)
		if open && took > wishedSoon && s.up && s.since.Before(since) && f.Healthy(since) {
			f.Broke("%s has not answered in %s what others wish of period %v", s.name, took, of)
		}
		wished := drew && slices.ContainsFunc(f.servers, func(other *server) bool { return blocks[other.name].wished > mine.answered })
		if !wished {
			if open && time.Now().Before(s.busy) && f.Healthy(since) {
				f.Count("a busy server was asked for what it does not need")
			}
			delete(f.asked[of], s.name)
		} else if !open {
			f.asked[of][s.name] = time.Now()
		}
	}
}

// bill counts what a request costs; mu is held.
func (f *faults) bill(s *server, token string, day int64, of spell) {
	for _, p := range []account.Period{periodOf("", day), periodOf(token, day)} {
		if p.Token != "" && (p.Token != "t0" || f.own.Limit == 0) {
			continue
		}
		if f.billed[p] == nil {
			f.billed[p] = map[string]int64{}
		}
		f.billed[p][s.name] += of.cost()
		sum := int64(0)
		for _, n := range f.billed[p] {
			sum += n
		}
		if sum > int64(f.mostOf(p)) {
			f.Broke("%d were billed in all of period %v, more than its limit of %d", sum, p, f.most[p])
		}
		f.Store.Look(func(c *content) {
			if mine, granted := f.billed[p][s.name], c.blocks[p][s.name].granted; mine > granted {
				f.Broke("%s has billed %d of period %v, of which the store grants it %d", s.name, mine, p, granted)
			}
			if t := f.termsOf(p)[len(f.termsOf(p))-1]; t.ends(c.drawn[p][s.name], of.paid()) {
				f.Broke("%s has spent of period %v until %s, from a block that ends with the raise until %s", s.name, p, of.paid(), t.Raise.Until)
			}
		})
		f.spells[p] = append(f.spells[p], of)
		f.lookAfterRaise(p)
	}
}

// termsOf gives the terms of a period's budget; mu is held.
func (f *faults) termsOf(of account.Period) []term {
	if of.Token != "" {
		return f.terms[1]
	}
	return f.terms[0]
}

// ends reports whether the term's raise ends between two moments.
func (t *term) ends(from, to time.Time) bool {
	return t.Raise.Limit > 0 && from.Before(t.Raise.Until) && t.Raise.Until.Before(to)
}

// cost is what a spell costs, in nano-dollars.
func (s spell) cost() int64 {
	rate := perNano(s.gpus)
	return int64(ledger.Cost(max(s.until.Sub(s.from), 0), rate.GPUs, rate.Price))
}

// paid is until when it costs something: whole microseconds do.
func (s spell) paid() time.Time {
	return s.from.Add(time.Duration(s.cost() / int64(s.gpus)))
}

// lookAfterRaise holds that what a raise adds to a period's budget is spent before its end; mu is held.
func (f *faults) lookAfterRaise(of account.Period) {
	var last time.Time
	for _, s := range f.spells[of] {
		if until := s.paid(); until.After(last) {
			last = until
		}
	}
	sum := int64(0)
	for _, s := range f.spells[of] {
		sum += s.cost()
	}
	if most, ended := f.limitAt(of, last); sum > most {
		f.Broke("%d were spent of period %v until %s, when its limit was %d at most", sum, of, last.Format("15:04:05.000000000"), most)
	} else if ended {
		f.Count("something was spent after a raise had ended")
	}
}

// limitAt gives the most that a period's limit has been until a moment, or a little later, for who waits then goes on if there is more; but for raises that have
// ended by themselves. ended = there is one of these. mu is held.
func (f *faults) limitAt(of account.Period, at time.Time) (most int64, ended bool) {
	terms, begins := f.termsOf(of), time.Unix(of.From*86400, 0)
	for k, t := range terms {
		next := at
		if k+1 < len(terms) && terms[k+1].from.Before(at) {
			next = terms[k+1].from
		}
		switch {
		case t.from.After(at.Add(answeredSoon)) || next.Before(begins.Add(-changedWithin)):
			continue
		case t.Raise.Limit > 0 && t.Raise.Until.Before(next):
			ended = true
		case t.Raise.Limit > 0:
			most = max(most, int64(t.Raise.Limit))
		}
		most = max(most, int64(t.Limit))
	}
	return most, ended
}
