package slot

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Do accepts one act: it checks and notes it, and returns before it is carried out; the outcome is pushed to the watchers. An
// act that was seen before is accepted again and changes nothing. What cannot be carried out is refused with one of this
// package's errors, and changes nothing. Stop of an unknown instance is accepted, so that a launch that is on its way will
// be refused.
//
// An act of a newer term than the slot has heard of fences off the terms before it, whatever becomes of the act itself.
func (s *Slot) Do(_ context.Context, act fleet.Act) error {
	if err := s.do(act); err != nil {
		return fmt.Errorf("%s %s: %w", act.Kind, act.Instance, err)
	}
	return nil
}

// Fence refuses acts of terms older than this one from its return on, with ErrOldTerm, and tells the watchers. Where the slot has heard of a newer
// term it refuses that itself.
func (s *Slot) Fence(_ context.Context, term uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkTerm(term); err != nil {
		return fmt.Errorf("fencing: %w", err)
	}
	return nil
}

// Configure replaces the models that acts may name which do not bring theirs along. Engines that run stay what they were launched as.
func (s *Slot) Configure(models []*fleet.Model) {
	byID := make(map[string]*fleet.Model, len(models))
	for _, m := range models {
		byID[m.ID] = m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = byID
}

// checkTerm refuses what is of an older term, and notes a newer one; it needs mu.
func (s *Slot) checkTerm(term uint64) error {
	if term < s.term {
		return fmt.Errorf("%w: %d, now %d", ErrOldTerm, term, s.term)
	}
	if term > s.term {
		s.raiseTerm(term)
		s.publish()
	}
	return nil
}

func (s *Slot) do(act fleet.Act) error {
	switch act.Kind {
	case fleet.ActLaunch, fleet.ActStop, fleet.ActPark, fleet.ActResume:
	default:
		return ErrNotAvailable
	}
	if !validID.MatchString(act.Instance) {
		return fmt.Errorf("%q is not an instance id", act.Instance)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkTerm(act.Term); err != nil {
		return err
	}
	switch act.Kind {
	case fleet.ActLaunch:
		return s.launch(act)
	case fleet.ActStop:
		s.stop(act)
		return nil
	default:
		return s.parkOrResume(act)
	}
}

// validID keeps an instance's id usable as a file name.
var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// actNumber is an act's place in the order of all acts.
type actNumber struct{ term, seq uint64 }

func numberOf(act fleet.Act) actNumber { return actNumber{act.Term, act.Seq} }

func (m actNumber) compare(o actNumber) int {
	return cmp.Or(cmp.Compare(m.term, o.term), cmp.Compare(m.seq, o.seq))
}

// launch notes a launch.
func (s *Slot) launch(act fleet.Act) error {
	if launched, ended := s.ended.find(act.Instance); ended {
		if launched == numberOf(act) {
			return nil
		}
		return ErrEnded
	}
	if i := s.find(act.Instance); i != nil {
		return s.repeatLaunch(i, act)
	}
	if s.closed {
		return ErrShuttingDown
	}
	m := act.Config
	if m == nil {
		m = s.models[act.Model]
	}
	if m == nil || m.ID != act.Model {
		return fmt.Errorf("%w: %s", ErrUnknownModel, act.Model)
	}
	if err := s.checkBlock(act, m); err != nil {
		return err
	}
	i := newInstance(s.cfg.ID, m, act)
	s.acted++
	s.instances = append(s.instances, i)
	s.accepted = append(s.accepted, i)
	poke(s.wake)
	s.publish()
	return nil
}

// repeatLaunch answers a launch of an instance that is there: repeated, or sent by a new leader who knows it.
func (s *Slot) repeatLaunch(i *instance, act fleet.Act) error {
	if numberOf(act).compare(i.last) <= 0 {
		return nil
	}
	if i.Model != act.Model || i.GPU != act.GPU || i.GPUs != act.GPUs {
		return ErrExists
	}
	i.last = numberOf(act)
	return nil
}

// checkBlock checks the block: in the slot, whole, aligned as buddies are, and free.
func (s *Slot) checkBlock(act fleet.Act, m *fleet.Model) error {
	switch {
	case act.Slot != "" && act.Slot != s.cfg.ID:
		return fmt.Errorf("%w: slot %q, here is %q", ErrBadBlock, act.Slot, s.cfg.ID)
	case act.GPUs != m.GPUs:
		return fmt.Errorf("%w: %d GPUs, but the model takes %d", ErrBadBlock, act.GPUs, m.GPUs)
	case act.GPUs == 0:
		return nil
	case act.GPU < 0 || act.GPU+act.GPUs > s.cfg.GPUs:
		return fmt.Errorf("%w: GPUs %d to %d of %d", ErrBadBlock, act.GPU, act.GPU+act.GPUs-1, s.cfg.GPUs)
	}
	size := 1
	for size < act.GPUs {
		size *= 2
	}
	if act.GPU%size != 0 {
		return fmt.Errorf("%w: %d GPUs cannot begin at GPU %d", ErrBadBlock, act.GPUs, act.GPU)
	}
	return s.checkFree(act.GPU, act.GPUs, act.Sleepers, nil)
}

// checkFree checks that nobody but self holds one of these GPUs, and that no more than so many are parked on one of them; 0 = any number.
func (s *Slot) checkFree(gpu, gpus, sleepers int, self *instance) error {
	parked := make([]int, gpus)
	for _, i := range s.instances {
		switch {
		case i == self:
		case i.overlaps(gpu, gpus):
			return fmt.Errorf("%w: by %s", ErrBusy, i.ID)
		case i.released:
			for g := max(i.GPU, gpu); g < min(i.GPU+i.GPUs, gpu+gpus); g++ {
				parked[g-gpu]++
			}
		}
	}
	if most := slices.Max(parked); sleepers > 0 && most > sleepers {
		return fmt.Errorf("%w: %d are parked on one of them, %d may be", ErrCrowded, most, sleepers)
	}
	return nil
}

// parkOrResume orders a ready engine to be parked, or a parked one to be resumed.
func (s *Slot) parkOrResume(act fleet.Act) error {
	i := s.find(act.Instance)
	if i == nil {
		if _, ended := s.ended.find(act.Instance); ended {
			return ErrEnded
		}
		return ErrUnknown
	}
	if numberOf(act).compare(i.last) <= 0 {
		return nil
	}
	from, to, done, phase := fleet.Ready, fleet.Parking, fleet.Asleep, i.phase
	if act.Kind == fleet.ActResume {
		from, to, done, phase = fleet.Asleep, fleet.Resuming, fleet.Ready, fleet.PhaseLoading
	}
	switch {
	case i.State == to || i.State == done: // ordered again by whom the answer did not reach
		i.last = numberOf(act)
		s.publish()
		return nil
	case i.State != from:
		return fmt.Errorf("%w: %s", ErrState, i.State)
	case !i.parks:
		return fmt.Errorf("%w: the engine cannot be parked", ErrNotAvailable)
	case to == fleet.Resuming:
		if err := s.checkFree(i.GPU, i.GPUs, act.Sleepers, i); err != nil {
			return err
		}
	case s.cfg.HostMemory > 0 && s.hostMemoryBut(i)+i.model.ParkedMemory > s.cfg.HostMemory:
		return fmt.Errorf("%w: %s of %s is in use, %s more is needed", ErrHostMemory, s.hostMemoryBut(i), s.cfg.HostMemory, i.model.ParkedMemory)
	}
	i.last = numberOf(act)
	s.acted++
	i.State, i.phase, i.failure, i.short, i.released, i.generates = to, phase, "", false, false, false
	i.orders <- act.Kind // its process has taken the one before: the state says so
	s.publish()
	return nil
}

// stop orders the end of an instance.
func (s *Slot) stop(act fleet.Act) {
	i := s.find(act.Instance)
	if i == nil {
		if _, ended := s.ended.find(act.Instance); !ended {
			s.ended.add(act.Instance, actNumber{})
		}
		return
	}
	if i.quitting || numberOf(act).compare(i.last) <= 0 {
		return
	}
	s.acted++
	i.last, i.quitting = numberOf(act), true
	if i.State != fleet.Failed {
		i.State = fleet.Stopping
	}
	close(i.quit)
	s.publish()
}

// hostMemoryBut is what others' engines take of the machine's memory that are parked, or are awake and keep their copy; one that is being resumed gives it back at the end, if at all.
func (s *Slot) hostMemoryBut(self *instance) (sum fleet.Bytes) {
	for _, i := range s.instances {
		if i != self && (i.released || i.State == fleet.Parking || i.State == fleet.Resuming || i.keepsCopy()) {
			sum += i.model.ParkedMemory
		}
	}
	return sum
}

func (s *Slot) find(id string) *instance {
	for _, i := range s.instances {
		if i.ID == id {
			return i
		}
	}
	return nil
}
