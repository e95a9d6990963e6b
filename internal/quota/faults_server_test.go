package quota

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// name gives a server another log, and so another name.
func (f *faults) name(s *server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names++
	s.name, s.log, s.logged = fmt.Sprint("s", f.names), nil, 0
}

// start begins a life of a server. It serves once its log is in the store.
func (f *faults) start(s *server) {
	seed := uint64(f.Choose(1 << 30))
	f.mu.Lock()
	s.life++
	life := s.life
	f.mu.Unlock()
	s.link, s.disk, s.begun = f.Store.Link(seed), f.Store.Link(seed+1), true
	s.jitter = rand.New(rand.NewPCG(seed, 3))
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.running.Go(func() {
		if s.boot(ctx, life) {
			s.running.Go(func() { s.keepMoving(ctx) })
			_ = s.quota.Run(ctx, s.accounts)
		}
	})
	f.Unwell(time.Now().Add(settledSoon))
	f.Note("%s starts", s.name)
	time.Sleep(time.Duration(1 + f.Choose(1000)))
	synctest.Wait()
}

// boot brings the log to the store and reads what was spent, as often as it takes.
func (s *server) boot(ctx context.Context, life int) bool {
	f := s.f
	var spent map[spentAt]int64
	for try := s.move(ctx); ; try = s.move(ctx) {
		if try == nil {
			reading, cancel := context.WithTimeout(ctx, roundWithin)
			try = s.disk.Read(reading, func(c *content) { spent = c.clone().spent })
			cancel()
		}
		if try == nil {
			break
		}
		if time.Sleep(time.Second); ctx.Err() != nil {
			return false
		}
	}
	quota := newQuota(simulated{s.link, s.name}, Config{Server: s.name, DeniedFor: f.memory})
	accounts := account.New(account.Config{Memory: 1, Cost: ledger.Cost, Quota: drawers{s, quota, rand.New(rand.NewPCG(uint64(life), 5))}})
	for at, cost := range spent {
		if at.token == "" {
			continue // the organisation's is the sum of its tokens'
		}
		count := accounts.CountOthers
		if at.server == s.name {
			count = accounts.Count
		}
		count(at.org, at.token, time.Unix(at.day*86400, 0), fleet.NanoUSD(cost))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	accounts.SetBudget(faultsOrg, "", f.budget)
	if f.own.Limit > 0 {
		accounts.SetBudget(faultsOrg, "t0", f.own)
	}
	if s.life != life {
		return false
	}
	s.quota, s.accounts, s.up, s.since = quota, accounts, true, time.Now()
	return true
}

// drawers are those of a server who draw. What they are answered at once, they hear one after the other.
type drawers struct {
	s      *server
	quota  *Quota
	jitter *rand.Rand
}

func (d drawers) Draw(of account.Period, until time.Time) bool {
	d.s.f.mu.Lock()
	late := time.Duration(1 + d.jitter.IntN(5000))
	d.s.f.mu.Unlock()
	began := time.Now()
	got := d.quota.Draw(of, until)
	if now := time.Now(); !got && now.After(began) && of.Org == faultsOrg {
		d.s.f.mu.Lock()
		d.s.denied = now
		d.s.f.mu.Unlock()
	}
	time.Sleep(late)
	return got
}

func (d drawers) Wake(org string) { d.quota.Wake(org) }

// keepMoving brings the log to the store now and then.
func (s *server) keepMoving(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(400_000_000 + s.jitter.IntN(400_000_000)))
		s.f.mu.Lock()
		late := time.Now().Before(s.late)
		s.f.mu.Unlock()
		if !late && ctx.Err() == nil {
			_ = s.move(ctx)
		}
	}
}

