package joined_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// engines are those of a few slots, and the back end that starts and moves them. All servers have the same.
type engines struct {
	faultsim.Ways
	w     *world
	parks bool

	mu      sync.Mutex // guards all below, and each engine
	seed    uint64
	slots   []fleet.Slot
	all     []*engine // in the order of their launches
	stopped map[string]bool
	done    map[[2]uint64]bool // acts that were carried out: their terms and numbers
	term    uint64             // older ones are refused
	seq     uint64             // of the last list
	ears    map[chan struct{}]bool
	fails   time.Time // until then starts fail
}

// engine is one process.
type engine struct {
	fleet.Instance
	most     int // requests at once
	phase    fleet.Phase
	act      uint64
	asleep   bool // while it stops: it holds no GPU
	gone     bool
	hung     bool
	unproven bool
	failure  string
	calls    map[*call]bool
	lost     chan struct{} // closed once what it serves is lost
}

// call is a request on an engine.
type call struct {
	of   *engine
	from *life
}

const (
	hangMost     = 30 * time.Second      // then the supervisor kills it
	closureSeen  = 10 * time.Millisecond // the kernel closes what a killed process had
	listEvery    = time.Second
	source       = "local"
	slotsSilent  = 2 * time.Second // who reaches no slot knows it then
	startFailure = "killed: out of memory"
)

// soon has something be done to an engine later, unless it has moved on; mu is held.
func (b *engines) soon(e *engine, least, more time.Duration, from fleet.State, do func()) {
	time.AfterFunc(least+time.Duration(b.random(e).Int64N(int64(more))), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !e.gone && e.State == from {
			do()
			b.tell()
		}
	})
}

// random is of what becomes of an engine at this moment.
func (b *engines) random(e *engine) *rand.Rand {
	return rand.New(rand.NewPCG(b.seed^hashOf(e.ID, 0), uint64(time.Now().UnixNano())))
}

// tell has all who watch look again; mu is held.
func (b *engines) tell() {
	for ear := range b.ears {
		select {
		case ear <- struct{}{}:
		default:
		}
	}
}

func (b *engines) find(id string) *engine {
	k := slices.IndexFunc(b.all, func(e *engine) bool { return e.ID == id })
	if k < 0 {
		return nil
	}
	return b.all[k]
}

// end has an engine be gone, and all that it serves with it; mu is held.
func (b *engines) end(e *engine, failure string) {
	if e.gone {
		return
	}
	if len(e.calls) > 0 {
		b.w.Count("an engine died with requests on it")
	}
	e.gone, e.failure = true, failure
	close(e.lost)
	b.tell()
}

// reach is the back end as one server reaches it.
type reach struct {
	b   *engines
	way *faultsim.Way
}

func (l *life) backend() reach { return reach{l.w.engines, l.engineWay} }

// unreached says that the way is broken.
func unreached(err error) error {
	if errors.Is(err, faultsim.ErrBroken) {
		return fmt.Errorf("%w: %w", fleet.ErrUnreachable, err)
	}
	return err
}

func (r reach) Fence(ctx context.Context, term uint64) error {
	if err := r.way.Pause(ctx, "fence"); err != nil {
		return unreached(err)
	}
	r.b.mu.Lock()
	older := term < r.b.term
	r.b.term = max(r.b.term, term)
	r.b.mu.Unlock()
	if older {
		return fleet.ErrFenced
	}
	return unreached(r.way.Pause(ctx, "fence"))
}

// turn has what is begun at once, of which each has a name of its own, go on one after the other.
func turn(name string, number uint64) { time.Sleep(time.Duration(1 + hashOf(name, number)%1_000_000)) }

func hashOf(name string, number uint64) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, name, number)
	return h.Sum64()
}

