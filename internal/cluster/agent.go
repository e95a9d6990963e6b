//go:build unix

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Agent is one running Nomad, Consul or Docker process, with its data and its log in a directory of its own. Its methods are for
// one goroutine.
type Agent struct {
	Name   string // nomad-server, consul-server, node-1, consul-1, …
	Addr   string // of its HTTP API, http://host:port, or https://host:port
	client *http.Client
	dir    string
	binary string
	args   []string
	env    []string // on top of ours
	alive  string   // path that is answered once it runs
	cmd    *exec.Cmd
	done   chan struct{} // closed when the process is gone
}

// Start starts the agent and waits until its API answers. A restarted one has the data of its former life.
func (a *Agent) Start(ctx context.Context) error {
	log, err := os.OpenFile(a.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", a.Name, err)
	}
	defer log.Close()
	a.cmd = exec.Command(a.binary, a.args...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.Env = append(environment(), a.env...)
	a.cmd.Dir = a.dir // what it starts is found by it: of a Nomad client that was killed, the loggers of tasks live on
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := a.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", a.Name, err)
	}
	a.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { // ends with the process, for which Kill and Interrupt wait
		_ = cmd.Wait()
		close(done)
	}(a.cmd, a.done)
	return a.await(ctx, a.alive)
}

// environment is ours without what would steer the agents to somebody else's cluster, and without AWS_CA_BUNDLE, with
// which Nomad 1.11 does not start.
func environment() []string {
	var out []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "NOMAD_") && !strings.HasPrefix(entry, "CONSUL_") && !strings.HasPrefix(entry, "AWS_CA_BUNDLE=") {
			out = append(out, entry)
		}
	}
	return out
}

// await asks for a path until it is answered.
func (a *Agent) await(ctx context.Context, path string) error {
	for {
		if a.answers(ctx, path) {
			return nil
		}
		select {
		case <-a.done:
			return fmt.Errorf("%s ended at its start:\n%s", a.Name, a.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w\n%s", a.Name, context.Cause(ctx), a.lastWords())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers reports whether the API is up. One that wants a token is.
func (a *Agent) answers(ctx context.Context, path string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Addr+path, nil)
	if err != nil {
		return false
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusForbidden
}

// Kill ends the agent as a crash would. What it had started goes on.
func (a *Agent) Kill() { a.end(syscall.SIGKILL, 0) }

// Interrupt ends the agent as an operator would, and kills it if that takes longer than the grace.
func (a *Agent) Interrupt(grace time.Duration) { a.end(syscall.SIGINT, grace) }

// Suspend stops the agent's process where it is: it keeps its connections, and says nothing, as a machine whose network is cut. Continue lets it go on.
func (a *Agent) Suspend() { a.signal(syscall.SIGSTOP) }

// Continue lets a suspended agent go on.
func (a *Agent) Continue() { a.signal(syscall.SIGCONT) }

func (a *Agent) signal(s syscall.Signal) {
	if a.cmd != nil {
		_ = a.cmd.Process.Signal(s)
	}
}

func (a *Agent) end(signal syscall.Signal, grace time.Duration) {
	if a.cmd == nil {
		return
	}
	_ = a.cmd.Process.Signal(signal)
	if grace > 0 {
		select {
		case <-a.done:
		case <-time.After(grace):
			_ = a.cmd.Process.Kill()
		}
	}
	<-a.done
	a.cmd = nil
}

// Log is the agent's log file.
func (a *Agent) Log() string { return filepath.Join(a.dir, "agent.log") }

// lastWords are the end of the agent's log.
func (a *Agent) lastWords() string {
	const most = 2000
	b, _ := os.ReadFile(a.Log())
	return string(b[max(0, len(b)-most):])
}
