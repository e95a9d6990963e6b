package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Durability says what Append waits for.
type Durability string

// Async survives the process being killed, and a power cut 50 ms later; Sync survives a power cut at once.
const (
	Async Durability = "async"
	Sync  Durability = "sync"
)

const (
	durableIn = 50 * time.Millisecond  // promised of a record with Async
	moveWait  = 250 * time.Millisecond // after a first record, before all since are moved into the store: half of the promised half second
	retryWait = time.Second            // after a move that failed
	closeWait = 10 * time.Second       // for the last move
)

// DefaultRetention is for how long records are kept.
const DefaultRetention = 400 * 24 * time.Hour

// Config is what Open needs.
type Config struct {
	Dir        string        // of the write-ahead log; created where missing, used by one process at a time
	Store      *store.Store  // stays the caller's, who closes it after the ledger
	Durability Durability    // empty = Async
	Retention  time.Duration // records dispatched longer ago are deleted; 0 = DefaultRetention
	Models     []string      // whose metrics are there from the start; of any other, from its first record
	Corrected  func(*Record) // told of each correction when it is in the log; nil = nobody is
	Log        *slog.Logger  // nil = discard
	Disk       Disk          // nil = this machine's
}

// Ledger keeps usage records. It is safe for concurrent use.
type Ledger struct {
	store      *store.Store
	corrected  func(*Record)
	log        *slog.Logger
	durability Durability
	retention  time.Duration
	lock       *os.File
	fsyncs     *fsyncs // of its own disk; nil = there are none
	wal        *wal
	server     string // ID of the log's directory
	meters     *meters
	readers    *gate
	damages    damages
	clock      clock
	held       atomic.Bool // retention does not believe the clock
	crowded    atomic.Bool // the last request to reserve room was refused
	openMonths atomic.Pointer[openMonths]
	correcting sync.Mutex    // one correction at a time, across its I/O
	pruning    chan struct{} // holds one when retention is to run at once
	written    chan struct{} // holds one when there are records to move
	unsynced   chan struct{} // holds one when there are records to fsync; async only
	unsorted   chan struct{} // holds one when there are blocks to sort
	settled    atomic.Int64  // the sorter has nothing to do before this number
	sorted     run           // the sorter's: the last run that it made
	unpacked   []byte        // the sorter's, too: what it was made of

	moving       baton // one mover at a time, across its I/O; guards moved and mover
	moved        place
	mover        move
	movedRecords atomic.Uint64 // of those appended in this life
}

// baton is a mutex that may be held for as long as I/O takes: tests in virtual time see that whoever waits for it only waits.
type baton chan struct{}

// Lock waits until nobody has it.
func (b baton) Lock() { b <- struct{}{} }

// Unlock gives it back.
func (b baton) Unlock() { <-b }

// Open opens the log in c.Dir, and moves what a former life left in it into the store before it returns. The error is
// ErrLocked or ErrNewer where one of these is the cause. Close the ledger when done.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	l, err := newLedger(c)
	if err != nil {
		return nil, err
	}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the ledger in %s: %w", c.Dir, err), l.fsyncs.close())
	}
	return l, nil
}

// Run makes records durable and moves them into the store until ctx is done; then, in at most ten seconds, what is left.
// Append, Usage and Receipt work without it, but async records are fsynced, listed by Records, and old ones deleted, only while it runs.
func (l *Ledger) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, loop := range []func(context.Context){l.syncLoop, l.moveLoop, l.sortLoop, l.retentionLoop} {
		running.Go(func() { loop(ctx) })
	}
	running.Wait()
	return l.settle()
}

// Close moves what is left into the store and closes the log; call it after Run has returned. Append fails afterwards.
// What cannot be moved stays in the log for the next Open.
func (l *Ledger) Close() error {
	if l.wal.isClosed() {
		return nil
	}
	err := l.settle()
	l.wal.close()
	err = errors.Join(err, l.fsyncs.close())
	l.moving.Lock()
	defer l.moving.Unlock()
	if to, _ := l.wal.extent(); err == nil && l.moved == to {
		err = l.removeAll()
	}
	return errors.Join(err, l.lock.Close())
}

