package joined_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/quota"
	"github.com/pilotlight-io/pilotlight/internal/shares"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// server is one of them, over its lives.
type server struct {
	w    *world
	n    int
	dir  string // of its ledger
	disk *faultsim.Disk
	life *life // nil = it is down
	last *life // that may still be ending
}

// life is a server from its start to its end: what `serve` is made of, but for its listeners.
type life struct {
	w         *world
	s         *server
	way       *faultsim.Way // to the database
	lockWay   *faultsim.Way
	engineWay *faultsim.Way

	store     *store.Store
	ledger    *ledger.Ledger
	accounts  *account.Accounts
	quota     *quota.Quota
	shares    *shares.Shares
	activator *activator.Activator
	name      string // of the server: its log's

	leader atomic.Pointer[life]   // who leads, as far as it knows; nil = nobody
	tenure atomic.Pointer[tenure] // nil = it does not lead

	killed  atomic.Bool
	serves  atomic.Bool // callers are let in
	ready   atomic.Bool // it has opened
	kill    context.CancelFunc
	drained chan struct{} // closed when it is to end in order
	drain   sync.Once
	ended   chan struct{}

	seed uint64
	mu   sync.Mutex         // guards what follows
	open map[*exchange]bool // its requests
}

const (
	execTakes   = 20 * time.Millisecond // until a program that was started does anything
	bootAgain   = time.Second
	vouchEvery  = time.Second
	vouchAhead  = 5 * time.Second
	vouchedFor  = 3 * time.Second
	vouchWithin = time.Second
	drainWithin = 30 * time.Second
)

// start begins a life of a server.
func (w *world) start(s *server) {
	seed := uint64(w.Choose(1 << 30))
	ctx, kill := context.WithCancel(context.Background())
	l := &life{
		w: w, s: s, way: w.database.NewWay(seed), lockWay: w.lock.NewWay(seed + 1), engineWay: w.engines.NewWay(seed + 2), kill: kill,
		seed: seed, open: map[*exchange]bool{}, drained: make(chan struct{}), ended: make(chan struct{}),
	}
	l.way.Silent, l.engineWay.Silent, l.lockWay.Silent = silentMost, slotsSilent, lookWithin
	l.way.AtOnce = true // database/sql holds some
	s.life, s.last = l, l
	w.running.Go(func() {
		defer close(l.ended)
		if l.sleep(ctx, execTakes) && l.boot(ctx) {
			l.run(ctx)
		}
		l.close()
	})
	w.Unwell(time.Now().Add(settledSoon))
	w.Note("  server %d starts", s.n)
	time.Sleep(time.Duration(1 + w.Choose(1_000_000)))
}

func (l *life) dead() bool { return l.killed.Load() }

// random gives 0 to n-1 nanoseconds, of the moment: who asks in which order at the same moment is not known.
func (l *life) random(n time.Duration) time.Duration {
	return time.Duration(rand.New(rand.NewPCG(l.seed^uint64(n), uint64(time.Now().UnixNano()))).Int64N(int64(n)))
}

// sleep waits for about a while; false = ctx is done.
func (l *life) sleep(ctx context.Context, d time.Duration) bool {
	return l.pause(ctx, d+l.random(1_000_000))
}

// pause waits; false = ctx is done.
func (l *life) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// boot opens the parts, as often as it takes: the log of the life before is in the database then, and what was spent is known.
func (l *life) boot(ctx context.Context) bool {
	for {
		err := l.openAll(ctx)
		if err == nil {
			l.ready.Store(true)
			l.serves.Store(true)
			return true
		}
		l.w.Count("a server could not open at once")
		l.close()
		l.store, l.ledger = nil, nil
		if !l.sleep(ctx, bootAgain) {
			return false
		}
		select {
		case <-l.drained:
			return false
		default:
		}
	}
}

