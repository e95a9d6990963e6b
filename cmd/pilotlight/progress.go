package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

// progress is a line on the terminal that says what a command does, once that takes long. It is gone before anything else is written.
type progress struct {
	out   io.Writer
	ended chan struct{}
	ticks sync.WaitGroup

	mu      sync.Mutex // guards what follows, and what is written
	what    string     // "" = nothing is shown
	since   time.Time
	ticking bool
	width   int // of the line that is shown; 0 = none is
}

// doing says what the command does from now on; "" = nothing that is to be told.
func (e *Env) doing(what string) {
	p := e.progress
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.what, p.since = what, time.Now()
	if what != "" && !p.ticking {
		p.ticking = true
		p.ticks.Go(p.tick)
	}
}

// during runs a command, and shows what it does on a terminal.
func (e *Env) during(run func() error) error {
	if !e.Progress {
		return run()
	}
	p := &progress{out: e.Stderr, ended: make(chan struct{})}
	stdout, stderr := e.Stdout, e.Stderr
	e.progress, e.Stdout, e.Stderr = p, p.above(stdout), p.above(stderr)
	defer func() {
		close(p.ended)
		p.ticks.Wait()
		p.erase()
		e.progress, e.Stdout, e.Stderr = nil, stdout, stderr
	}()
	return run()
}

func (p *progress) tick() {
	t := time.NewTicker(progressEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.show()
		case <-p.ended:
			return
		}
	}
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := time.Since(p.since)
	if p.what == "" || took < progressAfter {
		return
	}
	text := fmt.Sprintf("%s … %.0fs", p.what, took.Seconds())
	fmt.Fprintf(p.out, "\r%s", text)
	p.width = len([]rune(text))
}

// erase clears the line. The caller holds mu, or is alone.
func (p *progress) erase() {
	if p.width > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
	}
	p.width = 0
}

// above writes to w what the line makes room for.
func (p *progress) above(w io.Writer) io.Writer { return aboveProgress{p, w} }

type aboveProgress struct {
	p *progress
	w io.Writer
}

func (a aboveProgress) Write(b []byte) (int, error) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.erase()
	return a.w.Write(b)
}
