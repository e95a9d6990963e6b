package activator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// world is a machine of 8 GPUs whose engines are timers, around a real activator with the fixed policy, in virtual time.
type world struct {
	*testing.T
	a    *activator.Activator
	stop context.CancelFunc
	done chan error

	began     time.Time
	startTime time.Duration
	stopTime  time.Duration
	parkTime  time.Duration
	wakeTime  time.Duration
	proofTime time.Duration // from ready until an engine that was resumed has made a token; 0 = it has by then
	gpus      int
	noParking bool // the engines offer none
	counts    bool // the engines say how many requests they serve: the leases that tests hold
	slotTime  time.Duration
	added     []fleet.Slot
	refuseAdd int            // slots that the back end will refuse
	cutOff    string         // a slot whose supervisor cannot be reached by orders
	unplaced  fleet.Unplaced // why slots that are asked for find no node; "" = they do

	mu        sync.Mutex
	engines   map[string]*engine // instance ID -> engine
	order     []*engine
	listener  func(fleet.Observation)
	news      []fleet.Observation // what it will be told, in order
	speaking  sync.Mutex          // held while it is told: an older observation never comes after a newer one
	failNext  map[string]int      // model -> starts that will fail
	refuse    map[string]int      // model -> launches that the back end will refuse
	hang      map[string]bool
	failWake  map[string]string // model -> how its next resume fails: for good ("lost"), for memory ("short"), or both
	refuseAct map[fleet.ActKind]int
	launches  map[string]int
	resumes   map[string]int
	reserved  fleet.Bytes    // of the last launch: what it leaves free for parked engines
	leases    map[string]int // instance ID -> leases held by the test
	deaf      bool           // the observer is lost
	lost      []context.CancelFunc
}

type engine struct {
	fleet.Instance
	phase  fleet.Phase
	act    uint64
	parked bool // when it was told to stop
	gone   bool

	unproven bool
}

func model(id string, gpus int, change ...func(*fleet.Model)) *fleet.Model {
	m := &fleet.Model{
		ID: id, GPUs: gpus, MaxConcurrency: 4, IdleAfter: 30 * time.Second, Instances: fleet.Range{Max: 4},
		Queue: fleet.QueueLimits{Limit: 2048, PerOrg: 1024, MaxWait: 9 * time.Minute}, Timeouts: fleet.Timeouts{Start: 10 * time.Minute},
	}
	for _, f := range change {
		f(m)
	}
	return m
}

// inWorld runs a test in virtual time with a world that serves the models.
func inWorld(t *testing.T, models []*fleet.Model, test func(*world), change ...func(*activator.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := activator.Config{Models: models, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Seed: 1}
		for _, f := range change {
			f(&cfg)
		}
		w.run(cfg)
		defer func() { w.stop() }()
		test(w)
		w.stop()
		if err := <-w.done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func newWorld(t *testing.T) *world {
	return &world{
		T: t, began: time.Now(), startTime: 20 * time.Second, stopTime: time.Second, parkTime: 2 * time.Second, wakeTime: 3 * time.Second, gpus: 8,
		refuseAct: make(map[fleet.ActKind]int), failWake: make(map[string]string), resumes: make(map[string]int), engines: make(map[string]*engine),
		failNext: make(map[string]int), refuse: make(map[string]int), hang: make(map[string]bool),
		launches: make(map[string]int), leases: make(map[string]int), done: make(chan error, 1),
	}
}

// run starts an activator of the config around this world.
func (w *world) run(cfg activator.Config) {
	w.Helper()
	cfg.Backend, cfg.Observers = w, []activator.Observer{w}
	a, err := activator.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.a = a
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	go func() { w.done <- a.Run(ctx) }()
	synctest.Wait()
}

// Fence has nothing to refuse: there is one server.
func (w *world) Fence(context.Context, uint64) error { return nil }

// Do is the back end: it starts a timer that makes the engine ready, parked or gone.
func (w *world) Do(_ context.Context, act fleet.Act) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuseAct[act.Kind] > 0 {
		w.refuseAct[act.Kind]--
		return errors.New("unreachable")
	}
	if w.cutOff != "" && act.Slot == w.cutOff {
		return fmt.Errorf("slot %s: %w", act.Slot, fleet.ErrUnreachable)
	}
	switch act.Kind {
	case fleet.ActStop:
		return w.stopEngine(act)
	case fleet.ActPark:
		return w.parkEngine(act)
	case fleet.ActResume:
		return w.resumeEngine(act)
	case fleet.ActLaunch:
		return w.launchEngine(act)
	case fleet.ActAddSlot:
		return w.addSlot(act)
	case fleet.ActDropSlot:
		return w.dropSlot(act)
	default:
		return errors.New("not here")
	}
}

func (w *world) addSlot(act fleet.Act) error {
	if w.refuseAdd > 0 {
		w.refuseAdd--
		return errors.New("unreachable")
	}
	if w.unplaced != "" {
		w.added = append(w.added, fleet.Slot{ID: act.Slot, Pool: act.Pool, GPUs: act.GPUs, Pending: true, Unplaced: w.unplaced})
		w.tellAll()
		return nil
	}
	w.added = append(w.added, fleet.Slot{ID: act.Slot, Pool: act.Pool, Node: "node-" + act.Slot, GPUs: act.GPUs, Pending: true})
	time.AfterFunc(w.slotTime, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for k := range w.added {
			if w.added[k].ID == act.Slot {
				w.added[k].Pending = false
			}
		}
		w.tellAll()
	})
	return nil
}