func (r reach) Do(ctx context.Context, act fleet.Act) error {
	turn(act.Instance, act.Seq)
	if err := r.way.Pause(ctx, act.Instance, string(act.Kind)); err != nil {
		return unreached(err)
	}
	switch r.way.Fate(act.Instance, string(act.Kind)) {
	case faultsim.LostBefore:
		return fleet.ErrUnreachable
	case faultsim.LostLater:
		after, arrives := r.way.Late(act.Instance, string(act.Kind))
		if arrives {
			r.b.w.Count("an act came late")
			time.AfterFunc(after, func() { _ = r.b.carryOut(act) })
		}
		return fleet.ErrUnreachable
	case faultsim.LostAnswer:
		_ = r.b.carryOut(act)
		return fleet.ErrUnreachable
	}
	if err := r.b.carryOut(act); err != nil {
		return err
	}
	return unreached(r.way.Pause(ctx, act.Instance, string(act.Kind))) // though it was carried out
}

func (b *engines) carryOut(act fleet.Act) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if act.Term < b.term {
		b.w.Count("an act of an older term was refused")
		return fleet.ErrFenced
	}
	b.term = act.Term
	if number := [2]uint64{act.Term, act.Seq}; b.done[number] {
		return nil
	} else {
		b.done[number] = true
	}
	defer b.tell()
	e := b.find(act.Instance)
	switch act.Kind {
	case fleet.ActLaunch:
		return b.launch(&act, e)
	case fleet.ActStop:
		b.stop(&act, e)
		return nil
	case fleet.ActPark:
		return b.park(&act, e)
	case fleet.ActResume:
		return b.resume(&act, e)
	}
	return errors.New("not here")
}

func (b *engines) launch(act *fleet.Act, e *engine) error {
	if e != nil || b.stopped[act.Instance] {
		return errors.New("was stopped, or is here")
	}
	e = &engine{Instance: fleet.Instance{
		ID: act.Instance, Model: act.Model, Slot: act.Slot, GPU: act.GPU, GPUs: act.GPUs, State: fleet.Starting, Addr: "addr-" + act.Instance,
	}, phase: fleet.PhaseLoading, most: act.Config.MaxConcurrency, act: act.Seq, calls: map[*call]bool{}, lost: make(chan struct{})}
	b.alone(e)
	b.all = append(b.all, e)
	fails := b.random(e).IntN(8) == 0 && time.Now().Before(b.fails)
	b.soon(e, time.Second, 8*time.Second, fleet.Starting, func() {
		if fails {
			b.end(e, startFailure)
			return
		}
		e.State, e.phase = fleet.Ready, fleet.PhaseReady
	})
	return nil
}

// alone holds that nobody else is awake on an engine's GPUs; mu is held.
func (b *engines) alone(e *engine) {
	for _, o := range b.all {
		if o != e && !o.gone && !o.sleeps() && o.Slot == e.Slot && o.GPU < e.GPU+e.GPUs && e.GPU < o.GPU+o.GPUs {
			b.w.Broke("%s of %s wakes on GPU %d+%d of %s, where %s of %s still is", e.ID, e.Model, e.GPU, e.GPUs, e.Slot, o.ID, o.Model)
		}
	}
}

// sleeps reports whether the engine holds no GPU.
func (e *engine) sleeps() bool {
	return e.State == fleet.Asleep || e.State == fleet.Stopping && e.asleep
}

// taken holds that nobody is cut off to make room; mu is held.
func (b *engines) taken(act *fleet.Act, e *engine) {
	for c := range e.calls {
		if !e.hung && !c.from.dead() {
			b.w.Broke("%s of %s: %s while it serves a request of %s: %s", e.ID, e.Model, act.Kind, c.from.name, act.Why)
		}
	}
}

func (b *engines) stop(act *fleet.Act, e *engine) {
	if b.stopped[act.Instance] = true; e == nil || e.gone {
		return
	}
	b.taken(act, e)
	e.asleep = e.sleeps()
	e.State, e.act = fleet.Stopping, act.Seq
	b.soon(e, 100*time.Millisecond, time.Second, fleet.Stopping, func() { b.end(e, "") })
}