func (l *life) openAll(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if l.store, err = l.w.database.open(ctx, l.way); err != nil {
		return err
	}
	l.ledger, err = ledger.Open(ctx, ledger.Config{Dir: l.s.dir, Store: l.store, Durability: l.w.durability, Disk: disk{l.s.disk, l}})
	if err != nil {
		return err
	}
	l.name = l.ledger.Server()
	if l.quota, err = quota.New(quota.Config{Store: l.store, Server: l.name, DeniedFor: quota.DeniedFor}); err != nil {
		return err
	}
	if l.shares, err = shares.New(shares.Config{Store: l.store, Server: l.name}); err != nil {
		return err
	}
	l.accounts = account.New(account.Config{Memory: 1 << 20, Cost: ledger.Cost, Quota: drawers{l}, Shares: askers{l}})
	err = l.ledger.Spent(ctx, time.Now().AddDate(0, 0, -31), func(d ledger.Spent) {
		count := l.accounts.Count
		if d.Others {
			count = l.accounts.CountOthers
		}
		count(d.Org, d.TokenID, d.Day, d.Cost)
	})
	if err != nil {
		return err
	}
	for of, b := range l.w.budgets {
		l.accounts.SetBudget(of.Org, of.Token, b)
	}
	l.activator, err = activator.New(activator.Config{
		Backend: guarded{l}, Observers: []activator.Observer{l.backend()}, Policy: l.w.policy(), Models: l.w.models, Pools: []fleet.Pool{l.w.pool},
		Server: l.name, Seed: uint64(l.s.n) + 1, Learn: l.learn,
	})
	return err
}

// learn keeps what an activation took, if it can.
func (l *life) learn(took fleet.Learned) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = l.store.SaveLearned(ctx, took)
}

// drawers are requests that draw from budgets, and askers those that ask for shares. What they are answered at once, they hear one after the other.
type (
	drawers struct{ *life }
	askers  struct{ *life }
)

func (d drawers) Draw(of account.Period, until time.Time) bool {
	late := 1 + d.random(5000)
	got := d.quota.Draw(of, until)
	time.Sleep(late)
	return got
}

func (d drawers) Wake(org string) { d.quota.Wake(org) }

func (a askers) Ask(of account.Limited, until time.Time) bool {
	late := 1 + a.random(5000)
	got := a.shares.Ask(of, until)
	time.Sleep(late)
	return got
}

// run serves until the server is to end, or is killed; then it ends its parts in the order of `serve`.
func (l *life) run(ctx context.Context) {
	stages := []func(context.Context){
		l.contend,
		l.admit,
		l.peer,
		func(ctx context.Context) { _ = l.activator.Run(ctx) },
		func(ctx context.Context) { _ = l.quota.Run(ctx, l.accounts) },
		func(ctx context.Context) { _ = l.shares.Run(ctx, l.accounts) },
		func(ctx context.Context) { _ = l.ledger.Run(ctx) },
	}
	type running struct {
		stop  context.CancelFunc
		ended chan struct{}
	}
	var all []running
	for _, stage := range stages {
		ctx, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		all = append(all, running{stop, ended})
		l.w.running.Go(func() {
			defer close(ended)
			stage(ctx)
		})
		time.Sleep(1 + l.random(100_000))
	}
	select {
	case <-l.drained:
	case <-ctx.Done():
	}
	for _, r := range all {
		r.stop()
		<-r.ended
	}
}

// admit lets callers in until it is to end: then those that wait are answered, and those that run end by themselves, within a while.
func (l *life) admit(ctx context.Context) {
	<-ctx.Done()
	l.serves.Store(false)
	if l.dead() {
		return
	}
	l.activator.Drain()
	for by := time.Now().Add(drainWithin); !l.dead() && len(l.requests()) > 0; time.Sleep(20*time.Millisecond + l.random(1000)) {
		if time.Now().After(by) {
			for _, x := range l.requests() {
				x.leave(errServerEnds)
			}
		}
	}
}

// peer follows who leads, has instances vouched for, and says farewell.
func (l *life) peer(ctx context.Context) {
	looking, blind := context.WithCancel(context.Background())
	var all, looks sync.WaitGroup
	looks.Go(func() { l.look(looking) })
	time.Sleep(1 + l.random(100_000))
	all.Go(func() { l.keepFollowing(ctx) })
	time.Sleep(1 + l.random(100_000))
	all.Go(func() { l.vouch(ctx) })
	all.Wait()
	if !l.dead() {
		l.farewell()
	}
	blind()
	looks.Wait()
}

