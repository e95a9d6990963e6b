package slot

import (
	"context"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	countEvery  = time.Second // at most so often engines are asked how many requests they serve
	countWithin = 500 * time.Millisecond
)

// AskAgain pushes a fresh complete list to every watcher, and soon after it one that says how many requests each engine serves.
func (s *Slot) AskAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish()
}

// countRunning follows each list with one that says how many requests each engine serves, as of the moment when asking began: a list that says what
// has changed waits for no engine. Lists that come in quick succession are followed by one.
func (s *Slot) countRunning(ctx context.Context) {
	for {
		select {
		case <-s.count:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		s.publishRunning(began, askRunning(ctx, s.loads()))
		select {
		case <-time.After(countEvery - time.Since(began)):
		case <-ctx.Done():
			return
		}
	}
}

// loads gives what there is to ask of the engines that may serve requests, by instance.
func (s *Slot) loads() map[string]*engine.Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	loads := make(map[string]*engine.Load)
	for _, i := range s.instances {
		if i.load != nil && i.State == fleet.Ready {
			loads[i.ID] = i.load
		}
	}
	return loads
}

// askRunning asks all at once, and gives what those say who answer.
func askRunning(ctx context.Context, loads map[string]*engine.Load) map[string]int {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	var mu sync.Mutex // guards running
	running := make(map[string]int)
	var asking sync.WaitGroup
	for id, load := range loads {
		asking.Go(func() {
			if n := load.Running(ctx); n != fleet.Unasked {
				mu.Lock()
				defer mu.Unlock()
				running[id] = n
			}
		})
	}
	asking.Wait()
	return running
}

// publishRunning tells of what was asked, as of the moment when asking began.
func (s *Slot) publishRunning(began time.Time, running map[string]int) {
	if len(running) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	s.tell(func() fleet.Observation {
		o := s.observe()
		o.At = began
		for k := range o.Instances {
			if n, known := running[o.Instances[k].ID]; known && o.Instances[k].State == fleet.Ready {
				o.Instances[k].Running = n
			}
		}
		return o
	})
}
