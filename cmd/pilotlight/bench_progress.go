package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/bench"
)

// benchProgress shows on stderr how a load goes on: on a terminal over the line before, elsewhere a line now and then.
type benchProgress struct {
	env    *Env
	sender bench.Sender
	began  time.Time

	mu       sync.Mutex // guards what follows
	underWay int
	ended    int
	failed   int
	last     string // failure
	ttft     bench.Histogram
	width    int // of the line that the next one writes over
}

func newBenchProgress(env *Env, sender bench.Sender) *benchProgress {
	return &benchProgress{env: env, sender: sender, began: env.Now()}
}

// Send counts what is under way, and has the request sent.
func (p *benchProgress) Send(ctx context.Context, q *bench.Request, s *bench.Sample) {
	p.mu.Lock()
	p.underWay++
	p.mu.Unlock()
	p.sender.Send(ctx, q, s)
	p.mu.Lock()
	p.underWay--
	p.mu.Unlock()
}

func (p *benchProgress) keep(s *bench.Sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended++
	if s.Failure != "" {
		p.failed, p.last = p.failed+1, s.Failure
	}
	if !s.First.IsZero() {
		p.ttft.Add(s.First.Sub(s.Intended))
	}
}

// begin shows progress until the function that it gives is called.
func (p *benchProgress) begin() (end func()) {
	every := 10 * time.Second
	if p.env.Progress {
		every = 200 * time.Millisecond
	}
	stop := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p.show()
			case <-stop:
				return
			}
		}
	})
	return func() {
		close(stop)
		showing.Wait()
		if p.width > 0 {
			fmt.Fprintln(p.env.Stderr)
		}
	}
}

func (p *benchProgress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%6.1fs  %d answered, %d under way", p.env.Now().Sub(p.began).Seconds(), p.ended-p.failed, p.underWay)
	if p.ttft.Count() > 0 {
		line += fmt.Sprintf(", first token %s (p50) %s (p99)", spanText(p.ttft.Quantile(0.5)), spanText(p.ttft.Quantile(0.99)))
	}
	if p.failed > 0 {
		line += fmt.Sprintf(", %d failed (last: %s)", p.failed, p.last)
	}
	if !p.env.Progress {
		p.env.say("%s", line)
		return
	}
	fmt.Fprintf(p.env.Stderr, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-len(line))))
	p.width = len(line)
}

// spanText writes a span with three digits.
func spanText(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3gms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.3gus", float64(d)/1e3)
}