// move brings the log to the store, each record once.
func (s *server) move(ctx context.Context) error {
	f := s.f
	f.mu.Lock()
	log, name := slices.Clone(s.log), s.name
	f.mu.Unlock()
	if len(log) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	err := s.disk.Write(ctx, func(tx *faultsim.Tx[content]) error {
		if err := tx.Lock(ctx, "writer"); err != nil {
			return err
		}
		return tx.Change(ctx, func(c *content) {
			for _, r := range log {
				if r.number <= c.moved[name] {
					continue
				}
				c.moved[name] = r.number
				for _, token := range []string{"", r.token} {
					c.spent[spentAt{spentKey{faultsOrg, token, r.day}, name}] += r.cost
				}
			}
		})
	})
	if err == nil {
		f.mu.Lock()
		s.log = slices.DeleteFunc(s.log, func(r record) bool { return r.number <= log[len(log)-1].number })
		f.mu.Unlock()
	}
	return err
}

// order is a request that comes.
type order struct {
	token        string
	gpus         int
	waits, runs  time.Duration // for its engine, and on it
	proven       time.Duration // after its dispatch; 0 = before
	free, strict bool          // its engine fails: nobody pays; nothing fails
}

// least is what its first microsecond costs.
func (o order) least() int64 { return 1000 * int64(o.gpus) }

// come has a request come to a server.
func (f *faults) come(s *server) {
	o := order{
		token: fmt.Sprint("t", f.Choose(2)), gpus: 1 + 3*f.Choose(2), waits: time.Duration(f.Choose(2000)) * time.Millisecond, runs: time.Duration(f.Choose(40_000))*time.Millisecond + time.Duration(f.Choose(2000)),
		free: f.Choose(8) == 0, strict: f.Healthy(time.Now()) && f.names == len(f.servers),
	}
	if f.Choose(3) == 0 {
		o.runs = time.Duration(f.Choose(3000)) // a few nano-dollars
	}
	if f.Choose(4) == 0 {
		o.waits = 0
	}
	if f.Choose(4) == 0 {
		o.proven = time.Duration(f.Choose(1000)) * time.Millisecond
	}
	f.clients.Go(func() { f.serve(s, o) })
	time.Sleep(time.Duration(1 + f.Choose(1000)))
	synctest.Wait()
}

// serve serves one request.
func (f *faults) serve(s *server, o order) {
	f.mu.Lock()
	up, life, accounts := s.up, s.life, s.accounts
	f.mu.Unlock()
	if !up {
		return
	}
	charge, rate := new(account.Charge), perNano(o.gpus)
	if err := accounts.Admit(charge, &account.Claim{Org: faultsOrg, Token: o.token}, nil); err != nil {
		panic(err)
	}
	defer charge.Settle()
	if ok, _ := f.ask(s, life, o, func() error { return charge.MaySpend(rate) }); !ok {
		return
	}
	admitted := time.Now()
	time.Sleep(o.waits)
	r := &request{gpus: o.gpus, done: make(chan struct{}), cut: make(chan struct{})}
	ok, called := f.ask(s, life, o, func() error { return charge.Spend(rate, o.proven == 0, r) })
	if !ok {
		return
	}
	sent := time.Now()
	day := sent.Unix() / 86400
	charge.Dispatched(sent)
	f.mu.Lock()
	if s.life != life {
		f.mu.Unlock()
		return
	}
	r.alone = len(s.open) == 0 && admitted.Unix()/86400 == day
	for _, other := range s.open {
		other.alone = false
	}
	s.open = append(s.open, r)
	if admitted.Unix()/86400 != day {
		f.Count("a request was dispatched in another period than it was admitted in")
	}
	spends := f.admitted(day, o.least(), called)
	r.spends = spends
	if o.proven == 0 {
		r.from = sent
	}
	f.mu.Unlock()
	from := sent
	if o.proven > 0 {
		time.Sleep(o.proven)
		from = time.Now()
		charge.Proven(from)
		f.mu.Lock()
		r.from = from
		f.mu.Unlock()
	}
	over := time.NewTimer(o.runs)
	defer over.Stop()
	select {
	case <-over.C:
	case <-r.done:
	case <-r.cut:
		f.Count("a request was ended by its budget")
	}
	ends := time.Now()
	billed := from
	if o.free {
		charge.Unspend()
	} else {
		billed = charge.Bill(sent, from, ends)
	}
	took := time.Since(ends)
	f.mu.Lock()
	defer f.mu.Unlock()
	if took > answeredSoon {
		f.Broke("%s billed a request after %s", s.name, took)
	}
	if s.life != life {
		return // it has died with its server
	}
	spent := spell{from, billed, o.gpus}
	cost := spent.cost()
	s.open = slices.DeleteFunc(s.open, func(other *request) bool { return other == r })
	if cost == 0 && !o.free && ends.Sub(from) >= time.Microsecond {
		f.Count("a request was let in, and billed nothing")
		if r.alone && f.changed.Before(sent.Add(-changedWithin)) && f.budget.Raise.Until.Before(sent) && f.own.Raise.Until.Before(sent) {
			f.Broke("%s let a request in, alone, and bills it nothing for %s", s.name, ends.Sub(from))
		}
	}
	if cost > 0 {
		s.logged++
		s.log = append(s.log, record{s.logged, o.token, day, cost})
		f.bill(s, o.token, day, spent)
	}
	f.ended(spends, cost, o.free)
}

