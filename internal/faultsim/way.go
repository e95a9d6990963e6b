package faultsim

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// Ways are those of several servers to what they share, in a bubble of synctest: what they share is away, slow, or loses what it is told, and so may each way
// be. Whatever is done takes a random while, so that one thing happens at a time, and a seed is one history. They are safe for concurrent use.
type Ways struct {
	mu sync.Mutex // guards the faults, and every Way
	faults
}

// faults are those of what is shared, or of the way to it; each until a moment.
type faults struct{ away, slow, lossy, deaf time.Time }

// Away has nobody reach it until a moment.
func (a *Ways) Away(until time.Time) { a.set(&a.away, until) }

// Slow has it take its time until a moment.
func (a *Ways) Slow(until time.Time) { a.set(&a.slow, until) }

// Heal ends the faults that all have in common.
func (a *Ways) Heal() {
	a.set(&a.away, time.Time{})
	a.set(&a.slow, time.Time{})
}

func (a *Ways) set(fault *time.Time, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*fault = until
}

// Way is that of one server, for one life.
type Way struct {
	Silent time.Duration // the longest that one waits who is told nothing; 0 = an hour
	AtOnce bool          // who is done waiting leaves at once: it holds a mutex meanwhile

	ways   *Ways
	seed   uint64
	random *rand.Rand
	dead   bool
	faults
}

// ErrBroken says that a connection broke.
var ErrBroken = errors.New("the connection broke")

// NewWay makes a way.
func (a *Ways) NewWay(seed uint64) *Way {
	return &Way{ways: a, seed: seed, random: rand.New(rand.NewPCG(seed, 1))}
}

// Away has the server reach what is shared no more until a moment.
func (w *Way) Away(until time.Time) { w.ways.set(&w.away, until) }

// Slow has it take its time.
func (w *Way) Slow(until time.Time) { w.ways.set(&w.slow, until) }

// Lossy has some transactions fail, one way or the other.
func (w *Way) Lossy(until time.Time) { w.ways.set(&w.lossy, until) }

// Deaf has it told nothing.
func (w *Way) Deaf(until time.Time) { w.ways.set(&w.deaf, until) }

// Heal ends its faults.
func (w *Way) Heal() {
	w.ways.mu.Lock()
	defer w.ways.mu.Unlock()
	w.faults = faults{}
}

// Die has the server be no more: nothing of it arrives but what is there already.
func (w *Way) Die() {
	w.ways.mu.Lock()
	defer w.ways.mu.Unlock()
	w.dead = true
}

// Unwell is until when something fails.
func (w *Way) Unwell() (last time.Time) {
	w.ways.mu.Lock()
	defer w.ways.mu.Unlock()
	for _, until := range []time.Time{w.ways.away, w.ways.slow, w.away, w.slow, w.lossy, w.deaf} {
		if until.After(last) {
			last = until
		}
	}
	return last
}

// choices decide about what is begun now. Where it has a name they are of that and the moment, and of nothing that others have begun before: so one history stays
// one where several begin something at once. mu is held.
func (w *Way) choices(name []string) *rand.Rand {
	if len(name) == 0 {
		return w.random
	}
	h := fnv.New64a()
	for _, part := range name {
		_, _ = h.Write([]byte(part))
	}
	return rand.New(rand.NewPCG(w.seed^h.Sum64(), uint64(time.Now().UnixNano())))
}

// Pause is what a statement takes.
func (w *Way) Pause(ctx context.Context, name ...string) error {
	w.ways.mu.Lock()
	random := w.choices(name)
	now, took := time.Now(), time.Duration(20_000+random.IntN(1_000_000))
	if now.Before(w.slow) || now.Before(w.ways.slow) {
		took += time.Duration(random.IntN(60_000_000))
	}
	away := now.Before(w.away) || now.Before(w.ways.away)
	if away && random.IntN(3) == 0 { // it hangs, and does not say so
		took += cmp.Or(w.Silent, time.Hour)
	}
	late := time.Duration(1 + random.IntN(100_000))
	w.ways.mu.Unlock()
	slept := time.NewTimer(took)
	defer slept.Stop()
	select {
	case <-ctx.Done():
		if !w.AtOnce {
			time.Sleep(late)
		}
		return ctx.Err()
	case <-slept.C:
	}
	w.ways.mu.Lock()
	defer w.ways.mu.Unlock()
	if away || w.dead {
		return ErrBroken
	}
	return nil
}

// Fate is what becomes of a transaction.
type Fate int

// The fates of transactions.
const (
	Kept       Fate = iota
	LostBefore      // it is undone
	LostAnswer      // it is committed, and its server hears of an error
	LostLater       // so it is, or undone, after its server has heard of an error
	fates      = 6  // of which those that are none of these are Kept
)

// String says what was reached with it.
func (f Fate) String() string {
	switch f {
	case LostBefore:
		return "a transaction was lost"
	case LostAnswer:
		return "a commit's answer was lost"
	case LostLater:
		return "a commit was on its way when its server gave it up"
	default:
		return "a transaction was kept"
	}
}

// Fate gives that of a transaction which begins now.
func (w *Way) Fate(name ...string) Fate {
	w.ways.mu.Lock()
	defer w.ways.mu.Unlock()
	if !time.Now().Before(w.lossy) {
		return Kept
	}
	return Fate(w.choices(name).IntN(fates))
}

// LateMost is how long a transaction may go on of which its server has given up.
const LateMost = 5 * time.Second

// Late gives how long one goes on that is LostLater, and whether it commits.
func (w *Way) Late(name ...string) (after time.Duration, commits bool) {
	w.ways.mu.Lock()
	defer w.ways.mu.Unlock()
	random := w.choices(name)
	return time.Duration(1 + random.IntN(4_000_000_000)), random.IntN(3) > 0
}
