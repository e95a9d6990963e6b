package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a measured child. Its CPU and memory are those of pids(), read from /proc (Linux only).
type process struct {
	cmd  *exec.Cmd
	done chan error
	log  string // file
	pids func() []int
}

// start runs a command in its own process group with its output in a file.
func start(log string, env []string, name string, args ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), done: make(chan error, 1), log: log}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.pids = func() []int { return []int{p.cmd.Process.Pid} }
	go func() { p.done <- p.cmd.Wait() }() // ends with the process, for which stop waits
	return p, nil
}

// lastWords is the end of what the process has written, and how it ended, if it has.
func (p *process) lastWords() string {
	const most = 4 << 10
	log, _ := os.ReadFile(p.log)
	said := string(log[max(0, len(log)-most):])
	select {
	case err := <-p.done:
		p.done <- err
		return fmt.Sprintf("%s\n%s has ended: %v", said, p.cmd.Path, err)
	default:
		return said
	}
}

// stop asks the process to end and kills its group after the grace.
func (p *process) stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// cpu is the time that all threads of the process have spent on a CPU.
func (p *process) cpu() time.Duration {
	var total time.Duration
	for _, pid := range p.pids() {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, task := range tasks {
			b, err := os.ReadFile(task)
			if err != nil {
				continue // the thread has just ended
			}
			ns, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
			total += time.Duration(ns)
		}
	}
	return total
}

// awaitQuiet waits until the process has nothing more to do for its start, its workers included, for so long at most.
func (p *process) awaitQuiet(most time.Duration) {
	const look, quiet = time.Second, 50 * time.Millisecond
	for end := time.Now().Add(most); time.Now().Before(end); {
		before, had := p.cpu(), len(p.pids())
		time.Sleep(look)
		if used := p.cpu() - before; used >= 0 && used < quiet && len(p.pids()) == had {
			return
		}
	}
}

// rss is the resident memory of the process in bytes.
func (p *process) rss() int64 {
	var total int64
	for _, pid := range p.pids() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
		total += pages * int64(os.Getpagesize())
	}
	return total
}

// children lists the direct children of a process, whichever of its threads made them.
func children(pid int) []int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var out []int
	for _, list := range lists {
		b, _ := os.ReadFile(list) // gone with its thread: the children are another's by now
		for _, field := range strings.Fields(string(b)) {
			child, _ := strconv.Atoi(field)
			out = append(out, child)
		}
	}
	return out
}

// freeAddr finds a loopback address that nobody listens on.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// awaitListening waits until the address accepts connections, for as long as a Python program of many packages takes on a busy machine.
func awaitListening(ctx context.Context, addr string, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("%s ended before it listened: %w", p.cmd.Path, errors.Join(err, errors.New("see its log")))
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s on %s: %w", p.cmd.Path, addr, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
