package shares

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestFaults plays histories of servers that share limits by a simulated store, in virtual time: transactions are lost, answered to nobody or committed late, the
// store is away or slow, servers are cut off from it, crash, and start again on their log or without it. See faultsim.
func TestFaults(t *testing.T) {
	if storetest.OnPostgres() {
		return
	}
	faultsim.Run(t, faultsim.World{Play: func(tape *faultsim.Tape) error {
		f := &faults{SharedHistory: faultsim.SharedHistory[content]{BubbleHistory: faultsim.BubbleHistory{
			History: faultsim.History{Tape: tape}, Settles: settledSoon,
			Faults: []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 5*time.Minute + 12*time.Second, 6 * time.Minute},
		}}}
		return f.PlayBubble(t, f.play, limitModel, "who was admitted and who was refused")
	}, Rare: []string{
		"reached: a transaction was lost", "reached: a commit's answer was lost", "reached: a commit was on its way when its server gave it up", "reached: a transaction waited for a row",
		"reached: a server was given up", "reached: a server that was given up had requests that ran on", "reached: requests ran beyond a lowered limit",
		"reached: all of a limit was had at one server", "reached: a dead server's shares were had", "reached: a request was refused at once", "reached: a request waited for a share, and got it",
		"reached: a request was admitted in the last seconds of its server's lease",
	}}, 60, 8)
}

// faults is one history.
type faults struct {
	faultsim.SharedHistory[content]
	servers []*server
	names   int
	clients sync.WaitGroup
	limits  map[account.Limited]int
	most    map[account.Limited]int // that a limit has been

	mu      sync.Mutex               // guards all below, and the servers' requests
	known   map[string]bool          // servers that the store knew after the last commit
	beats   map[string]int64         // of servers, as the store had them then
	heard   map[string]time.Time     // when those were last others
	left    map[string]bool          // those that have ended in order
	orphans map[account.Limited]int  // requests that ever ran on when their server was given up
	raised  map[account.Limited]bool // limits that have been made higher
}

// server is one of them, over its lives.
type server struct {
	f    *faults
	name string
	up   bool

	// Of a life.
	link     *faultsim.Link[content]
	accounts *account.Accounts
	shares   *Shares
	end      context.CancelFunc
	running  sync.WaitGroup
	jitter   *rand.Rand
	open     []*request
}

// request is one that was admitted, and has not ended.
type request struct {
	at     *server
	charge *account.Charge
	token  string
	limits map[account.Limited]int // that it was admitted under
	orphan bool                    // the others have given its server up
	done   chan struct{}
}

const (
	faultsOrg   = "acme"
	askAtMost   = 50*time.Millisecond + 10*time.Microsecond // that a request waits for a share
	settledSoon = 8 * time.Second                           // after the last fault, what live servers hold is where it can be had
	goneFor     = goneAfter + settledSoon                   // the same of dead ones
)

func (f *faults) play() error {
	f.beats, f.heard = map[string]int64{}, map[string]time.Time{}
	f.known, f.left, f.orphans, f.raised = map[string]bool{}, map[string]bool{}, map[account.Limited]int{}, map[account.Limited]bool{}
	f.Store = faultsim.NewDatabase(newContent(), (*content).clone, f.Count, f.look)
	f.limits = map[account.Limited]int{{Org: faultsOrg}: 1 + f.Choose(9)}
	if f.Choose(2) == 0 {
		f.limits[account.Limited{Org: faultsOrg, Token: "t0"}] = 1 + f.Choose(5)
	}
	f.most = map[account.Limited]int{}
	for of, limit := range f.limits {
		f.most[of] = limit
	}
	for range 2 + f.Choose(2) {
		f.servers = append(f.servers, &server{f: f})
	}
	for _, s := range f.servers {
		f.name(s)
		f.start(s)
	}
	return f.Play(f.chooseKinds(), f.calmDown, f.close)
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
		{Name: "server cut off", Do: f.stepCut},
		{Name: "transactions lost", Do: f.stepLossy},
		{Name: "notifications lost", Do: f.stepDeaf},
		{Name: "server crashes", Do: f.stepCrash},
		{Name: "server stops", Do: f.stepStop},
		{Name: "server starts", Do: f.stepStart},
		{Name: "log lost", Do: f.stepLoseLog},
		{Name: "limit changes", Do: f.stepLimit},
	}...)...)
}

// name gives a server another log, and so another name.
func (f *faults) name(s *server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names++
	s.name = fmt.Sprint("s", f.names)
}