// look follows who has the lock.
func (l *life) look(ctx context.Context) {
	for {
		if got, err := l.ask(ctx, "look", func() seen { return l.w.lock.look(nil) }); err == nil {
			l.leader.Store(got.at)
		}
		if !l.sleep(ctx, lookEvery) {
			return
		}
	}
}

// vouch has instances' own places asked about them each second, where no table says any more that they may be leased.
func (l *life) vouch(ctx context.Context) {
	for l.sleep(ctx, vouchEvery) {
		activator.ServersOf(l.activator).Vouched(ctx, vouchAhead, vouchedFor, func(ctx context.Context, term uint64, i dispatch.Shared) bool {
			ctx, cancel := context.WithTimeout(ctx, vouchWithin)
			defer cancel()
			return l.backend().vouches(ctx, term, i.Instance)
		})
	}
}

// close lets go of what was opened.
func (l *life) close() {
	if l.ledger != nil {
		_ = l.ledger.Close()
	}
	if l.store != nil {
		_ = l.store.Close()
	}
}

// crash ends a server without a word, and its requests with it.
func (w *world) crash(s *server) {
	l := s.life
	s.life = nil
	w.Note("  server %d", s.n)
	l.way.Die()
	l.lockWay.Die()
	l.engineWay.Die()
	l.killed.Store(true)
	if len(l.requests()) > 0 {
		w.Count("a server died with requests")
	}
	if l.tenure.Load() != nil {
		w.Count("a server died that led")
	}
	for _, x := range l.requests() {
		x.leave(errServerDied)
	}
	l.kill()
	w.Unwell(time.Now().Add(settledSoon))
}

// stop has a server end in order, which it does by itself.
func (w *world) stop(s *server) {
	l := s.life
	s.life = nil
	w.Note("  server %d", s.n)
	if l.tenure.Load() != nil {
		w.Count("a server was stopped that led")
	}
	l.drain.Do(func() { close(l.drained) })
	w.Unwell(time.Now().Add(drainWithin + settledSoon))
}

// over reports whether the server's last life has ended.
func (s *server) over() bool {
	select {
	case <-s.last.ended:
		return true
	default:
		return false
	}
}

// disk is a server's disk as one life of it has it.
type disk struct {
	*faultsim.Disk
	of *life
}

func (d disk) dead() error {
	if d.of.dead() {
		return faultsim.ErrOff
	}
	return nil
}

func (d disk) Create(path string, size int64) (ledger.File, error) {
	if err := d.dead(); err != nil {
		return nil, err
	}
	f, err := d.Disk.Create(path, size)
	return file{f, d}, err
}

func (d disk) Open(path string) (ledger.File, error) {
	if err := d.dead(); err != nil {
		return nil, err
	}
	f, err := d.Disk.Open(path)
	return file{f, d}, err
}

func (d disk) Link(from, to string) error {
	if err := d.dead(); err != nil {
		return err
	}
	return d.Disk.Link(from, to)
}

func (d disk) Remove(path string) error {
	if err := d.dead(); err != nil {
		return err
	}
	return d.Disk.Remove(path)
}

// file is a file of it.
type file struct {
	*faultsim.File
	of disk
}

func (f file) WriteAt(b []byte, at int64) (int, error) {
	if err := f.of.dead(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f file) Sync() error {
	if err := f.of.dead(); err != nil {
		return err
	}
	return f.File.Sync()
}

// newServer makes a server that is down. Its name is not left to chance: who is first among equals goes by names.
func (w *world) newServer(n int) (*server, error) {
	s := &server{w: w, n: n, dir: filepath.Join(w.dir, fmt.Sprint("ledger", n)), disk: faultsim.NewDisk(rand.New(rand.NewPCG(uint64(w.Choose(1<<30)), 9)))}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	return s, os.WriteFile(filepath.Join(s.dir, "server"), []byte(fmt.Sprint("server-", n)), 0o600)
}

// keeper is the fixed policy that wishes parked what can be.
type keeper struct{ activator.Policy }

func (k keeper) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	d := k.Policy.Decide(now, v)
	d.Parked, d.ParkedValue = 1, float64(len(v.Model.ID))
	return d
}

func (w *world) policy() activator.Policy {
	fixed := autoscaler.NewFixed(autoscaler.FixedConfig{})
	if !w.engines.parks {
		return fixed
	}
	return keeper{fixed}
}
