package nomad

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const connectAgain = time.Second

// errAskedAgain ends a stream that is to be opened anew.
var errAskedAgain = errors.New("asked again")

// errEnded is why a stream has ended without an error.
var errEnded = errors.New("the stream has ended")

// Slots is the observer of what is in the pools' slots. It tells, as source "slot/<id>", what the supervisor of each slot says that Nomad runs, that a
// supervisor cannot be reached, and in the end that nothing is there any more. It goes on while the Nomad servers do not answer.
type Slots struct {
	n *Nomad

	mu        sync.Mutex           // guards following
	following map[string]*follower // slot ID -> the one that is followed
}

// Slots gives the observer of the slots that Watch of n finds: both are to be watched.
func (n *Nomad) Slots() *Slots { return &Slots{n: n, following: make(map[string]*follower)} }

// Watch tells what is in the slots until ctx is done; then it returns nil.
func (s *Slots) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	w := &slotsWatch{slots: s, tell: tell}
	defer w.wait.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.forgetAll()
	for {
		all, changed := s.n.slots.snapshot()
		for k := range all {
			w.reconcile(ctx, &all[k])
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// AskAgain opens the stream of that slot's supervisor anew, which begins with a complete list. One that has not begun yet is not disturbed: it is
// opened anew when it has.
func (s *Slots) AskAgain(source string) {
	id, ours := strings.CutPrefix(source, slotSource)
	if !ours {
		return
	}
	if f := s.follower(id); f != nil {
		f.askAgain()
	}
}

func (s *Slots) follower(id string) *follower {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.following[id]
}

func (s *Slots) setFollower(id string, f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil {
		delete(s.following, id)
	} else {
		s.following[id] = f
	}
}

func (s *Slots) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.following)
}

// slotsWatch is the state of one Watch.
type slotsWatch struct {
	slots *Slots
	wait  sync.WaitGroup

	speech sync.Mutex // has one speak at a time
	tell   func(fleet.Observation)
}

func (w *slotsWatch) say(o fleet.Observation) {
	w.speech.Lock()
	defer w.speech.Unlock()
	w.tell(o)
}

// reconcile begins to follow a slot that runs, and ends with one that is gone.
func (w *slotsWatch) reconcile(ctx context.Context, e *entry) {
	f := w.slots.follower(e.ID)
	switch {
	case e.gone && f != nil:
		f.cancel()
		<-f.done // what it said is older than its end
		w.slots.setFollower(e.ID, nil)
		w.say(f.lastWord(e))
	case !e.gone && f == nil && e.addr != "":
		w.follow(ctx, *e)
	}
}

func (w *slotsWatch) follow(ctx context.Context, e entry) {
	f := &follower{w: w, id: e.ID, host: e.Host, done: make(chan struct{}), again: make(chan struct{}, 1)}
	ctx, f.cancel = context.WithCancel(ctx)
	w.slots.setFollower(e.ID, f)
	w.wait.Go(func() {
		defer close(f.done)
		f.run(ctx)
	})
}

// follower follows one slot's supervisor.
//
//	opening ──first list──► heard ──ends──► opening ──fails again──► lost ──first list──► heard
type follower struct {
	w      *slotsWatch
	id     string
	host   fleet.Bytes // where the supervisor does not say
	cancel context.CancelFunc
	done   chan struct{}
	again  chan struct{} // it is asked again

	failed  int                // tries in a row that brought nothing
	engines []fleet.Instance   // as it said last
	mu      sync.Mutex         // guards reopen
	reopen  context.CancelFunc // ends the stream that has begun; nil = none has
}

// run tells what the supervisor says, again and again where it is lost. That it is lost is told once, after the first try to reach it again.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAskedAgain) {
			continue
		}
		if f.failed++; f.failed == 2 && !f.w.slots.n.slots.givenBack(f.id) {
			f.w.slots.n.log.Warn("the slot's supervisor is not heard", "slot", f.id, "reason", err)
			f.w.say(fleet.Observation{Source: slotSource + f.id, At: time.Now(), Lost: blame(blameSlot(err))})
		}
		select {
		case <-ctx.Done():
		case <-time.After(connectAgain):
		}
	}
}

// once follows one stream to its end.
func (f *follower) once(ctx context.Context) error {
	client, err := f.w.slots.n.slotClient(ctx, f.id)
	if err != nil {
		return err
	}
	f.asked()
	streaming, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer f.setReopen(nil)
	err = client.Watch(streaming, func(o fleet.Observation) {
		f.hear(o)
		f.setReopen(func() { end(errAskedAgain) })
	})
	switch {
	case errors.Is(context.Cause(streaming), errAskedAgain):
		return errAskedAgain
	case err == nil:
		return errEnded
	}
	return err
}

// hear hands on what the supervisor says.
func (f *follower) hear(o fleet.Observation) {
	f.failed = 0
	o.Source = slotSource + f.id
	for k := range o.Slots {
		o.Slots[k].Supervisor = o.Source
		if o.Slots[k].Host == 0 {
			o.Slots[k].Host = f.host
		}
	}
	if o.Complete {
		f.engines = f.engines[:0]
		for k := range o.Instances {
			if !o.Instances[k].Gone {
				f.engines = append(f.engines, o.Instances[k].Instance)
			}
		}
	}
	f.w.say(o)
}

// lastWord says that nothing is in the slot any more, and why, where nobody asked for its end.
func (f *follower) lastWord(e *entry) fleet.Observation {
	o := fleet.Observation{Source: slotSource + f.id, At: time.Now(), Complete: true, Slots: []fleet.Slot{}}
	if e.reason == "" {
		return o
	}
	cause := e.cause
	if cause != fleet.CauseMemory {
		cause = fleet.CausePlace
	}
	for _, i := range f.engines {
		i.State = fleet.Failed
		o.Instances = append(o.Instances, fleet.Sighting{Instance: i, Gone: true, Running: fleet.Unasked, Failure: "its slot has ended: " + e.reason, Cause: cause})
	}
	return o
}

// askAgain has the stream opened anew, now or when it has begun.
func (f *follower) askAgain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reopen != nil {
		f.reopen()
		f.reopen = nil
		return
	}
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// asked notes that a list is asked for now, which is what whoever asked again before wants.
func (f *follower) asked() {
	select {
	case <-f.again:
	default:
	}
}

// setReopen notes how the stream can be ended now that it has begun, and does it where that is asked for; nil = it has ended.
func (f *follower) setReopen(reopen func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reopen = reopen
	if reopen == nil {
		return
	}
	select {
	case <-f.again:
		reopen()
		f.reopen = nil
	default:
	}
}
