package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	resyncEvery = 30 * time.Second // what Nomad forgets by itself is no event
	resyncLeast = time.Second      // between two lists that were asked for
	silentMost  = 35 * time.Second // the stream has a heartbeat each 10 s
	batchesMost = 64               // that wait to be read
)

// errSilentStream is why an event stream is given up.
var errSilentStream = errors.New("the stream is silent")

// Watch tells how things stand until ctx is done or the server is lost: everything that Nomad has, at once and each 30 s, as a complete list; between, what has changed, as
// the event stream says. The stream repeats old events after a restart of a server, so what an object is like is believed of the newest word only.
//
// Which slots exist, and on which nodes, it tells too; which engines are in them, their supervisors tell (see Slots).
//
// An instance whose allocation has ended is told as gone, and its job is stopped, so that Nomad does not start it elsewhere. Sightings name
// no act: a job does not know the numbers of acts, and needs none, for an instance's name is never used again.
//
// Its error wraps the one of fleet's that says what is to blame.
func (n *Nomad) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	return blame(n.watch(ctx, tell))
}

func (n *Nomad) watch(ctx context.Context, tell func(fleet.Observation)) error {
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWatch(n)
	batches := make(chan batch, batchesMost)
	stream, err := w.begin(ctx)
	if err != nil {
		return fmt.Errorf("following Nomad's events: %w", err)
	}
	reading.Go(func() { decode(ctx, stream, batches) })
	for {
		if err := w.step(ctx, tell); err != nil {
			return err
		}
		if err := w.next(ctx, batches); err != nil {
			return fmt.Errorf("following Nomad's events: %w", err)
		}
	}
}

// AskAgain has Watch tell a complete list soon, if the source is this one.
func (n *Nomad) AskAgain(source string) {
	if source != Source {
		return
	}
	select {
	case n.again <- struct{}{}:
	default:
	}
}

// watch is the state of one Watch.
type watch struct {
	n         *Nomad
	namespace string // of others' allocations; the own one where the token may not see all
	state     *state
	changes   changes

	asked      time.Time // when the last complete list was asked for
	heard      time.Time // when the stream spoke last
	returnedAt time.Time // when a node came back, or came
	resync     bool      // everything is to be read now
	wanted     bool      // it is to be read soon

	told      map[string]fleet.Sighting // job ID -> the instance as it was told last
	slotsTold map[string]bool           // the slots that were told of
	logged    map[string]news           // instance ID -> what was logged of it last

	ended        map[string]bool      // job ID -> it is to be stopped
	scaleDown    map[string]uint64    // job ID -> at which version it is to be scaled back
	scaled       map[string]uint64    // job ID -> at which version it was
	surplusSince map[string]time.Time // job ID -> since when it has more than one allocation
}

func newWatch(n *Nomad) *watch {
	w := &watch{
		n: n, namespace: "*", state: newState(n.cfg.Cluster, n.cfg.Namespace, n.prefix()), resync: true, heard: time.Now(),
		told: make(map[string]fleet.Sighting), slotsTold: make(map[string]bool), logged: make(map[string]news),
		ended: make(map[string]bool), scaleDown: make(map[string]uint64), scaled: make(map[string]uint64), surplusSince: make(map[string]time.Time),
	}
	w.changes.reset()
	return w
}

// begin opens the event stream, of a server that answers soon: what is read afterwards has at least all that the stream does not repeat.
func (w *watch) begin(ctx context.Context) (io.ReadCloser, error) {
	index, err := w.startIndex(ctx)
	if err != nil {
		return nil, err
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	late := time.AfterFunc(answersIn, func() { giveUp(errSilent) })
	stream, err := w.open(ctx, index)
	if !late.Stop() && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		giveUp(nil)
		return nil, err
	}
	return &closing{stream, giveUp}, nil
}

// closing is a stream that lets go of its context with its end.
type closing struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close is the stream's own Close.
func (c *closing) Close() error {
	defer c.cancel(nil)
	return c.ReadCloser.Close()
}

// step tells what is new, and corrects what is not as it was ordered.
func (w *watch) step(ctx context.Context, tell func(fleet.Observation)) error {
	if w.resync {
		if err := w.readAll(ctx); err != nil {
			return fmt.Errorf("reading the state of Nomad: %w", err)
		}
		w.resync, w.wanted = false, false
		w.changes.reset()
		tell(w.complete())
	} else if err := w.readChanged(ctx); err != nil {
		return fmt.Errorf("reading a job of Nomad: %w", err)
	} else if o := w.changed(); len(o.Nodes)+len(o.Slots)+len(o.Instances) > 0 {
		tell(o)
	}
	w.wanted = w.wanted || w.changes.unclear
	w.changes.reset()
	return w.correctJobs(ctx)
}

// next waits for something to tell, and takes all that is there at once.
func (w *watch) next(ctx context.Context, batches <-chan batch) error {
	for !w.changes.any() && !w.resync {
		timer := time.NewTimer(w.untilResync())
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
			if time.Since(w.heard) > silentMost {
				return errSilentStream
			}
			w.resync = true
		case <-w.n.again:
			w.wanted = true
		case b := <-batches:
			if err := w.take(&b); err != nil {
				return err
			}
		}
		timer.Stop()
	}
	for range len(batches) {
		b := <-batches
		if err := w.take(&b); err != nil {
			return err
		}
	}
	return nil
}

// take takes a line of the stream.
func (w *watch) take(b *batch) error {
	if b.err != nil {
		return b.err
	}
	w.heard = time.Now()
	for k := range b.Events {
		w.state.apply(&b.Events[k], &w.changes)
	}
	if w.changes.returned {
		w.returnedAt = w.heard
	}
	w.wanted = w.wanted || w.changes.unclear
	return nil
}

// untilResync is how long it is until everything is to be read.
func (w *watch) untilResync() time.Duration {
	if w.wanted {
		return time.Until(w.asked.Add(resyncLeast))
	}
	return time.Until(w.asked.Add(resyncEvery))
}

// prefix begins the name of each of our jobs; others' may begin so too.
func (n *Nomad) prefix() string { return "pilotlight-" + n.cfg.Cluster + "-" }