// start begins a life of a server.
func (f *faults) start(s *server) {
	seed := uint64(f.Choose(1 << 30))
	ctx, cancel := context.WithCancel(context.Background())
	f.mu.Lock()
	s.link = f.Store.Link(seed)
	s.shares = newShares(simulated{s.link}, Config{Server: s.name})
	s.jitter = rand.New(rand.NewPCG(seed, 3))
	s.accounts = account.New(account.Config{Memory: 1, Shares: askers{s}})
	s.end, s.up, s.open = cancel, true, nil
	delete(f.left, s.name)
	f.mu.Unlock()
	life, accounts := s.shares, s.accounts
	s.running.Go(func() { _ = life.Run(ctx, accounts) })
	synctest.Wait() // before anything else happens
	f.Unwell(time.Now().Add(2 * time.Second))
	f.Note("%s starts", s.name)
}

// askers are the requests of a server that ask for a share. What they are answered at once, they hear one after the other.
type askers struct{ s *server }

func (a askers) Ask(of account.Limited, until time.Time) bool {
	a.s.f.mu.Lock()
	late, shares := time.Duration(1+a.s.jitter.IntN(5000)), a.s.shares
	a.s.f.mu.Unlock()
	got := shares.Ask(of, until)
	time.Sleep(late)
	return got
}

// find gives a server that is up or is not, if there is one.
func (f *faults) find(up bool) *server {
	return faultsim.PickWhere(f.Tape, f.servers, func(s *server) bool { return s.up == up })
}

func (f *faults) stepCome() {
	for range faultsim.Pick(f.Tape, []int{1, 2, 3, 9}) {
		if s := f.find(true); s != nil {
			runs := time.Duration(f.Choose(40_000)) * time.Millisecond
			if f.Choose(5) == 0 {
				runs *= 20
			}
			f.come(s, runs)
		}
	}
}

// come has a request ask at a server, and run for a while if it is admitted.
func (f *faults) come(s *server, runs time.Duration) {
	token := fmt.Sprint("t", f.Choose(2))
	claim := account.Claim{
		Org: faultsOrg, Token: token, OrgLimits: account.Limits{Concurrency: f.limits[account.Limited{Org: faultsOrg}]},
		TokenLimits: account.Limits{Concurrency: f.limits[account.Limited{Org: faultsOrg, Token: token}]},
	}
	strict := f.Healthy(time.Now())
	f.clients.Go(func() {
		if r := s.begin(&claim, strict); r != nil {
			select {
			case <-time.After(runs):
			case <-r.done:
			}
			s.finish(r)
		}
	})
	time.Sleep(time.Duration(1 + f.Choose(100_000)))
	synctest.Wait()
}

// begin gives nil where the request is refused.
func (s *server) begin(claim *account.Claim, strict bool) *request {
	f, accounts := s.f, s.accounts
	began, called := time.Now(), f.Tick()
	r := &request{at: s, charge: new(account.Charge), token: claim.Token, done: make(chan struct{}), limits: map[account.Limited]int{
		{Org: faultsOrg}: claim.OrgLimits.Concurrency, {Org: faultsOrg, Token: claim.Token}: claim.TokenLimits.Concurrency,
	}}
	err := accounts.Admit(r.charge, claim, nil)
	took := time.Since(began)
	strict = strict && f.Healthy(began) // and nothing has failed since
	f.mu.Lock()
	defer f.mu.Unlock()
	if took > askAtMost {
		f.Broke("%s answered a request after %s", s.name, took)
	}
	if s.accounts != accounts || !s.up {
		return nil // nobody hears of it
	}
	if err != nil {
		refusal := (*account.LimitError)(nil)
		if !errors.As(err, &refusal) {
			f.Broke("%s: %v", s.name, err)
			return nil
		}
		if took < time.Millisecond*49 {
			f.Count("a request was refused at once")
		}
		if !refusal.OfToken {
			atOnce := took < 49*time.Millisecond && f.orphans[account.Limited{Org: faultsOrg}] == 0 // what runs on counts at its server
			f.Did(op{kind: opRefused, limit: claim.OrgLimits.Concurrency, strict: strict && atOnce}, called)
		}
		return nil
	}
	if took > 0 {
		f.Count("a request waited for a share, and got it")
	}
	if time.Since(f.heard[s.name]) > leaseFor-10*time.Second {
		f.Count("a request was admitted in the last seconds of its server's lease")
	}
	s.open = append(s.open, r)
	f.Did(op{kind: opAdmitted, limit: claim.OrgLimits.Concurrency, raised: f.raised[account.Limited{Org: faultsOrg}]}, called)
	f.checkAdmitted(r, claim)
	return r
}

