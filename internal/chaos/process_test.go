//go:build linux

package chaos_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is a program of a machine, over all its lives.
type process struct {
	name    string
	machine *machine
	args    []string
	env     []string // on top of ours
	log     string   // path

	mu    sync.Mutex // guards what is below
	cmd   *exec.Cmd  // nil = it does not run
	done  chan struct{}
	ended []time.Time // when lives were ended, by us
	held  []time.Time // when it was kept from running
}

// start starts the process where it does not run.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		select {
		case <-p.done:
		default:
			return nil
		}
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("nsenter", append([]string{"--net=/run/netns/" + p.machine.name}, p.args...)...) // which becomes the program
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, filepath.Dir(p.log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	done := make(chan struct{})
	go func() { // ends with the process, and that with the namespace at the latest
		_ = cmd.Wait()
		close(done)
	}()
	p.cmd, p.done = cmd, done
	return nil
}

// kill ends the process as kill -9 does, and notes when.
func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	p.ended = append(p.ended, time.Now()) // before anybody can notice
	_ = p.cmd.Process.Kill()
	<-p.done
	p.cmd = nil
	return nil
}

// stop has the process end by itself, and gives how it ended.
func (p *process) stop(within time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	p.ended = append(p.ended, time.Now())
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.name, within)
	}
	state := p.cmd.ProcessState
	p.cmd = nil
	p.ended = append(p.ended, time.Now())
	if !state.Success() {
		return fmt.Errorf("%s: %v", p.name, state)
	}
	return nil
}

// signal sends the process a signal.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if s == syscall.SIGSTOP {
		p.held = append(p.held, time.Now())
	}
	return p.cmd.Process.Signal(s)
}

// revive starts the process again if it has ended by itself, as systemd would, and reports whether it had.
func (p *process) revive() (bool, error) {
	p.mu.Lock()
	dead := p.cmd != nil
	if dead {
		select {
		case <-p.done:
		default:
			dead = false
		}
	}
	p.mu.Unlock()
	if !dead {
		return false, nil
	}
	return true, p.start()
}

// pid is that of the life that runs; 0 = none does.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// diedBetween reports whether a life was ended in that time.
func (p *process) diedBetween(from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.ended {
		if !at.Before(from) && !at.After(to) {
			return true
		}
	}
	return false
}

// lastWords are the end of the log.
func (p *process) lastWords(most int) string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-most):])
}

// hit reports whether a life was ended, or the process was kept from running, in that time.
func (p *process) hit(from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range append(p.ended, p.held...) {
		if !at.Before(from) && !at.After(to) {
			return true
		}
	}
	return false
}