func (b *engines) park(act *fleet.Act, e *engine) error {
	if e == nil || e.gone || e.State != fleet.Ready {
		return errors.New("not ready")
	}
	b.taken(act, e)
	e.State, e.act = fleet.Parking, act.Seq
	b.soon(e, 500*time.Millisecond, 2*time.Second, fleet.Parking, func() { e.State = fleet.Asleep })
	return nil
}

func (b *engines) resume(act *fleet.Act, e *engine) error {
	if e == nil || e.gone || e.State != fleet.Asleep {
		return errors.New("not parked")
	}
	b.alone(e)
	e.State, e.act = fleet.Resuming, act.Seq
	b.soon(e, 500*time.Millisecond, 2*time.Second, fleet.Resuming, func() {
		b.w.Count("a parked engine was resumed")
		e.State, e.unproven = fleet.Ready, b.random(e).IntN(2) == 0
		b.soon(e, time.Millisecond, 500*time.Millisecond, fleet.Ready, func() { e.unproven = false })
	})
	return nil
}

// Watch tells what is there: complete lists, one after the other, whenever something has changed, and each second.
func (r reach) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	ear := make(chan struct{}, 1)
	r.b.mu.Lock()
	r.b.ears[ear] = true
	r.b.mu.Unlock()
	defer func() {
		r.b.mu.Lock()
		defer r.b.mu.Unlock()
		delete(r.b.ears, ear)
	}()
	for {
		if err := r.way.Pause(ctx, "watch"); err != nil {
			return unreached(err)
		}
		o := r.b.list()
		if err := r.way.Pause(ctx, "watch"); err != nil {
			return unreached(err)
		}
		tell(o)
		again := time.NewTimer(listEvery)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ear:
		case <-again.C:
		}
		again.Stop()
	}
}

func (b *engines) list() fleet.Observation {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	o := fleet.Observation{Source: source, Seq: b.seq, Term: b.term, At: time.Now(), Complete: true, Slots: slices.Clone(b.slots)}
	for _, e := range b.all {
		if e.gone {
			continue
		}
		running := len(e.calls)
		if e.hung {
			running = fleet.Unasked
		}
		o.Instances = append(o.Instances, fleet.Sighting{Instance: e.Instance, Phase: e.phase, Act: e.act, Running: running, Parks: b.parks, Unproven: e.unproven})
	}
	return o
}

// vouches reports whether an instance's own place says that it is ready, and that no newer planner has been there.
func (r reach) vouches(ctx context.Context, term uint64, instance string) bool {
	turn(instance, term)
	if r.way.Pause(ctx, "vouch", instance) != nil {
		return false
	}
	r.b.mu.Lock()
	e := r.b.find(instance)
	good := r.b.term <= term && e != nil && !e.gone && e.State == fleet.Ready
	r.b.mu.Unlock()
	return good && r.way.Pause(ctx, "vouch", instance) == nil
}

var errRefused = errors.New("connection refused")

// begin has an engine serve a request of a server.
func (b *engines) begin(l *life, instance string) (*call, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.find(instance)
	if e == nil || e.gone || e.State != fleet.Ready {
		b.w.Count("a lease was granted on an engine that was gone")
		return nil, errRefused
	}
	c := &call{e, l}
	if e.calls[c] = true; len(e.calls) > e.most {
		b.w.Broke("%d requests at once at %s of %s, which takes %d: %s", len(e.calls), e.ID, e.Model, e.most, e.callers())
	}
	return c, nil
}

// callers names whose requests an engine serves; mu is held.
func (e *engine) callers() string {
	var names []string
	for c := range e.calls {
		names = append(names, c.from.name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return strings.Join(names, ", ")
}

// end takes a request away from its engine.
func (c *call) end() {
	b := c.from.w.engines
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(c.of.calls, c)
	if len(c.of.calls) == 0 {
		b.tell()
	}
}
