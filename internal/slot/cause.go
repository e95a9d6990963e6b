package slot

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// exit is how a process ended.
type exit struct {
	how    string // its exit status or signal
	killed bool   // by SIGKILL

	oom    bool // the kernel has killed somebody here for want of memory
	unsure bool // whether it has cannot be seen
}

// words says how the process ended, as far as that is known. It is for one that we have not killed.
func (x exit) words() string {
	switch {
	case x.oom && x.killed:
		return x.how + " by the kernel, for want of memory"
	case x.oom:
		return x.how + ", and the kernel has killed a process here for want of memory"
	case x.killed && x.unsure:
		return x.how + ", not by its supervisor; the kernel does so for want of memory, and whether it did cannot be seen here"
	case x.killed:
		return x.how + ", not by its supervisor, nor by the kernel for want of memory"
	}
	return x.how
}

// lookForOOM notes whether the kernel has killed somebody for want of memory since that was last looked at: of several engines that end at once, the
// first is told of it.
func (s *Slot) lookForOOM(x exit) exit {
	kills, known := oomKills()
	s.mu.Lock()
	defer s.mu.Unlock()
	x.oom, x.unsure = known && kills > s.oomKills, !known
	if known {
		s.oomKills = kills
	}
	return x
}

// causeOf says what is to blame for the end of a process that nobody has ended; "" = nobody knows.
func (e *process) causeOf(x exit, short bool, out *engineLog) fleet.Cause {
	switch {
	case x.oom, short:
		return fleet.CauseMemory
	case x.killed && x.unsure:
		return ""
	case x.killed: // by somebody on the machine
		return fleet.CausePlace
	case out.mentionsBrokenDevice():
		return fleet.CausePlace
	case !e.ready && (e.lacksWeights() || out.mentionsMissingWeights()):
		return fleet.CauseWeights
	}
	return fleet.CauseEngine
}

// lacksWeights reports whether the model's weights are to lie at a path where there is nothing.
func (e *process) lacksWeights() bool {
	path := e.i.model.Engine.Weights
	if e.i.model.Engine.Kind == fleet.EngineSim || !filepath.IsAbs(path) { // a simulated engine reads none
		return false
	}
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// failedStep is the end of an engine whose start, park, resume or health has failed.
func failedStep(why string, err error, out *engineLog) ending {
	end := ending{failure: why + out.lastLines(), cause: fleet.CauseEngine, short: errors.Is(err, engine.ErrOutOfMemory)}
	if end.short {
		end.cause = fleet.CauseMemory
	}
	return end
}