// checkAdmitted holds that a request may have been admitted; mu is held.
func (f *faults) checkAdmitted(r *request, claim *account.Claim) {
	for of, limit := range map[account.Limited]int{{Org: faultsOrg}: claim.OrgLimits.Concurrency, {Org: faultsOrg, Token: r.token}: claim.TokenLimits.Concurrency} {
		if limit == 0 {
			continue
		}
		all, here := 0, 0
		for _, s := range f.servers {
			for _, other := range s.open {
				if (of.Token == "" || of.Token == other.token) && !other.orphan && (!f.raised[of] || other.limits[of] <= limit) {
					all++
					if s == r.at {
						here++
					}
				}
			}
		}
		if all > limit {
			f.Broke("%s admitted request %d at once of %s, more than its limit of %d", r.at.name, all, whose(of), limit)
		}
		f.Store.Look(func(c *content) {
			if has := c.shares[of][r.at.name].share; here > has {
				f.Broke("%s admitted request %d of %s, of which the store gives it %d", r.at.name, here, whose(of), has)
			}
		})
	}
}

func whose(of account.Limited) string {
	if of.Token == "" {
		return "the organisation"
	}
	return "its token"
}

func (s *server) finish(r *request) {
	f := s.f
	f.mu.Lock()
	k := slices.Index(s.open, r)
	if k < 0 {
		f.mu.Unlock()
		return // its server has died
	}
	s.open = slices.Delete(s.open, k, k+1)
	if !r.orphan {
		f.Did(op{kind: opEnded}, f.Tick())
	}
	f.mu.Unlock()
	r.charge.Settle()
}

func (f *faults) stepEnd() {
	s := f.find(true)
	if s == nil {
		return
	}
	f.mu.Lock()
	open := slices.Clone(s.open)
	f.mu.Unlock()
	for _, r := range open {
		if f.Choose(2) == 0 {
			f.endOne(r)
		}
	}
}

func (f *faults) endOne(r *request) {
	f.mu.Lock()
	over := !slices.Contains(r.at.open, r)
	f.mu.Unlock()
	if over {
		return
	}
	close(r.done)
	synctest.Wait()
	time.Sleep(time.Duration(1 + f.Choose(1000)))
}

func (f *faults) stepMinutes() {
	if f.Choose(3) == 0 {
		time.Sleep(faultsim.Pick(f.Tape, []time.Duration{20 * time.Second, time.Minute, leaseFor - 5*time.Second, leaseFor + 5*time.Second, leaseFor + 30*time.Second}))
	}
}

func (f *faults) stepCut() { f.fault((*faultsim.Link[content]).Away) }

func (f *faults) stepLossy() { f.fault((*faultsim.Link[content]).Lossy) }

func (f *faults) stepDeaf() { f.fault((*faultsim.Link[content]).Deaf) }

func (f *faults) fault(do func(*faultsim.Link[content], time.Time)) {
	if s := f.find(true); s != nil {
		f.Note("  %s", s.name)
		do(s.link, f.Until())
	}
}

func (f *faults) stepCrash() {
	if s := f.find(true); s != nil {
		f.crash(s)
	}
}

// crash ends a server without a word, and its requests with it.
func (f *faults) crash(s *server) {
	f.Note("  %s", s.name)
	s.link.Die()
	f.mu.Lock()
	s.up = false
	for _, r := range s.open {
		if !r.orphan {
			f.Did(op{kind: opEnded}, f.Tick())
		}
	}
	s.open = nil
	f.mu.Unlock()
	s.end()
	f.Unwell(time.Now().Add(time.Hour)) // until it is back, or its shares were taken: see stepStart
}

// stepStop ends a server in order.
func (f *faults) stepStop() {
	if s := f.find(true); s != nil && f.Choose(3) == 0 {
		f.stop(s)
	}
}

func (f *faults) stop(s *server) {
	f.Note("  %s", s.name)
	f.endAll(s)
	f.mu.Lock()
	s.up, f.left[s.name] = false, true
	f.mu.Unlock()
	s.end()
	s.running.Wait()
	f.Unwell(time.Now().Add(settledSoon))
}

func (f *faults) endAll(s *server) {
	f.mu.Lock()
	open := slices.Clone(s.open)
	f.mu.Unlock()
	for _, r := range open {
		f.endOne(r)
	}
}

func (f *faults) stepStart() {
	if s := f.find(false); s != nil {
		s.running.Wait()
		f.start(s)
		if f.allUp() {
			f.UnwellOnly(time.Now().Add(settledSoon)) // what dead ones had is free again
			for _, s := range f.servers {
				f.Unwell(s.link.Unwell().Add(settledSoon))
			}
		}
	}
}

func (f *faults) allUp() bool {
	for _, s := range f.servers {
		if !s.up {
			return false
		}
	}
	return true
}

