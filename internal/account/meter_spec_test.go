package account

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// spec is what a meter is to do, as slowly and plainly as it can be said: every sum is made anew from all there is, with the ledger's own cost of each
// request. It is a value.
type spec struct {
	made    time.Time
	budgets map[string]specBudget               // by token; "" = the organisation's
	spent   map[string]map[string]fleet.NanoUSD // by token, "" = the organisation, then day
	runs    map[int]specRun
}

type specBudget struct {
	Budget
	since int64
}

type specRun struct {
	token  string
	rate   Rate
	day    string
	paying bool
	from   int64
	cut    bool
	until  int64
	cost   fleet.NanoUSD // it is counted with, once cut
}

func newSpec(made time.Time) spec {
	return spec{made: made, budgets: map[string]specBudget{}, spent: map[string]map[string]fleet.NanoUSD{}, runs: map[int]specRun{}}
}

func (s spec) clone() spec {
	s.budgets, s.runs, s.spent = maps.Clone(s.budgets), maps.Clone(s.runs), maps.Clone(s.spent)
	for k, days := range s.spent {
		s.spent[k] = maps.Clone(days)
	}
	return s
}

func (s spec) String() string {
	return fmt.Sprintf("%v %v %v", s.budgets, s.spent, s.runs)
}

func (s spec) day(at int64) string { return s.made.Add(time.Duration(at)).UTC().Format(time.DateOnly) }

func (s spec) count(token, day string, cost fleet.NanoUSD) {
	for _, k := range []string{"", token} {
		if s.spent[k] == nil {
			s.spent[k] = map[string]fleet.NanoUSD{}
		}
		s.spent[k][day] += cost
	}
}

func (r specRun) costAt(at int64) fleet.NanoUSD {
	if !r.paying {
		return 0
	}
	return ledger.Cost(time.Duration(at-r.from), r.rate.GPUs, r.rate.Price)
}

func (r specRun) least() fleet.NanoUSD {
	return max(ledger.Cost(time.Microsecond, r.rate.GPUs, r.rate.Price), 1)
}

// window is the days of a budget's period that a day is in, as texts.
func (b *specBudget) window(day string) (from, to string) {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	f, t := b.Window(at)
	return f.Format(time.DateOnly), t.Format(time.DateOnly)
}

// owed is what would have been spent in the period of a day if all ended at a moment, each with its first microsecond at least.
func (s spec) owed(token, day string, at int64) fleet.NanoUSD {
	b := s.budgets[token]
	from, to := b.window(day)
	sum := fleet.NanoUSD(0)
	for d, cost := range s.spent[token] {
		if from <= d && d < to {
			sum += cost
		}
	}
	for _, r := range s.runs {
		if r.cut || token != "" && r.token != token || r.day < from || r.day >= to {
			continue
		}
		end := at
		if token == "" {
			end = s.end(r.token, r.day, at)
		}
		sum += max(r.costAt(end), r.least())
	}
	return sum
}

// end is the moment at which what is paid from a budget ends, at the latest the one that is given: the last at which no more is owed than there is.
func (s spec) end(token, day string, at int64) int64 {
	b, ok := s.budgets[token]
	if !ok || b.Limit == 0 || b.Soft {
		return at
	}
	n := sort.Search(int(max(at-b.since, 0)), func(i int) bool {
		moment := b.since + int64(i) + 1
		return s.owed(token, day, moment) > s.limit(b, moment)
	})
	return min(b.since+int64(n), max(at, b.since), max(at, 0))
}

func (s spec) limit(b specBudget, at int64) fleet.NanoUSD {
	if b.Raise.Limit > 0 && s.made.Add(time.Duration(at)).Before(b.Raise.Until) {
		return b.Raise.Limit
	}
	return b.Limit
}

// admits says whether so much is left of all budgets.
func (s spec) admits(token, day string, least fleet.NanoUSD, at int64) bool {
	for _, k := range []string{"", token} {
		if b, ok := s.budgets[k]; ok && b.Limit > 0 && !b.Soft && s.owed(k, day, at)+least > s.limit(b, at) {
			return false
		}
	}
	return true
}

func (s spec) join(id int, token string, rate Rate, at int64) bool {
	r := specRun{token: token, rate: rate, day: s.day(at)}
	if !s.admits(token, r.day, r.least(), at) {
		return false
	}
	s.runs[id] = r
	return true
}

func (s spec) pay(id int, dispatched, from int64) {
	if r := s.runs[id]; !r.cut {
		r.day, r.paying, r.from = s.day(dispatched), true, from
		s.runs[id] = r
	}
}

func (s spec) bill(id int, until int64) int64 {
	r := s.runs[id]
	if r.cut {
		until = min(until, r.until)
		s.count(r.token, r.day, r.costAt(until)-r.cost)
	} else {
		until = min(until, s.end(r.token, r.day, until), s.end("", r.day, until))
		s.count(r.token, r.day, r.costAt(until))
	}
	delete(s.runs, id)
	return until
}

func (s spec) unbill(id int) {
	r := s.runs[id]
	s.count(r.token, r.day, -r.cost)
	delete(s.runs, id)
}

// expire cuts what budgets are used up for before a moment, and gives whom.
func (s spec) expire(at int64) (cut []int) {
	ends := map[int]int64{}
	for id, r := range s.runs {
		if end := min(s.end("", r.day, at), s.end(r.token, r.day, at)); !r.cut && end < at {
			ends[id] = end
		}
	}
	for id, end := range ends {
		r := s.runs[id]
		r.cut, r.until, r.cost = true, end, r.costAt(end)
		s.runs[id] = r
		s.count(r.token, r.day, r.cost)
		cut = append(cut, id)
	}
	slices.Sort(cut)
	return cut
}

// set replaces a budget; narrower says that it leaves less.
func (s spec) set(token string, b Budget, narrower bool, at int64) (cut []int) {
	since := s.budgets[token].since
	if narrower && b.Limit > 0 {
		cut = s.expire(at)
		since = at
	}
	s.budgets[token] = specBudget{b, since}
	return cut
}
