package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type consolesCmd struct {
	Pages       int `default:"200" help:"Pages of the fleet that are open."`
	Concurrency int `default:"16" help:"Connections that send requests."`
}

// Run compares what requests cost while nobody looks, and while so many pages of the fleet are open, whose figures the requests change.
func (c *consolesCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	server, err := s.pilotlight(ctx, `idle_after = "1h"`)
	if err != nil {
		return err
	}
	if err := server.warm(); err != nil {
		return err
	}
	cpu, p50, p99, received := samples{}, samples{}, samples{}, []float64{}
	for i := range o.Pairs {
		fmt.Fprintf(os.Stderr, "repetition %d of %d\n", i+1, o.Pairs)
		for _, open := range rand.Perm(2) {
			name, pages := "none", &openPages{}
			if open == 1 {
				name = "open"
				if pages, err = c.open(ctx, server); err != nil {
					return err
				}
			}
			before, bytes := server.proc.cpu(), pages.bytes.Load()
			latencies, err := closedLoop(ctx, &server.target, c.Concurrency, o.Window)
			if err != nil {
				pages.close()
				return err
			}
			time.Sleep(settle)
			cpu[name] = append(cpu[name], micros(server.proc.cpu()-before)/float64(len(latencies)))
			q := quantiles(latencies, 0.5, 0.99)
			p50[name], p99[name] = append(p50[name], micros(q[0])), append(p99[name], micros(q[1]))
			if open == 1 {
				received = append(received, float64(pages.bytes.Load()-bytes)/1e3/float64(c.Pages)/(o.Window+settle).Seconds())
			}
			pages.close()
		}
	}
	r := report{
		Scenario: fmt.Sprintf("small JSON requests, c=%d, with and without %d open pages of the fleet", c.Concurrency, c.Pages),
		Note:     "The pages are on the same machine, and so is their own CPU, which is not counted: that of the server is, with what it writes to them.",
		Findings: []finding{
			summarize("CPU per request, no page open", "us", cpu["none"]),
			summarize("CPU per request, pages open", "us", cpu["open"]),
			summarize("pages open / none, CPU per request", "x", ratios(cpu["open"], cpu["none"])),
			summarize("p50, no page open", "us", p50["none"]),
			summarize("p50, pages open", "us", p50["open"]),
			summarize("p99, no page open", "us", p99["none"]),
			summarize("p99, pages open", "us", p99["open"]),
			summarize("sent to each page", "KB/s", received),
		},
	}
	return r.write(o)
}

// openPages are pages that follow the fleet.
type openPages struct {
	cancel  context.CancelFunc
	reading sync.WaitGroup
	bytes   atomic.Int64
}

func (p *openPages) Write(b []byte) (int, error) {
	p.bytes.Add(int64(len(b)))
	return len(b), nil
}

func (p *openPages) close() {
	if p.cancel != nil {
		p.cancel()
	}
	p.reading.Wait()
}

// open signs in as an operator, and follows the fleet with so many pages.
func (c *consolesCmd) open(ctx context.Context, server *pilotlight) (*openPages, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &openPages{cancel: cancel}
	client := &http.Client{
		Transport:     &http.Transport{MaxConnsPerHost: 0},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	base := "http://" + server.admin
	signIn, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/signin", strings.NewReader(url.Values{"token": {adminToken}}.Encode()))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("signing in: %w", err)
	}
	signIn.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(signIn)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("signing in: %w", err)
	}
	answer.Body.Close()
	for range c.Pages {
		page, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/live?topic=fleet&since=0", nil)
		if err == nil {
			for _, cookie := range answer.Cookies() {
				page.AddCookie(cookie)
			}
			var stream *http.Response
			if stream, err = client.Do(page); err == nil && stream.StatusCode != http.StatusOK {
				err = errors.Join(fmt.Errorf("got %s", stream.Status), stream.Body.Close())
			}
			if err == nil {
				p.reading.Go(func() {
					defer stream.Body.Close()
					_, _ = io.Copy(p, stream.Body) // until it is closed
				})
			}
		}
		if err != nil {
			p.close()
			return nil, fmt.Errorf("following the fleet: %w", err)
		}
	}
	time.Sleep(settle) // the pages' first state is not what is watched
	return p, nil
}