// dropSlot ends a slot and what is parked there; nothing else may be.
func (w *world) dropSlot(act fleet.Act) error {
	for _, e := range w.order {
		if e.Slot != act.Slot || e.gone {
			continue
		}
		if !e.asleep() {
			w.Errorf("slot %s is given back with %s of %s", act.Slot, e.ID, e.Model)
		}
		e.gone = true
	}
	w.added = slices.DeleteFunc(w.added, func(s fleet.Slot) bool { return s.ID == act.Slot })
	w.tellAll()
	return nil
}

// tellAll reports everything.
func (w *world) tellAll() { w.report(w.all()) }

// report tells the listener, outside of the world's lock and of the caller, and in order.
func (w *world) report(o fleet.Observation) {
	if w.deaf || w.listener == nil {
		return
	}
	w.news = append(w.news, o)
	time.AfterFunc(0, func() {
		w.speaking.Lock()
		defer w.speaking.Unlock()
		w.mu.Lock()
		if len(w.news) == 0 { // a new connection has begun with all that is known
			w.mu.Unlock()
			return
		}
		o, f := w.news[0], w.listener
		w.news = w.news[1:]
		w.mu.Unlock()
		f(o)
	})
}

func (w *world) launchEngine(act fleet.Act) error {
	if w.refuse[act.Model] > 0 {
		w.refuse[act.Model]--
		return errors.New("no such image")
	}
	w.launches[act.Model]++
	w.reserved = act.Parked
	e := &engine{phase: fleet.PhaseLoading, Instance: fleet.Instance{
		ID: act.Instance, Model: act.Model, Slot: act.Slot, GPU: act.GPU, GPUs: act.GPUs, State: fleet.Starting, Addr: "addr-" + act.Instance,
	}}
	w.alone(e)
	w.engines[e.ID] = e
	w.order = append(w.order, e)
	switch {
	case w.failNext[act.Model] > 0:
		w.failNext[act.Model]--
		time.AfterFunc(w.startTime/2, func() { w.exit(e, "out of memory") })
	case !w.hang[act.Model]:
		time.AfterFunc(w.startTime, func() { w.become(e, fleet.Starting, fleet.Ready) })
	}
	w.tell(e, "")
	return nil
}

// alone checks that nobody else is awake on the engine's GPUs.
func (w *world) alone(e *engine) {
	for _, o := range w.order {
		if o != e && !o.gone && !o.asleep() && o.Slot == e.Slot && o.GPU < e.GPU+e.GPUs && e.GPU < o.GPU+o.GPUs {
			w.Errorf("%s wakes on GPU %d+%d, where %s of %s still is", e.Model, e.GPU, e.GPUs, o.ID, o.Model)
		}
	}
}