func newLedger(c Config) (*Ledger, error) {
	if c.Dir == "" || c.Store == nil {
		return nil, errors.New("ledger: a directory and a store are required")
	}
	if c.Durability == "" {
		c.Durability = Async
	}
	if c.Durability != Async && c.Durability != Sync {
		return nil, &InvalidError{"durability", fmt.Sprintf("there is no durability %q; use async or sync", c.Durability)}
	}
	if c.Retention < 0 {
		return nil, &InvalidError{"retention", fmt.Sprintf("%s is less than nothing", c.Retention)}
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var own *fsyncs
	if c.Disk == nil {
		own = newFsyncs()
		c.Disk = Machine{own}
	}
	if c.Corrected == nil {
		c.Corrected = func(*Record) {}
	}
	l := &Ledger{
		store: c.Store, corrected: c.Corrected, log: c.Log, durability: c.Durability, retention: c.Retention, fsyncs: own,
		wal:     &wal{dir: c.Dir, disk: c.Disk, certain: c.Durability == Sync, cuts: map[string]int64{}, tail: tail{limit: tailMemory}},
		readers: newGate(queriesAtOnce, queriesOfOrg), moving: make(baton, 1),
		sorted:  run{parts: map[string]*part{}},
		written: make(chan struct{}, 1), unsynced: make(chan struct{}, 1), unsorted: make(chan struct{}, 1), pruning: make(chan struct{}, 1),
	}
	l.meters = newMeters(l, c.Models)
	return l, nil
}

func (l *Ledger) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(l.wal.dir, 0o700); err != nil {
		return err
	}
	if l.lock, err = lockFile(filepath.Join(l.wal.dir, "lock")); err != nil {
		return err
	}
	err = l.openServer()
	if err == nil {
		err = errors.Join(l.replay(ctx), l.recallClock(ctx), l.learnOpen(ctx))
	}
	if err != nil {
		l.lock.Close()
		return err
	}
	return nil
}

// replay moves all segments of former lives, then begins a new one above them.
func (l *Ledger) replay(ctx context.Context) error {
	numbers, err := l.wal.numbers()
	if err != nil {
		return err
	}
	l.wal.first = math.MaxUint64 // all that is there is of former lives
	l.moving.Lock()
	defer l.moving.Unlock()
	if err := l.findCuts(numbers); err != nil {
		return err
	}
	if err := l.moveTo(ctx, end); err != nil {
		return err
	}
	if err := l.openChain(ctx); err != nil {
		return err
	}
	next := uint64(1)
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	if err := l.wal.start(next); err != nil {
		return err
	}
	l.moved = place{next, headerLen}
	return nil
}

// settle makes durable and moves what has been appended so far.
func (l *Ledger) settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err := l.wal.sync(l.wal.pending())
	if err := l.flush(ctx); err != nil {
		return fmt.Errorf("%w; the records are in %s, and the next start moves them", err, l.wal.dir)
	}
	return err
}

// syncLoop fsyncs as seldom as the promise and the disk allow: each fsync holds a thread, and the runtime, which looks for
// somebody to take over from it, looks closely for milliseconds more.
func (l *Ledger) syncLoop(ctx context.Context) {
	slow := durableIn / 8 // about the longest fsync of late
	for wait(ctx, l.unsynced, syncWait(slow)) {
		began := time.Now()
		if err := l.wal.sync(l.wal.pending()); err != nil {
			l.log.Error("fsyncing the ledger failed; a power cut now could lose usage records", "reason", err)
		}
		slow = max(time.Since(began), slow*7/8)
	}
}

// syncWait is how long records gather before an fsync, where one takes up to slow. A record that just misses one waits for its
// end, then so long, and then for its own.
func syncWait(slow time.Duration) time.Duration { return max(durableIn*9/10-2*slow, durableIn/5) }

func (l *Ledger) moveLoop(ctx context.Context) {
	failing := false
	for wait(ctx, l.written, moveWait) {
		err := l.flush(ctx)
		if err == nil {
			signal(l.unsorted)
			if failing {
				l.log.Info("moving usage records into the store again")
			}
			failing = false
			continue
		}
		if !failing && ctx.Err() == nil {
			l.log.Error("cannot move usage records into the store; they stay in the log", "reason", err)
		}
		failing = true
		signal(l.written)
		pause(ctx, retryWait)
	}
}

// wait waits for a signal, then for d, so that more can join. It gives false when ctx is done first.
func wait(ctx context.Context, c <-chan struct{}, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-c:
		return pause(ctx, d)
	}
}

// pause waits for d. It gives false when ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// signal leaves a note in c unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
