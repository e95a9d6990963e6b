package joined_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// tenure is the time in which a server leads: what cmd's member and lead do.
type tenure struct {
	c      *contender
	term   uint64
	fenced chan struct{} // closed once older terms are refused
	refuse sync.Once
	lost   chan struct{} // closed once the back end has refused the term
}

const (
	contendAgain = 250 * time.Millisecond
	leadAgain    = time.Second
	fenceAgain   = 200 * time.Millisecond
)

// contend contends for the lock, and leads while it has it, until ctx is done; then it gives it up at once.
func (l *life) contend(ctx context.Context) {
	for ctx.Err() == nil {
		again := contendAgain
		if err := l.contendOnce(ctx); err != nil && !errors.Is(err, fleet.ErrFenced) {
			again = leadAgain
		}
		l.sleep(ctx, again)
	}
}

func (l *life) contendOnce(ctx context.Context) error {
	c := l.newContender()
	contending, yield := context.WithCancel(context.WithoutCancel(ctx))
	var looking sync.WaitGroup
	looking.Go(func() { c.run(contending) })
	giveUp := func() {
		yield()
		looking.Wait()
	}
	defer giveUp()
	if !c.await(ctx) {
		return nil
	}
	learned, err := l.store.Learned(ctx)
	if err != nil {
		return err
	}
	term, fenced, err := c.begin(ctx)
	if err != nil {
		return err
	}
	t := &tenure{c: c, term: term, fenced: make(chan struct{}), lost: make(chan struct{})}
	if fenced {
		close(t.fenced)
	}
	l.w.Count("a server led")
	l.tenure.Store(t)
	leading, stop := context.WithCancel(context.WithoutCancel(ctx))
	var planning sync.WaitGroup
	left := make(chan *protocol.Handover, 1)
	planning.Go(func() {
		activator.ServersOf(l.activator).Lead(leading, activator.Tenure{Term: term, Learned: learned, Former: c.former(), Left: func(h *protocol.Handover) { left <- h }})
	})
	err = l.lead(ctx, t)
	stop()
	if h := <-left; err == nil {
		err = c.hand(h)
	}
	giveUp()
	l.tenure.Store(nil)
	planning.Wait()
	return err
}

// lead suspends the planner while it is not certain that nobody else leads, until ctx is done or another server does.
func (l *life) lead(ctx context.Context, t *tenure) error {
	ctx, cancel := context.WithCancel(ctx)
	var fencing sync.WaitGroup
	defer fencing.Wait()
	defer cancel()
	fencing.Go(func() { l.keepFencing(ctx, t) })
	for was := holds; ; {
		now, looked := t.c.standing()
		switch {
		case now == was:
		case now == holds:
			l.activator.Resume()
		case now == unsure:
			l.w.Count("a leader was not certain to lead")
			l.activator.Suspend("it is not certain which server leads")
		}
		was = now
		select {
		case <-t.lost:
			now = retired
		default:
		}
		if now == retired {
			l.w.Count("a leader was replaced and lived on")
			l.activator.Suspend("another server has taken over")
			return fleet.ErrFenced
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.lost:
		case <-looked:
		}
	}
}

func (l *life) keepFencing(ctx context.Context, t *tenure) {
	for {
		select {
		case <-t.fenced:
			return
		default:
		}
		if !l.sleep(ctx, fenceAgain) {
			return
		}
		switch err := l.backend().Fence(ctx, t.term); {
		case err == nil:
			close(t.fenced)
		case errors.Is(err, fleet.ErrFenced):
			t.overtaken()
			return
		}
	}
}

func (t *tenure) overtaken() { t.refuse.Do(func() { close(t.lost) }) }

// guarded is the back end of a server, which does nothing but in the tenure of which an act is.
type guarded struct{ of *life }

func (g guarded) Fence(ctx context.Context, term uint64) error {
	return g.of.backend().Fence(ctx, term)
}

func (g guarded) Do(ctx context.Context, act fleet.Act) error {
	t := g.of.tenure.Load()
	if t == nil || t.term != act.Term {
		return fleet.ErrFenced
	}
	select {
	case <-t.fenced:
	case <-t.lost:
		return fleet.ErrFenced
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := t.c.confirm(ctx); err != nil {
		return err
	}
	err := g.of.backend().Do(ctx, act)
	if errors.Is(err, fleet.ErrFenced) {
		t.overtaken()
	}
	return err
}
