package quota

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// find gives a server that is begun or is not, if there is one.
func (f *faults) find(begun bool) *server {
	return faultsim.PickWhere(f.Tape, f.servers, func(s *server) bool { return s.begun == begun })
}

func (f *faults) stepCome() {
	for range 1 + f.Choose(3) {
		if s := f.find(true); s != nil {
			f.come(s)
		}
	}
}

func (f *faults) stepEnd() {
	if s := f.find(true); s != nil {
		for _, r := range f.openOf(s) {
			if f.Choose(2) == 0 {
				f.endOne(s, r)
			}
		}
	}
}

func (f *faults) openOf(s *server) []*request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(s.open)
}

func (f *faults) endOne(s *server, r *request) {
	if slices.Contains(f.openOf(s), r) && !r.ending {
		r.ending = true
		close(r.done)
	}
	time.Sleep(time.Duration(1 + f.Choose(1000)))
	synctest.Wait()
}

func (f *faults) stepMinutes() {
	if f.Choose(3) == 0 {
		time.Sleep(faultsim.Pick(f.Tape, []time.Duration{20 * time.Second, time.Minute, 3 * time.Minute}))
	}
}

func (f *faults) stepCut() { f.fault((*faultsim.Link[content]).Away) }

func (f *faults) stepLossy() { f.fault((*faultsim.Link[content]).Lossy) }

// fault has something be wrong with the ways of a server and its mover.
func (f *faults) fault(do func(*faultsim.Link[content], time.Time)) {
	if s := f.find(true); s != nil {
		f.Note("  %s", s.name)
		until := f.Until()
		do(s.link, until)
		do(s.disk, until)
	}
}

func (f *faults) stepClock() {
	jump := faultsim.Pick(f.Tape, []time.Duration{time.Second, -time.Second, time.Minute, -time.Minute, -26 * time.Hour, 26 * time.Hour})
	f.Store.Look(func(c *content) { c.ahead += jump })
	f.Unwell(time.Now().Add(settledSoon))
}

// stepLate has the log of a server come late.
func (f *faults) stepLate() {
	if s := f.find(true); s != nil {
		until := f.Until()
		f.mu.Lock()
		defer f.mu.Unlock()
		s.late = until
	}
}

func (f *faults) stepCrash() {
	if s := f.find(true); s != nil {
		f.crash(s)
	}
}

// crash ends a server without a word, and its requests with it: nobody pays for them.
func (f *faults) crash(s *server) {
	f.Note("  %s", s.name)
	s.link.Die()
	s.disk.Die()
	f.mu.Lock()
	if len(s.open) > 0 {
		f.Count("a server died with requests that ran")
	}
	s.life++
	s.up, s.begun, s.open = false, false, nil
	f.mu.Unlock()
	s.end()
	f.Unwell(time.Now().Add(48 * time.Hour)) // until it is back
}

// stepStop ends a server in order.
func (f *faults) stepStop() {
	if s := f.find(true); s != nil && f.Choose(3) == 0 {
		f.stop(s)
	}
}

func (f *faults) stop(s *server) {
	f.Note("  %s", s.name)
	for _, r := range f.openOf(s) {
		f.endOne(s, r)
	}
	time.Sleep(answeredSoon + time.Second) // they are billed
	f.mu.Lock()
	s.life++ // who has not got an engine gets none
	s.up, s.begun, s.open = false, false, nil
	f.mu.Unlock()
	s.end()
	s.running.Wait()
	f.Unwell(time.Now().Add(48 * time.Hour))
}

func (f *faults) stepStart() {
	s := f.find(false)
	if s == nil {
		return
	}
	s.running.Wait()
	f.start(s)
	if f.find(false) == nil {
		f.UnwellOnly(time.Now().Add(settledSoon)) // what they held is known again
		for _, s := range f.servers {
			f.Unwell(s.link.Unwell().Add(settledSoon))
			f.Unwell(s.disk.Unwell().Add(settledSoon))
			f.Unwell(s.late.Add(settledSoon))
		}
	}
}