// occupy has a server look at another organisation's budget all the time, until a moment: it changes, as many do that are set by a program.
func (f *faults) occupy(s *server, until time.Time, random *rand.Rand) {
	f.mu.Lock()
	life, accounts, up := s.life, s.accounts, s.up
	f.mu.Unlock()
	for k := 0; up && time.Now().Before(until); k++ {
		accounts.SetBudget(othersOrg, "", account.Budget{Limit: fleet.NanoUSD(time.Minute) + fleet.NanoUSD(k%2), Period: "daily", Window: daily})
		if k == 0 {
			charge := new(account.Charge)
			if err := accounts.Admit(charge, &account.Claim{Org: othersOrg, Token: "t"}, nil); err != nil {
				panic(err)
			}
			_ = charge.MaySpend(perNano(1)) // so that there is a block of it
			charge.Settle()
		}
		time.Sleep(time.Duration(42_000_000 + random.IntN(8_000_000)))
		f.mu.Lock()
		up = s.up && s.life == life
		f.mu.Unlock()
	}
}

// ask asks whether there is something left for a request, and gives the moment at which it did. What is less than its first microsecond costs is of no use to it.
func (f *faults) ask(s *server, life int, o order, do func() error) (ok bool, called int64) {
	f.mu.Lock()
	if s.life != life {
		f.mu.Unlock()
		return false, 0
	}
	began := time.Now()
	called = f.Tick()
	f.mu.Unlock()
	err := do()
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	if took > answeredSoon {
		f.Broke("%s answered a request after %s", s.name, took)
	}
	if s.life != life {
		return false, 0
	}
	if err == nil {
		if took > 0 {
			f.Count("a block was drawn from others")
		}
		return true, called
	}
	f.Count("a request was refused")
	why := (*account.BudgetError)(nil)
	if !errors.As(err, &why) {
		f.Broke("%s: %v", s.name, err)
		return false, 0
	}
	atOnce := took < time.Second-10*time.Millisecond
	if atOnce {
		f.Count("a request was refused at once")
	}
	known := f.memory > 0 && began.Before(s.denied.Add(f.memory+time.Millisecond))
	if why.Token == "" {
		f.Did(&op{kind: opRefused, day: began.Unix() / 86400, least: o.least(), debts: f.debts(), limit: int64(f.budget.Limit), strict: o.strict && atOnce && !known && f.Healthy(began)}, called)
	}
	return false, 0
}

// debts gives what those who run owe at this moment, the microsecond that has begun included; mu is held.
func (f *faults) debts() (all []debt) {
	for _, s := range f.servers {
		for _, r := range s.open {
			now := spell{r.from, time.Now().Add(time.Microsecond), r.gpus}
			if r.from.IsZero() {
				now.until = now.from
			}
			all = append(all, debt{r.spends, now.cost()})
		}
	}
	return all
}