// asleep reports whether the engine holds no GPU.
func (e *engine) asleep() bool {
	return e.State == fleet.Asleep || e.State == fleet.Stopping && e.parked
}

func (w *world) stopEngine(act fleet.Act) error {
	w.unused(act)
	if e := w.engines[act.Instance]; e != nil && !e.gone {
		e.parked = e.State == fleet.Asleep
		e.State = fleet.Stopping
		time.AfterFunc(w.stopTime, func() { w.exit(e, "") })
	}
	return nil
}

func (w *world) unused(act fleet.Act) {
	if n := w.leases[act.Instance]; n > 0 {
		w.Errorf("%s of %s: %s with %d leases", act.Instance, act.Model, act.Kind, n)
	}
}

func (w *world) parkEngine(act fleet.Act) error {
	w.unused(act)
	e := w.engines[act.Instance]
	if e == nil || e.gone || e.State != fleet.Ready {
		return errors.New("not ready")
	}
	e.State = fleet.Parking
	time.AfterFunc(w.parkTime, func() { w.become(e, fleet.Parking, fleet.Asleep) })
	w.tell(e, "")
	return nil
}

func (w *world) resumeEngine(act fleet.Act) error {
	e := w.engines[act.Instance]
	if e == nil || e.gone || e.State != fleet.Asleep {
		return errors.New("not parked")
	}
	w.resumes[e.Model]++
	w.alone(e)
	e.State, e.act = fleet.Resuming, act.Seq
	how := w.failWake[e.Model]
	delete(w.failWake, e.Model)
	switch how {
	case "":
		time.AfterFunc(w.wakeTime, func() { w.become(e, fleet.Resuming, fleet.Ready) })
	case "short":
		time.AfterFunc(w.wakeTime, func() { w.become(e, fleet.Resuming, fleet.Asleep) })
	case "lost":
		time.AfterFunc(w.wakeTime, func() { w.exit(e, "its memory is lost") })
	case "short and dead":
		time.AfterFunc(w.wakeTime, func() { w.exit(e, "out of memory") })
	}
	w.tell(e, "")
	return nil
}

func (w *world) become(e *engine, from, to fleet.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.State != from || e.gone {
		return
	}
	e.State = to
	failure := ""
	if from == fleet.Resuming && to == fleet.Asleep {
		failure = "out of memory"
	}
	if to == fleet.Ready {
		e.phase = fleet.PhaseReady
	}
	if e.unproven = from == fleet.Resuming && to == fleet.Ready && w.proofTime > 0; e.unproven {
		time.AfterFunc(w.proofTime, func() { w.generate(e) })
	}
	w.tell(e, failure)
}

// generate has the engine make a token, if it is ready.
func (w *world) generate(e *engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.unproven && e.State == fleet.Ready && !e.gone {
		e.unproven = false
		w.tell(e, "")
	}
}

func (w *world) exit(e *engine, failure string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !e.gone {
		e.gone = true
		w.tell(e, failure)
	}
}

// tell reports one engine.
func (w *world) tell(e *engine, failure string) {
	seen := w.sight(e)
	seen.Failure, seen.Short = failure, failure == "out of memory"
	w.report(fleet.Observation{Source: "local", At: time.Now(), Slots: w.slots(), Instances: []fleet.Sighting{seen}})
}

func (w *world) sight(e *engine) fleet.Sighting {
	running := -1
	if w.counts {
		running = w.leases[e.ID]
	}
	return fleet.Sighting{Instance: e.Instance, Phase: e.phase, Act: e.act, Running: running, Gone: e.gone, Parks: !w.noParking, Unproven: e.unproven}
}

func (w *world) slots() []fleet.Slot {
	if w.slotTime > 0 {
		return append([]fleet.Slot{}, w.added...)
	}
	if w.gpus < 0 {
		return nil
	}
	return []fleet.Slot{{ID: "local-0", Pool: fleet.LocalPool, Node: "local", GPUs: w.gpus, Host: 1 << 40}}
}

