package faultsim

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Database is a simulated database of several servers, in a bubble of synctest: transactions see what others have committed, and lock the rows that they write.
// It is away, slow, loses transactions or their answers, and commits some of which nobody waits for any more. Whatever it does takes a random while, so that one
// thing happens at a time, and a seed is one history. It is safe for concurrent use.
type Database[C any] struct {
	Ways      // their mu guards what follows clone, reached and committed
	clone     func(*C) *C
	reached   func(state string)
	committed func()

	now    *C
	owners map[any]*Tx[C] // of the locks of rows
	queues map[any][]*waiter[C]
	links  []*Link[C] // that listen
}

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

// Link is the way of one server to it, for one life: two goroutines may use it, one of them to listen.
type Link[C any] struct {
	*Way
	d    *Database[C]
	ears *rand.Rand
	told func(string)
}

// Link makes a way to it.
func (d *Database[C]) Link(seed uint64) *Link[C] {
	return &Link[C]{Way: d.NewWay(seed), d: d, ears: rand.New(rand.NewPCG(seed, 2))}
}

// Read calls f with what is committed.
func (l *Link[C]) Read(ctx context.Context, f func(*C)) error {
	if err := l.Pause(ctx); err != nil {
		return err
	}
	l.d.Look(f)
	return nil
}

// Write is a transaction. It commits if f gives nil.
func (l *Link[C]) Write(ctx context.Context, f func(*Tx[C]) error) error {
	if err := l.Pause(ctx); err != nil {
		return err
	}
	fate := l.Fate()
	tx := &Tx[C]{link: l}
	err := f(tx)
	if err == nil {
		err = l.Pause(ctx)
	}
	switch {
	case err != nil:
		tx.end(false)
		return err
	case fate == LostBefore:
		tx.end(false)
		l.d.reached(fate.String())
		return ErrBroken
	case fate == LostLater:
		l.d.reached(fate.String())
		late, commits := l.Late()
		time.AfterFunc(late, func() { tx.end(commits) })
		return ErrBroken
	}
	tx.end(true)
	if err := l.Pause(ctx); err != nil || fate == LostAnswer {
		l.d.reached(LostAnswer.String())
		return ErrBroken
	}
	return nil
}

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
	if err := tx.link.Pause(ctx); err != nil {
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
		return tx.link.Pause(ctx)
	case <-ctx.Done():
	}
	d.mu.Lock()
	d.queues[row] = slices.DeleteFunc(d.queues[row], func(other *waiter[C]) bool { return other == w })
	d.mu.Unlock()
	return ctx.Err()
}

// View is a copy of what the transaction sees.
func (tx *Tx[C]) View(ctx context.Context) (*C, error) {
	if err := tx.link.Pause(ctx); err != nil {
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
	return tx.link.Pause(ctx)
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
