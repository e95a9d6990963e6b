package joined_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

const (
	servesIn   = silentMost + 10*time.Second           // after the last fault
	answeredIn = 2*maxWait + hangMost + 30*time.Second // after the last fault, and the last request
	restIn     = 2 * time.Minute                       // then no engine is awake
	movedIn    = 15 * time.Second                      // then all records are in the database
)

// calm ends all faults. After stated times all is answered, all is billed, each model can be had, and nothing is awake.
func (w *world) calm() {
	w.Note("calm")
	w.heal()
	for _, s := range w.servers {
		if s.life == nil {
			<-s.last.ended
			w.start(s)
		}
	}
	time.Sleep(settledSoon + faultsim.LateMost)
	w.wantServing()
	w.wantAnswered()
	for _, l := range w.lives() {
		w.wantServed(l)
	}
	time.Sleep(movedIn)
	w.wantRecords()
	w.wantMeters()
	w.wantRest()
	w.settle()
}

func (w *world) heal() {
	w.database.Heal()
	w.lock.Heal()
	w.engines.Heal()
	w.net.heal()
	w.engines.mu.Lock()
	w.engines.fails = time.Time{}
	w.engines.mu.Unlock()
	for _, s := range w.servers {
		s.disk.SetFull(false)
		if l := s.life; l != nil {
			l.way.Heal()
			l.lockWay.Heal()
			l.engineWay.Heal()
		}
	}
}

// wantServing holds that all servers are there.
func (w *world) wantServing() {
	for by := time.Now().Add(servesIn); ; time.Sleep(time.Second) {
		k := slices.IndexFunc(w.servers, func(s *server) bool { return !s.life.serves.Load() })
		if k < 0 {
			return
		}
		if time.Now().After(by) {
			w.Broke("server %d does not serve %s after the last fault", k, servesIn)
			return
		}
	}
}

// wantAnswered holds that all who ask have their answer in a stated time.
func (w *world) wantAnswered() {
	for by := time.Now().Add(answeredIn); ; time.Sleep(time.Second) {
		n, first := 0, ""
		for _, l := range w.lives() {
			for _, x := range l.requests() {
				n++
				first = fmt.Sprintf("one of %s for %s at %s since %s", x.o.org, x.o.model, l.name, time.Since(x.began))
			}
		}
		if n == 0 {
			return
		}
		if time.Now().After(by) {
			w.Broke("%d are not answered %s after the last fault: %s", n, answeredIn, first)
			return
		}
	}
}

// wantServed holds that each model can be had at a server, by who has a budget left.
func (w *world) wantServed(l *life) {
	for _, m := range w.models {
		o := order{org: "free", token: "t9", model: m.ID, first: time.Millisecond, runs: time.Second}
		x := w.newExchange(l, &o)
		got := x.serve()
		if got == notServed { // it may be that its starts have failed of late
			time.Sleep(2 * time.Minute)
			x = w.newExchange(l, &o)
			got = x.serve()
		}
		if got != served {
			w.Broke("%s cannot be had at server %d after the last fault: %s", m.ID, l.s.n, got)
		}
	}
}

// wantRest holds that no engine is awake that nobody needs.
func (w *world) wantRest() {
	for by := time.Now().Add(restIn); ; time.Sleep(time.Second) {
		awake := ""
		w.engines.mu.Lock()
		for _, e := range w.engines.all {
			if !e.gone && !e.sleeps() {
				awake = fmt.Sprintf("%s of %s is %s", e.ID, e.Model, e.State)
			}
			if len(e.calls) > 0 {
				awake = fmt.Sprintf("%s of %s serves %d", e.ID, e.Model, len(e.calls))
			}
		}
		w.engines.mu.Unlock()
		if awake == "" {
			break
		}
		if time.Now().After(by) {
			w.Broke("%s after the last request %s", restIn, awake)
			return
		}
	}
	for _, l := range w.lives() {
		for _, of := range tokens {
			if u := l.accounts.Usage(of.Org); u != (account.Usage{}) || l.accounts.Requests(of.Token) != 0 {
				w.Broke("server %d holds %+v of %s, and %d of %s, with no request", l.s.n, u, of.Org, l.accounts.Requests(of.Token), of.Token)
			}
		}
	}
}

// wantRecords holds that what was appended is in the database once, and what was withheld is not, and that the sums from which budgets are drawn are theirs.
func (w *world) wantRecords() {
	all := w.lives()
	if len(all) == 0 {
		return
	}
	found, sums := map[string]int{}, map[account.Limited]fleet.NanoUSD{}
	for cursor := ""; ; {
		page, err := all[0].ledger.Records(context.Background(), "", cursor, ledger.MaxRecordsLimit)
		if err != nil {
			w.Broke("looking at the records: %v", err)
			return
		}
		for k := range page.Records {
			r := &page.Records[k]
			found[r.ID]++
			sums[account.Limited{Org: r.Org, Token: r.TokenID}] += r.Cost
			if mine := w.records[r.ID]; mine == nil || mine.Cost != r.Cost || mine.Status != r.Status {
				w.Broke("record %s of %s costs %s in the database, and was appended as %+v", r.ID, r.Org, r.Cost, mine)
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for id, r := range w.records {
		if n := found[id]; n > 1 || n == 0 && r.err == nil || n > 0 && r.err != nil {
			w.Broke("record %s, which was appended with %v, is there %d times", id, r.err, n)
		}
	}
	err := all[0].ledger.Spent(context.Background(), time.Now().AddDate(0, 0, -31), func(d ledger.Spent) {
		sums[account.Limited{Org: d.Org, Token: d.TokenID}] -= d.Cost
	})
	if err != nil {
		w.Broke("adding up what was spent: %v", err)
	}
	for of, left := range sums {
		if left != 0 {
			w.Broke("the records of %s/%s cost %s more than what servers have spent of its budget", of.Org, of.Token, left)
		}
	}
}

// wantMeters holds that every server knows to the nano-dollar what was spent of each budget.
func (w *world) wantMeters() {
	w.mu.Lock()
	defer w.mu.Unlock()
	day := time.Now().Unix() / 86400
	for of := range w.budgets {
		want := w.spent[account.Period{Org: of.Org, Token: of.Token, From: day, To: day + 1}]
		for _, l := range w.lives() {
			if b, ok := l.accounts.Balance(of.Org, of.Token); !ok || b.Spent != want {
				w.Broke("server %d says that %s were spent of the budget of %s/%s, and the records say %s", l.s.n, b.Spent, of.Org, of.Token, want)
			}
		}
	}
}

// end ends all that still runs.
func (w *world) end() {
	w.heal()
	for _, s := range w.servers {
		if s.life != nil {
			w.crash(s)
		}
	}
	w.clients.Wait()
	w.running.Wait()
	time.Sleep(hangMost + faultsim.LateMost)
}
