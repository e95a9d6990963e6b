package slot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/private"
)

// Slot supervises the engines of one slot. Its methods are safe for concurrent use.
type Slot struct {
	cfg       Config
	dir       string // of logs and process files
	temporary string // directory of engines that run as another user; Run makes and removes it
	owner     string // marks the environment of everything that this directory's supervisors start

	wake  chan struct{} // tells Run that there are launches to begin; holds one
	count chan struct{} // tells Run that engines are to be asked how many requests they serve; holds one

	mu          sync.Mutex              // guards all below
	models      map[string]*fleet.Model // model ID -> model
	closed      bool
	term        uint64 // the highest that an act has carried
	seq         uint64 // of the last observation
	instances   []*instance
	accepted    []*instance // accepted, not begun
	ended       ended
	noSleepMode map[string]bool  // engines' programs that do not know sleep mode
	recent      []fleet.Sighting // the last that have ended, for new watchers
	watchers    map[*watcher]struct{}
	acted       uint64 // acts that were accepted, of all instances
	oomKills    uint64 // what the kernel had killed for want of memory when last looked at
}

// New makes a slot. It creates the directory, and starts nothing.
func New(cfg Config) (*Slot, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	dir := filepath.Join(cfg.Dir, "engines")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the engines' directory: %w", err)
	}
	if err := private.CheckTree(dir); err != nil {
		return nil, fmt.Errorf("the engines' directory is not this user's alone: %w", err)
	}
	owner, err := ownerOf(dir)
	if err != nil {
		return nil, fmt.Errorf("naming the engines' directory: %w", err)
	}
	s := &Slot{
		cfg: cfg, dir: dir, owner: owner,
		wake: make(chan struct{}, 1), count: make(chan struct{}, 1),
		watchers: map[*watcher]struct{}{}, noSleepMode: map[string]bool{},
	}
	s.Configure(cfg.Models)
	s.oomKills, _ = oomKills()
	s.restoreTerm(time.Now())
	return s, nil
}

// Run kills what an earlier supervisor of the directory has left behind, then starts and supervises engines until ctx is done. It
// returns when the last of them has ended: each gets SIGTERM, and SIGKILL after the grace. A clean end is nil; it fails at once
// when another supervisor uses the directory. Run may be called once.
func (s *Slot) Run(ctx context.Context) error {
	lock, err := lockDir(s.dir)
	if err != nil {
		return fmt.Errorf("locking %s: %w", s.dir, err)
	}
	defer lock.Close()
	s.killLeftovers()
	removeScratch, err := s.makeScratch()
	if err != nil {
		return err
	}
	defer removeScratch()

	var thread, engines sync.WaitGroup
	spawn := newSpawner()
	thread.Go(spawn.run)
	defer thread.Wait()
	defer spawn.close()
	defer engines.Wait()
	engines.Go(func() { s.countRunning(ctx) })

	for {
		for _, i := range s.takeAccepted() {
			engines.Go(func() { s.supervise(ctx, spawn, i) })
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			s.close()
			return nil
		}
	}
}

// takeAccepted gives the launches that were accepted since it was last asked.
func (s *Slot) takeAccepted() []*instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	accepted := s.accepted
	s.accepted = nil
	return accepted
}

// close says that the slot takes no launches any more, ends those that were never begun, and says that the others end.
func (s *Slot) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, i := range s.accepted {
		s.remove(i, ending{failure: ErrShuttingDown.Error(), cause: fleet.CausePlace})
	}
	s.accepted = nil
	for _, i := range s.instances {
		if i.State != fleet.Failed {
			i.State = fleet.Stopping
		}
	}
	s.publish()
}
