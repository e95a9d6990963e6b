package trtsim

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// tokensPerBlock is the unit in which the KV pool is given out.
const tokensPerBlock = 32

// maxLag bounds how far the loop catches up after the machine could not keep pace, so that a suspended laptop does not
// make a burst of an hour's tokens.
const maxLag = time.Second

// spin is the wait that is not worth a timer: iterations may end that much early.
const spin = 20 * time.Microsecond

// batch is the scheduler's state. Requests wait in one queue without a bound, as in the real engine; a place needs KV room for the
// prompt and the longest answer allowed, so that nothing admitted is ever evicted, and the head of the queue holds up the rest.
//
//	queue ──room──► prefill ──prompt read──► decode ──limit──► done
//	  │                │                        │
//	  └────────────────┴──────aborted───────────┴──► gone, at the next iteration
type batch struct {
	clock          time.Time // up to which iterations have been accounted for
	queue          []*sequence
	active         []*sequence
	capacity, free int           // tokens of the KV pool
	aborts         bool          // some request was aborted since the last iteration
	extra          time.Duration // longer that the next prompt takes
	drained        chan struct{} // closed when nothing is queued or active; nil = nobody waits for that
	iterations     uint64
	stats          []iteration
}

// sequence is one answer in the making. The loop owns its plain fields once it is queued.
type sequence struct {
	job       *job
	prompt    int // tokens to read
	limit     int // tokens to make
	reserve   int // tokens of KV room
	stall     int // makes no more than so many tokens: an injected fault; -1 = none
	readyAt   time.Time
	prefilled int
	chunk     int // prompt tokens read in this iteration
	made      atomic.Int32
}

// job is one request: its answers in the making.
type job struct {
	accepted  time.Time
	sequences []sequence
	stream    bool          // wants to hear of every token, not only of the last
	notify    chan struct{} // holds 1
	left      int           // sequences not yet done; guarded by the engine's mu
	aborted   bool          // guarded by the engine's mu
	fault     Fault         // Kind "" = none
	finished  atomic.Bool
}

func (j *job) tell() {
	select {
	case j.notify <- struct{}{}:
	default:
	}
}

// stalled reports whether the job's fault is due.
func (j *job) stalled() bool {
	for i := range j.sequences {
		if s := &j.sequences[i]; s.stall >= 0 && int(s.made.Load()) >= s.stall {
			return true
		}
	}
	return false
}

// iteration is one step of the batch, for GET /metrics.
type iteration struct {
	number            uint64
	took              time.Duration
	active, queued    int
	decoders, prefill int
	capacity, free    int // tokens
}

// Run is the batching loop: without it, requests wait. It returns when ctx ends, cutting what is in flight, or ErrDied.
func (e *Engine) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		until, working := e.plan(time.Now())
		if err := e.pause(ctx, timer, until, working); err != nil {
			e.die(err)
			if errors.Is(err, ErrDied) {
				return ErrDied
			}
			return nil
		}
		if working {
			e.commit()
		}
	}
}

// pause waits until a moment, or, where the batch is not working, until something new. A zero moment is never.
func (e *Engine) pause(ctx context.Context, timer *time.Timer, until time.Time, working bool) error {
	wait := time.Until(until)
	if working && wait <= spin {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.dead:
			return ErrDied
		default:
			return nil
		}
	}
	var due <-chan time.Time
	if !until.IsZero() {
		timer.Reset(wait)
		due = timer.C
	}
	news := e.wake
	if working {
		news = nil
	}
	select {
	case <-due:
	case <-news:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.dead:
		return ErrDied
	}
	return nil
}

