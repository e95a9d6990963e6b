package faultsim

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Database is a simulated database of several servers, in a bubble of synctest: transactions see what others have committed, and lock the rows that they write.
// It is away, slow, loses transactions or their answers, and commits some of which nobody waits for any more. Whatever it does takes a random while, so that one
// thing happens at a time, and a seed is one history. It is safe for concurrent use.
type Database[C any] struct {
	clone     func(*C) *C
	reached   func(state string)
	committed func()

	mu     sync.Mutex // guards all below, and every Link
	now    *C
	owners map[any]*Tx[C] // of the locks of rows
	queues map[any][]*waiter[C]
	links  []*Link[C] // that listen
	faults
}

// faults are those of a database, or of the way to it; each until a moment.
type faults struct{ away, slow, lossy, deaf time.Time }

type waiter[C any] struct {
	tx  *Tx[C]
	got chan struct{}
}

// NewDatabase makes a database with a content. reached is called with rare states, committed after each commit; both from any goroutine.
func NewDatabase[C any](content *C, clone func(*C) *C, reached func(state string), committed func()) *Database[C] {
	return &Database[C]{clone: clone, reached: reached, committed: committed, now: content, owners: map[any]*Tx[C]{}, queues: map[any][]*waiter[C]{}}
}

// Look calls f with what is committed.
func (d *Database[C]) Look(f func(*C)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d.now)
}

// Away has nobody reach it until a moment.
func (d *Database[C]) Away(until time.Time) { d.set(&d.away, until) }

// Slow has it take its time until a moment.
func (d *Database[C]) Slow(until time.Time) { d.set(&d.slow, until) }

// Heal ends its faults.
func (d *Database[C]) Heal() {
	d.set(&d.away, time.Time{})
	d.set(&d.slow, time.Time{})
}

func (d *Database[C]) set(fault *time.Time, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*fault = until
}

// Link is the way of one server to it, for one life: two goroutines may use it, one of them to listen.
type Link[C any] struct {
	d      *Database[C]
	random *rand.Rand
	ears   *rand.Rand
	dead   bool
	told   func(string)
	faults
}

// ErrBroken says that a connection broke.
var ErrBroken = errors.New("the connection broke")

// Link makes a way to it.
func (d *Database[C]) Link(seed uint64) *Link[C] {
	return &Link[C]{d: d, random: rand.New(rand.NewPCG(seed, 1)), ears: rand.New(rand.NewPCG(seed, 2))}
}

// Away has the server reach the database no more until a moment.
func (l *Link[C]) Away(until time.Time) { l.d.set(&l.away, until) }

// Slow has it take its time.
func (l *Link[C]) Slow(until time.Time) { l.d.set(&l.slow, until) }

// Lossy has some transactions fail, one way or the other.
func (l *Link[C]) Lossy(until time.Time) { l.d.set(&l.lossy, until) }

// Deaf has it told nothing.
func (l *Link[C]) Deaf(until time.Time) { l.d.set(&l.deaf, until) }

// Heal ends its faults.
func (l *Link[C]) Heal() {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.faults = faults{}
}

// Die has the server be no more: nothing of it reaches the database but what is there already.
func (l *Link[C]) Die() {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.dead = true
}

// Unwell is until when something fails.
func (l *Link[C]) Unwell() (last time.Time) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	for _, until := range []time.Time{l.d.away, l.d.slow, l.away, l.slow, l.lossy, l.deaf} {
		if until.After(last) {
			last = until
		}
	}
	return last
}