// stepLoseLog has a server that is down start with another log the next time: what its block had left is nobody's until the period ends.
func (f *faults) stepLoseLog() {
	if s := f.find(false); s != nil {
		if len(s.log) > 0 {
			f.Count("a server died with a log that never came")
		}
		f.name(s)
	}
}

// stepBudget changes a budget, at all servers, one after the other.
func (f *faults) stepBudget() {
	of, token := &f.budget, ""
	if f.own.Limit > 0 && f.Choose(2) == 0 {
		of, token = &f.own, "t0"
	}
	next := account.Budget{Limit: f.chooseLimit(), Period: "daily", Window: daily}
	if f.Choose(3) == 0 {
		next.Limit = of.Limit
		next.Raise = account.Raise{Limit: of.Limit + fleet.NanoUSD(100*time.Second), Until: time.Now().Add(time.Duration(1+f.Choose(60)) * time.Second)}
	}
	f.change(of, token, next)
}

func (f *faults) change(of *account.Budget, token string, next account.Budget) {
	f.Note("  %q: %d, %v", token, next.Limit, next.Raise)
	f.mu.Lock()
	before, terms := &f.before[0], &f.terms[0]
	if token != "" {
		before, terms = &f.before[1], &f.terms[1]
	}
	if time.Since(f.changed) >= changedWithin {
		f.before = [2]fleet.NanoUSD{}
	}
	*before = max(*before, of.Limit)
	if time.Now().Before(of.Raise.Until.Add(changedWithin)) {
		*before = max(*before, of.Raise.Limit)
	}
	*of, f.changed = next, time.Now()
	*terms = append(*terms, term{next, time.Now()})
	for period := range f.most {
		f.mostOf(period)
	}
	f.mu.Unlock()
	for _, s := range f.servers {
		f.mu.Lock()
		up := s.up
		f.mu.Unlock()
		if up {
			s.accounts.SetBudget(faultsOrg, token, next)
			time.Sleep(time.Duration(1 + f.Choose(1000)))
			synctest.Wait()
		}
	}
	f.Unwell(time.Now().Add(changedWithin))
	f.Unwell(next.Raise.Until.Add(settledSoon))
}

// stepBusy has a server be busy with others for a while.
func (f *faults) stepBusy() {
	s := f.find(true)
	if s == nil {
		return
	}
	f.Note("  %s", s.name)
	until, random := time.Now().Add(faultsim.Pick(f.Tape, []time.Duration{2 * time.Second, 10 * time.Second})), rand.New(rand.NewPCG(uint64(f.Choose(1<<30)), 7))
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Now().After(s.busy) {
		s.busy = until
		f.clients.Go(func() { f.occupy(s, until, random) })
	}
}

// calmDown ends all faults. After a stated time all that is left can be spent, to the nano-dollar, whoever asks, and who is refused then is refused soon.
func (f *faults) calmDown() {
	f.Note("calm")
	f.Store.Heal()
	for _, s := range f.servers {
		s.link.Heal()
		s.disk.Heal()
		f.mu.Lock()
		s.late = time.Time{}
		f.mu.Unlock()
		if !s.begun && (f.Choose(3) > 0 || f.find(true) == nil) {
			s.running.Wait()
			f.start(s)
		}
	}
	f.change(&f.budget, "", account.Budget{Limit: f.budget.Limit, Period: "daily", Window: daily})
	if f.own.Limit > 0 {
		f.change(&f.own, "t0", account.Budget{Limit: f.own.Limit, Period: "daily", Window: daily})
	}
	time.Sleep(faultsim.LateMost)
	for _, s := range f.servers {
		for _, r := range f.openOf(s) {
			f.endOne(s, r)
		}
	}
	f.clients.Wait()
	if now := time.Now().UTC(); now.Add(time.Hour).Day() != now.Day() {
		time.Sleep(time.Hour)
	}
	time.Sleep(changedWithin)
	synctest.Wait()
	if f.Settle(); !f.Broken() {
		s := f.find(true)
		f.spendAll(s)
		f.refuse(s)
	}
}

