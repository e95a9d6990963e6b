package slot

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

// child is one engine process, the leader of a process group of its own.
type child struct {
	cmd  *exec.Cmd
	user *User  // nil = the supervisor's own
	mark string // in its environment, and in that of all that it starts

	mu     sync.Mutex // guards reaped: a number that has been reaped may be another's
	reaped bool
}

// ownerVariable holds the owner and the instance. It marks the environment of everything that a supervisor starts, so that its successor finds it again, even
// where it has left the process group.
const ownerVariable = "PILOTLIGHT_ENGINE_OWNER"

// outputDelay bounds how long an ended engine's output is waited for where a process that escaped its group still has it.
const outputDelay = 50 * time.Millisecond

// start starts an engine and records its process.
func (s *Slot) start(spawn *spawner, i *instance, l engine.Launch, out *engineLog) (*child, error) {
	cmd := exec.Command(l.Path, l.Args...)
	c := &child{cmd: cmd, mark: s.mark() + i.ID, user: s.cfg.User}
	cmd.Env = s.environment(i, l, c.mark)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = outputDelay
	isolate(cmd)
	done, err := s.asUser(cmd)
	if err != nil {
		return nil, err
	}
	err = spawn.start(cmd)
	done()
	if err != nil {
		return nil, s.startError(err)
	}
	if err := s.record(i, cmd.Process.Pid); err != nil {
		s.cfg.Log.Warn("engine's process was not recorded", "instance", i.ID, "reason", err)
	}
	s.cfg.Log.Info("engine started", "model", i.model.ID, "instance", i.ID, "pid", cmd.Process.Pid)
	return c, nil
}

// mark is how the environment entry of everything that this directory's supervisors start begins.
func (s *Slot) mark() string { return ownerVariable + "=" + s.owner + "/" }

// devices names the GPUs of an instance; one without GPUs is to see none.
func (s *Slot) devices(i *instance) []string {
	if i.GPUs == 0 {
		return nil
	}
	return s.cfg.Devices[i.GPU : i.GPU+i.GPUs]
}

// startError says of a program that could not be started what the engines' user has to do with it.
func (s *Slot) startError(err error) error {
	if s.cfg.User == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w; engines run as the user %q, who needs to read the program and all that leads to it (or choose another with engine_user)", err, s.cfg.User.Name)
}

// wait returns when the process has ended, with its group and whatever else it has started, and says how.
func (c *child) wait() exit {
	err := c.finish()
	awaitGroup(c.cmd.Process.Pid)
	// MPI puts its workers into groups of their own.
	killMarked(c.mark+"\x00", c.user)
	if c.cmd.ProcessState == nil {
		return exit{how: fmt.Sprintf("waiting failed: %v", err)}
	}
	return exit{how: c.cmd.ProcessState.String(), killed: wasKilled(c.cmd.ProcessState)}
}

// terminate asks the group to end; kill makes it. Both do nothing once it has.
func (c *child) terminate() { c.signal(terminateGroup) }
func (c *child) kill()      { c.signal(killGroup) }

func (c *child) signal(send func(leader int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		send(c.cmd.Process.Pid)
	}
}