// pause is what a statement takes.
func (l *Link[C]) pause(ctx context.Context) error {
	l.d.mu.Lock()
	now, took := time.Now(), time.Duration(20_000+l.random.IntN(1_000_000))
	if now.Before(l.slow) || now.Before(l.d.slow) {
		took += time.Duration(l.random.IntN(60_000_000))
	}
	away := now.Before(l.away) || now.Before(l.d.away)
	if away && l.random.IntN(3) == 0 {
		took += time.Hour // it hangs, and does not say so
	}
	late := time.Duration(1 + l.random.IntN(100_000))
	l.d.mu.Unlock()
	slept := time.NewTimer(took)
	defer slept.Stop()
	select {
	case <-ctx.Done():
		time.Sleep(late)
		return ctx.Err()
	case <-slept.C:
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if away || l.dead {
		return ErrBroken
	}
	return nil
}

// Read calls f with what is committed.
func (l *Link[C]) Read(ctx context.Context, f func(*C)) error {
	if err := l.pause(ctx); err != nil {
		return err
	}
	l.d.Look(f)
	return nil
}

// What becomes of transactions while they are lossy.
const (
	lostBefore = 1 + iota // it is undone
	lostAnswer            // it is committed, and its server hears of an error
	lostLater             // so it is, or undone, after its server has heard of an error
	fates      = 6
)

// Write is a transaction. It commits if f gives nil.
func (l *Link[C]) Write(ctx context.Context, f func(*Tx[C]) error) error {
	if err := l.pause(ctx); err != nil {
		return err
	}
	l.d.mu.Lock()
	fate := 0
	if time.Now().Before(l.lossy) {
		fate = l.random.IntN(fates)
	}
	l.d.mu.Unlock()
	tx := &Tx[C]{link: l}
	err := f(tx)
	if err == nil {
		err = l.pause(ctx)
	}
	switch {
	case err != nil:
		tx.end(false)
		return err
	case fate == lostBefore:
		tx.end(false)
		l.d.reached("a transaction was lost")
		return ErrBroken
	case fate == lostLater:
		l.d.reached("a commit was on its way when its server gave it up")
		l.d.mu.Lock()
		late, commits := time.Duration(1+l.random.IntN(4_000_000_000)), l.random.IntN(3) > 0
		l.d.mu.Unlock()
		time.AfterFunc(late, func() { tx.end(commits) })
		return ErrBroken
	}
	tx.end(true)
	if err := l.pause(ctx); err != nil || fate == lostAnswer {
		l.d.reached("a commit's answer was lost")
		return ErrBroken
	}
	return nil
}

// LateMost is how long a transaction may go on of which its server has given up.
const LateMost = 5 * time.Second

// Listen calls told with what transactions tell when they are committed, until ctx is done.
func (l *Link[C]) Listen(ctx context.Context, told func(what string)) error {
	l.d.mu.Lock()
	l.told = told
	l.d.links = append(l.d.links, l)
	l.d.mu.Unlock()
	<-ctx.Done()
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.d.links = slices.DeleteFunc(l.d.links, func(other *Link[C]) bool { return other == l })
	return ctx.Err()
}

// hear tells a server something a little later, once or twice, or not at all; the database's mu is held.
func (l *Link[C]) hear(what string) {
	now, told := time.Now(), l.told
	if l.dead || now.Before(l.deaf) || now.Before(l.away) || now.Before(l.d.away) {
		return
	}
	for range 1 + l.ears.IntN(2) {
		time.AfterFunc(time.Duration(1+l.ears.IntN(3_000_000)), func() { told(what) })
	}
}

// Tx is a transaction.
type Tx[C any] struct {
	link    *Link[C]
	locks   []any
	changes []func(*C)
	says    []string
}

// Lock has the transaction be the only one that writes a row, from now to its end.
func (tx *Tx[C]) Lock(ctx context.Context, row any) error {
	if err := tx.link.pause(ctx); err != nil {
		return err
	}
	d := tx.link.d
	d.mu.Lock()
	switch d.owners[row] {
	case tx:
		d.mu.Unlock()
		return nil
	case nil:
		d.owners[row], tx.locks = tx, append(tx.locks, row)
		d.mu.Unlock()
		return nil
	}
	w := &waiter[C]{tx, make(chan struct{}, 1)}
	d.queues[row] = append(d.queues[row], w)
	d.mu.Unlock()
	d.reached("a transaction waited for a row")
	select {
	case <-w.got:
		return tx.link.pause(ctx)
	case <-ctx.Done():
	}
	d.mu.Lock()
	d.queues[row] = slices.DeleteFunc(d.queues[row], func(other *waiter[C]) bool { return other == w })
	d.mu.Unlock()
	return ctx.Err()
}

// View is a copy of what the transaction sees.
func (tx *Tx[C]) View(ctx context.Context) (*C, error) {
	if err := tx.link.pause(ctx); err != nil {
		return nil, err
	}
	d := tx.link.d
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.clone(d.now)
	for _, change := range tx.changes {
		change(seen)
	}
	return seen, nil
}

// Change changes the content, for others once it is committed.
func (tx *Tx[C]) Change(ctx context.Context, f func(*C)) error {
	tx.changes = append(tx.changes, f)
	return tx.link.pause(ctx)
}

// Tell has those who listen told something, if it is committed; the same thing once.
func (tx *Tx[C]) Tell(what string) {
	if !slices.Contains(tx.says, what) {
		tx.says = append(tx.says, what)
	}
}

// end commits it, or undoes it, and lets whoever waits go on.
func (tx *Tx[C]) end(commits bool) {
	d := tx.link.d
	d.mu.Lock()
	if commits {
		for _, change := range tx.changes {
			change(d.now)
		}
		for _, l := range d.links {
			for _, what := range tx.says {
				l.hear(what)
			}
		}
	}
	for _, row := range tx.locks {
		delete(d.owners, row)
		if queue := d.queues[row]; len(queue) > 0 {
			next := queue[0]
			d.queues[row] = queue[1:]
			d.owners[row], next.tx.locks = next.tx, append(next.tx.locks, row)
			next.got <- struct{}{}
		}
	}
	d.mu.Unlock()
	if commits {
		d.committed()
	}
}