// stepLoseLog has a server that is down start with another log the next time: what it had is nobody's until it is taken for gone.
func (f *faults) stepLoseLog() {
	if s := f.find(false); s != nil {
		f.name(s)
		f.Unwell(time.Now().Add(goneFor))
	}
}

// stepLimit changes a limit. Who runs goes on; the next that asks is under it.
func (f *faults) stepLimit() {
	of := account.Limited{Org: faultsOrg}
	if f.Choose(3) == 0 {
		of.Token = "t0"
	}
	if f.limits[of] == 0 {
		return
	}
	limit := 1 + f.Choose(9)
	f.Note("  %s: %d", whose(of), limit)
	f.mu.Lock()
	defer f.mu.Unlock()
	if limit < f.limits[of] {
		n := 0
		for _, s := range f.servers {
			n += len(s.open)
		}
		if n > limit {
			f.Count("requests ran beyond a lowered limit")
		}
	}
	f.raised[of] = f.raised[of] || limit > f.limits[of] // what was admitted under the higher one runs on beside shares of the lower
	f.limits[of], f.most[of] = limit, max(f.most[of], limit)
	f.Unwell(time.Now().Add(settledSoon))
}

// look is called after each commit.
func (f *faults) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Store.Look(f.lookAt)
}

// lookAt is look's; mu is held.
func (f *faults) lookAt(now *content) {
	for name, was := range f.known {
		if _, is := now.beats[name]; was && !is && !f.left[name] {
			f.Count("a server was given up")
		}
	}
	for _, s := range f.servers {
		if _, is := now.beats[s.name]; f.known[s.name] && !is && s.up {
			f.orphan(s)
		}
	}
	clear(f.known)
	for name, beats := range now.beats {
		f.known[name] = true
		if f.beats[name] != beats {
			f.beats[name], f.heard[name] = beats, time.Now()
		}
	}
	for of, most := range f.most {
		if sum := now.sum(of); sum > most+f.orphans[of] {
			f.Broke("the shares of %s are %d in all, more than its limit of %d and the %d that ran on", whose(of), sum, most, f.orphans[of])
		}
	}
}

// orphan has the requests of a server that was given up run on beside the limit.
func (f *faults) orphan(s *server) {
	for _, r := range s.open {
		if r.orphan {
			continue
		}
		r.orphan = true
		f.Count("a server that was given up had requests that ran on")
		f.orphans[account.Limited{Org: faultsOrg}]++
		f.orphans[account.Limited{Org: faultsOrg, Token: r.token}]++
		f.Did(op{kind: opEnded}, f.Tick())
	}
}

// calmDown ends all faults. After a stated time all of each limit can be had, whoever asks.
func (f *faults) calmDown() {
	f.Note("calm")
	f.Store.Heal()
	dead := f.names > len(f.servers)
	for _, s := range f.servers {
		s.link.Heal()
		if !s.up && (f.Choose(3) > 0 || f.find(true) == nil) {
			s.running.Wait()
			f.start(s)
		}
		dead = dead || !s.up
	}
	time.Sleep(faultsim.LateMost)
	for _, s := range f.servers {
		f.endAll(s)
	}
	if time.Sleep(settledSoon); dead {
		f.Count("a dead server's shares were had")
		time.Sleep(goneFor)
	}
	synctest.Wait()
	for range 2 {
		s := f.find(true)
		f.fill(s, "t1", account.Limited{Org: faultsOrg})
		if of := (account.Limited{Org: faultsOrg, Token: "t0"}); f.limits[of] > 0 {
			f.fill(s, "t0", of)
		}
	}
}

// fill has a server take all of a limit.
func (f *faults) fill(s *server, token string, of account.Limited) {
	claim := account.Claim{
		Org: faultsOrg, Token: token, OrgLimits: account.Limits{Concurrency: f.limits[account.Limited{Org: faultsOrg}]},
		TokenLimits: account.Limits{Concurrency: f.limits[account.Limited{Org: faultsOrg, Token: token}]},
	}
	want := min(f.limits[of], claim.OrgLimits.Concurrency)
	var got []*request
	for began := time.Now(); len(got) < want && time.Since(began) < 3*time.Second; time.Sleep(10*time.Millisecond + 7) {
		if r := s.begin(&claim, false); r != nil {
			got = append(got, r)
		}
	}
	if len(got) < want {
		f.Fail("only %d of %s's limit of %d can be had at %s", len(got), whose(of), want, s.name)
	}
	f.Count("all of a limit was had at one server")
	for _, r := range got {
		s.finish(r)
	}
}

// close ends all that still runs.
func (f *faults) close() {
	for _, s := range f.servers {
		if s.up {
			f.stop(s)
		}
		s.running.Wait()
	}
	f.clients.Wait()
	time.Sleep(faultsim.LateMost)
}