// spendAll has one request spend all that is left. Another server may die shortly before: it answers nothing any more, and what it holds is not to be had.
func (f *faults) spendAll(s *server) {
	of := periodOf("", time.Now().Unix()/86400)
	f.mu.Lock()
	up := s.up
	f.mu.Unlock()
	if !up {
		f.Fail("%s does not serve", s.name)
		return
	}
	before := f.sum(of)
	f.clients.Go(func() { f.serve(s, order{token: "t1", gpus: 1, runs: 30 * time.Minute}) })
	if f.Choose(2) == 0 {
		f.dieBeforeTheEnd(s, of)
	}
	f.clients.Wait()
	got := f.sum(of) - before
	left := got + f.left(of)
	f.Note("  %d of %d", got, left)
	if want := max(left, 0); got > want || got <= want-1000 { // a microsecond costs a thousand
		f.Fail("%s could spend %d of the %d that were left", s.name, got, want)
	}
	if left >= 1000 {
		f.Count("what was left was spent to the microsecond")
	}
}

// dieBeforeTheEnd has a server crash shortly before another, which spends a nano-dollar in each nanosecond, needs what this one holds.
func (f *faults) dieBeforeTheEnd(spends *server, of account.Period) {
	s := faultsim.PickWhere(f.Tape, f.servers, func(s *server) bool { return s.begun && s != spends })
	if s == nil {
		return
	}
	f.mu.Lock()
	held := int64(0)
	f.Store.Look(func(c *content) { held = c.blocks[of][s.name].granted - f.billed[of][s.name] })
	f.mu.Unlock()
	if held >= 1000 {
		f.Count("a server died that held what another needed soon")
	}
	time.Sleep(time.Duration(max(f.left(of)-held, 0)) - time.Duration(f.Choose(2500))*time.Millisecond)
	f.crash(s)
}

// left is what is left of the organisation's budget for servers that serve.
func (f *faults) left(of account.Period) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := int64(f.budget.Limit)
	f.Store.Look(func(c *content) {
		spent := maps.Clone(f.billed[of])
		if spent == nil {
			spent = map[string]int64{}
		}
		for name, b := range c.blocks[of] {
			if !f.serves(name) { // only its log knows
				spent[name] = max(spent[name], b.granted)
			}
		}
		for _, n := range spent {
			left -= n
		}
	})
	return left
}

// refuse has one request more come when nothing is left. It waits for servers that answer, and for none that is no more.
func (f *faults) refuse(s *server) {
	time.Sleep(f.memory)
	gone := false
	f.mu.Lock()
	f.Store.Look(func(c *content) {
		now := time.Now().Add(c.ahead)
		for name, at := range c.heard { // whom the store's clock, which was set, has pass for alive meanwhile
			gone = gone || !f.serves(name) && at.After(now.Add(-liveFor-time.Second)) && at.Before(now.Add(beatEvery+2*time.Second))
		}
	})
	f.mu.Unlock()
	began := time.Now()
	f.serve(s, order{token: "t1", gpus: 1})
	if took := time.Since(began); took > refusedSoon && !gone {
		f.Fail("%s refused a request after %s, though all who live answer", s.name, took)
	}
}

// serves reports whether a server of this name is up; mu is held.
func (f *faults) serves(name string) bool {
	return slices.ContainsFunc(f.servers, func(s *server) bool { return s.up && s.name == name })
}

func (f *faults) sum(of account.Period) (sum int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.billed[of] {
		sum += n
	}
	return sum
}

// close ends all that still runs.
func (f *faults) close() {
	for _, s := range f.servers {
		if s.begun {
			f.stop(s)
		}
		s.running.Wait()
	}
	f.clients.Wait()
	time.Sleep(faultsim.LateMost)
}
