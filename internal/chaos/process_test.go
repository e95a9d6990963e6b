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
	spans []span // in which lives were ended, by us
}

// span is how long it took to end a life, or the moment from which it was kept from running. to zero: it is not over.
type span struct {
	from, to        time.Time
	orderly, halted bool
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

// kill ends the process as kill -9 does.
func (p *process) kill() error {
	over := p.notes(span{})
	defer over()
	cmd, done := p.takeOut()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Kill()
	<-done
	return nil
}

// stop has the process end by itself, and gives how it ended.
func (p *process) stop(within time.Duration) error {
	over := p.notes(span{orderly: true})
	defer over()
	cmd, done := p.takeOut()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(within):
		_ = cmd.Process.Kill()
		<-done
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.name, within)
	}
	if state := cmd.ProcessState; !state.Success() {
		return fmt.Errorf("%s: %v", p.name, state)
	}
	return nil
}

// takeOut takes the life that runs out of the process, so that it ends only once.
func (p *process) takeOut() (*exec.Cmd, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := p.cmd
	p.cmd = nil
	return cmd, p.done
}

// notes keeps the span that begins now, until what it gives is called.
func (p *process) notes(s span) (over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.from = time.Now()
	p.spans = append(p.spans, s)
	at := len(p.spans) - 1
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.spans[at].to = time.Now()
	}
}

// signal sends the process a signal.
func (p *process) signal(s syscall.Signal) error {
	if s == syscall.SIGSTOP {
		p.notes(span{halted: true})()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
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

// endedIn reports whether a life was ended in that time: kill -9 loses all that is in flight, an orderly end only what was not yet begun to be answered.
func (p *process) endedIn(from, to time.Time, begun bool) bool {
	return p.noted(from, to, func(s span) bool { return !s.halted && !(s.orderly && begun) })
}

// hit reports whether a life was ended, or kept from running, in that time.
func (p *process) hit(from, to time.Time) bool {
	return p.noted(from, to, func(span) bool { return true })
}

func (p *process) noted(from, to time.Time, counts func(span) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.spans {
		if counts(s) && !s.from.After(to) && (s.to.IsZero() || !s.to.Before(from)) {
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