// Watch is the observer.
func (w *world) Watch(ctx context.Context, f func(fleet.Observation)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.speaking.Lock()
	w.mu.Lock()
	if w.deaf {
		w.mu.Unlock()
		w.speaking.Unlock()
		return errors.New("unreachable")
	}
	w.listener, w.news = f, nil
	w.lost = append(w.lost, cancel)
	o := w.all()
	w.mu.Unlock()
	f(o)
	w.speaking.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	w.listener, w.news = nil, nil
	w.mu.Unlock()
	return errors.New("connection lost")
}

func (w *world) all() fleet.Observation {
	o := fleet.Observation{Source: "local", At: time.Now(), Complete: true, Slots: w.slots()}
	for _, e := range w.order {
		if !e.gone {
			o.Instances = append(o.Instances, w.sight(e))
		}
	}
	return o
}

// client is one request of a test.
type client struct {
	w     *world
	ask   activator.Ask
	lease *activator.Lease
	err   error
	began time.Time
	took  time.Duration
	ready bool
	done  chan struct{}
}

// ask asks, and waits in the background until it is answered.
func (w *world) ask(ask activator.Ask) *client {
	c := &client{w: w, ask: ask, began: time.Now(), done: make(chan struct{})}
	l, waiter, err := w.a.Acquire(ask)
	if waiter == nil {
		c.answered(l, err)
		return c
	}
	go func() {
		<-waiter.Ready()
		c.answered(waiter.Answer())
	}()
	return c
}

func (c *client) answered(l *activator.Lease, err error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if (l == nil) == (err == nil) {
		c.w.Errorf("%+v: got lease %v and error %v, want exactly one", c.ask, l, err)
	}
	if c.ready {
		c.w.Errorf("%+v: answered twice", c.ask)
	}
	c.lease, c.err, c.ready, c.took = l, err, true, time.Since(c.began)
	if l != nil {
		c.w.leases[l.Instance]++
	}
	close(c.done)
}

func (c *client) release(o activator.Outcome) {
	c.w.mu.Lock()
	c.w.leases[c.lease.Instance]--
	c.w.mu.Unlock()
	c.lease.Release(o)
}

// serve asks, waits, holds the lease for a time, and gives it back.
func (w *world) serve(model string, d time.Duration) *client {
	w.Helper()
	c := w.ask(activator.Ask{Model: model, Org: "acme"})
	w.wait(c)
	if c.err != nil {
		w.Fatalf("asking for %s: %v", model, c.err)
	}
	time.Sleep(d)
	c.release(activator.Succeeded)
	return c
}

// wait lets time pass until the client is answered.
func (w *world) wait(c *client) {
	w.Helper()
	for range 24 * 3600 {
		synctest.Wait()
		w.mu.Lock()
		ready := c.ready
		w.mu.Unlock()
		if ready {
			return
		}
		time.Sleep(time.Second)
	}
	w.Fatalf("%+v: not answered in a day", c.ask)
}

func (w *world) wantState(model, want string) {
	w.Helper()
	synctest.Wait()
	if got := w.a.ModelState(model); got != want {
		w.Errorf("at %s: %s is %s, want %s", time.Now().Format("15:04:05"), model, got, want)
	}
}

func (w *world) wantLaunches(model string, want int) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.launches[model]; got != want {
		w.Errorf("at %s: %d launches of %s, want %d", time.Now().Format("15:04:05"), got, model, want)
	}
}

func (w *world) wantErr(c *client, want error) *activator.Refusal {
	w.Helper()
	synctest.Wait()
	if !errors.Is(c.err, want) {
		w.Fatalf("%+v: got %v, want %v", c.ask, c.err, want)
	}
	var r *activator.Refusal
	if !errors.As(c.err, &r) {
		w.Fatalf("%+v: got a %T, want a *Refusal", c.ask, c.err)
	}
	return r
}

func (w *world) engineOf(model string) *engine {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.order {
		if e.Model == model && !e.gone {
			return e
		}
	}
	w.Fatalf("%s has no engine", model)
	return nil
}

func ids(n int) []string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf("m%d", i))
	}
	return s
}
