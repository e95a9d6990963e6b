package slot

import (
	"context"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// watcher is one Watch under way: what it has not been told yet, in order.
type watcher struct {
	queue []fleet.Observation // guarded by Slot.mu
	wake  chan struct{}       // holds one
}

// Watch calls tell with the complete list of instances at once, and again after each change, every change once and in order, from the
// calling goroutine, until ctx is done; then it returns nil. An instance that has ended is listed once more, as gone.
func (s *Slot) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	s.watch(ctx, tell, func() bool { return ctx.Err() == nil })
	return nil
}

// watch is Watch for whoever, when ctx is done, is still to be told what has been until then, as long as on says so.
func (s *Slot) watch(ctx context.Context, tell func(fleet.Observation), on func() bool) {
	w := &watcher{wake: make(chan struct{}, 1)}
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	first := s.observe()
	first.Instances = append(first.Instances, s.recent...)
	w.queue = append(w.queue, first)
	poke(s.count)
	s.mu.Unlock()
	defer s.forget(w)
	for last := false; ; {
		for _, o := range s.takeQueue(w) {
			if !on() {
				return
			}
			tell(o)
		}
		if last {
			return
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			last = true
		}
	}
}

func (s *Slot) forget(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

func (s *Slot) takeQueue(w *watcher) []fleet.Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := w.queue
	w.queue = nil
	// Whatever woke the watcher is in the queue that it takes now; a later change wakes it again.
	select {
	case <-w.wake:
	default:
	}
	if len(queue) == 0 {
		return nil
	}
	return queue
}

// publish tells every watcher how things stand now; it needs mu. Those who are gone are listed this once.
func (s *Slot) publish(gone ...fleet.Sighting) {
	s.seq++
	s.recent = append(s.recent, gone...)
	if over := len(s.recent) - recentMost; over > 0 {
		s.recent = slices.Delete(s.recent, 0, over)
	}
	s.tell(func() fleet.Observation {
		o := s.observe()
		o.Instances = append(o.Instances, gone...)
		return o
	})
	poke(s.count)
}

// tell gives each watcher a list of its own; it needs mu.
func (s *Slot) tell(list func() fleet.Observation) {
	for w := range s.watchers {
		w.queue = append(w.queue, list())
		poke(w.wake)
	}
}

// poke wakes whoever waits on a channel that holds one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// recentMost bounds the ended instances that a new watcher is told of: it may have asked for one that ended before it
// began to watch.
const recentMost = 64

// observe lists what is there; it needs mu. Each call makes lists of its own.
func (s *Slot) observe() fleet.Observation {
	condition := fleet.PlaceHealthy
	if s.closed {
		condition = fleet.PlaceClosing
	}
	o := fleet.Observation{
		Source: s.cfg.Source, Seq: s.seq, Term: s.term, At: time.Now(), Complete: true,
		Slots: []fleet.Slot{{ID: s.cfg.ID, Pool: s.cfg.Pool, Node: s.cfg.Node, GPUs: s.cfg.GPUs, Host: s.cfg.HostMemory, Condition: condition}},
	}
	for _, i := range s.instances {
		o.Instances = append(o.Instances, i.sighting())
	}
	return o
}