// plan settles what the next iteration works on and when it ends; working is false if there is nothing to do before then.
func (e *Engine) plan(now time.Time) (until time.Time, working bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := &e.batch
	b.sweep()
	if now.Sub(b.clock) > maxLag {
		b.clock = now.Add(-maxLag)
	}
	if !b.runnable() {
		if len(b.queue) == 0 {
			return time.Time{}, false
		}
		if ready := b.queue[0].readyAt; ready.After(b.clock) {
			b.clock = ready
		}
		if b.clock.After(now) {
			until = b.clock
			return until, false
		}
	}
	b.admit(e.cfg.MaxBatchSize)
	decoders, prefill := b.choose(e.cfg.MaxNumTokens, e.cfg.ChunkedPrefill)
	if decoders+prefill == 0 {
		return time.Time{}, false // all stalled, the queue's head without room: only news helps
	}
	took := e.took(decoders, prefill)
	b.clock = b.clock.Add(took)
	b.iterations++
	if e.cfg.IterStats {
		b.record(took, decoders, prefill)
	}
	return b.clock, true
}

func (e *Engine) took(decoders, prefill int) time.Duration {
	d := e.pace.iteration(decoders, prefill)
	if prefill > 0 {
		d += e.batch.extra
		e.batch.extra = 0
	}
	if f := e.slowed(); f != 1 {
		d = time.Duration(float64(d) * f)
	}
	return e.pace.real(d)
}

// sweep drops the sequences of aborted requests.
func (b *batch) sweep() {
	if !b.aborts {
		return
	}
	b.aborts = false
	b.queue = slices.DeleteFunc(b.queue, func(s *sequence) bool { return s.job.aborted })
	b.active = slices.DeleteFunc(b.active, func(s *sequence) bool {
		if s.job.aborted {
			b.free += s.reserve
		}
		return s.job.aborted
	})
	b.settle()
}

// settle tells whoever drains the engine that it is empty.
func (b *batch) settle() {
	if b.drained != nil && len(b.queue)+len(b.active) == 0 {
		close(b.drained)
		b.drained = nil
	}
}

func (s *sequence) halted() bool { return s.stall >= 0 && int(s.made.Load()) >= s.stall }

func (b *batch) runnable() bool {
	return slices.ContainsFunc(b.active, func(s *sequence) bool { return !s.halted() })
}

func (b *batch) admit(most int) {
	n := 0
	for _, s := range b.queue {
		if len(b.active) >= most || s.reserve > b.free || s.readyAt.After(b.clock) {
			break
		}
		b.free -= s.reserve
		b.active = append(b.active, s)
		n++
	}
	b.queue = slices.Delete(b.queue, 0, n)
}

// choose gives every decoding sequence a token and spends the rest of the iteration's token budget on prompts, in order. A whole
// prompt is read at once unless prefill is chunked; the first one always goes, so that none starves behind decoders.
func (b *batch) choose(budget int, chunked bool) (decoders, prefill int) {
	for _, s := range b.active {
		if s.prefilled == s.prompt && !s.halted() {
			decoders++
		}
	}
	left := budget - decoders
	for _, s := range b.active {
		s.chunk = 0
		want := s.prompt - s.prefilled
		if want == 0 || s.halted() {
			continue
		}
		if chunked {
			want = min(want, max(left, 1))
		}
		if prefill > 0 && want > left {
			break
		}
		s.chunk = want
		prefill += want
		left -= want
	}
	return decoders, prefill
}

// commit hands out what the iteration has made.
func (e *Engine) commit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := &e.batch
	done := 0
	for _, s := range b.active {
		if e.advance(s) {
			b.free += s.reserve
			done++
		}
	}
	if done > 0 {
		b.active = slices.DeleteFunc(b.active, func(s *sequence) bool { return int(s.made.Load()) >= s.limit })
		b.settle()
	}
}

// advance gives one sequence its part of the iteration and reports whether it is complete.
func (e *Engine) advance(s *sequence) bool {
	switch {
	case s.halted():
		return false
	case s.chunk > 0:
		s.prefilled += s.chunk
		s.chunk = 0
		if s.prefilled < s.prompt {
			return false
		}
	case s.prefilled < s.prompt:
		return false // its prompt had no room in this iteration
	}
	made := int(s.made.Add(1))
	done := made >= s.limit
	if done {
		s.job.left--
		if s.job.left == 0 {
			s.job.finished.Store(true)
		}
	}
	if s.job.stream || s.job.left == 0 || s.halted() {
		s.job.tell()
	}
	return done
}
