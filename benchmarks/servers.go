package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// serversCmd answers: does a cluster carry more with more servers? Each takes its part of one load, on one Nomad and one Consul.
type serversCmd struct {
	Servers     int `default:"1" help:"Of one cluster. More than one share a Postgres, which PILOTLIGHT_DATABASE_URL names."`
	Concurrency int `default:"16" help:"Connections to each server."`
}

// meetWithin is long enough for a server to hear of another's token, and of what runs.
const meetWithin = 30 * time.Second

func (c *serversCmd) Run(ctx context.Context, o *options) error {
	if c.Servers < 1 || c.Servers > 1 && os.Getenv("PILOTLIGHT_DATABASE_URL") == "" {
		return fmt.Errorf("%d servers; write 1 or more, and for more than one name the Postgres that they share in PILOTLIGHT_DATABASE_URL", c.Servers)
	}
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Fprintln(os.Stderr, "starting Nomad and Consul; a machine's first time builds both, which takes some ten minutes each")
	site, err := cluster.Start(ctx, cluster.Config{Nodes: 1})
	if err != nil {
		return err
	}
	s.cleanups = append(s.cleanups, func() {
		if err := site.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "benchmarks: stopping the cluster:", err)
		}
	})
	servers, err := c.start(ctx, s, site)
	if err != nil {
		return err
	}
	rate, cpu := make([][]float64, len(servers)+1), make([][]float64, len(servers)+1)
	for range o.Pairs {
		for n := 1; n <= len(servers); n++ {
			per, used, err := c.load(ctx, o, servers[:n])
			if err != nil {
				return err
			}
			rate[n], cpu[n] = append(rate[n], per), append(cpu[n], used)
		}
	}
	r := report{
		Scenario: fmt.Sprintf("small JSON requests to 1 to %d servers of one cluster on Nomad, c=%d each", c.Servers, c.Concurrency),
		Note:     "servers, engine, Nomad, Consul and the load share the machine's CPUs: more servers can carry no more here than its CPUs do, so what to read is CPU per request",
	}
	for n := 1; n <= len(servers); n++ {
		name := fmt.Sprintf("%d servers", n)
		if n == 1 {
			name = "1 server"
		}
		r.Findings = append(r.Findings, summarize(name+": requests per second", "1/s", rate[n]), summarize(name+": CPU of all servers per request", "us", cpu[n]))
		if n > 1 {
			worth := ratios(cpu[1], cpu[n])
			for i := range worth {
				worth[i] *= float64(n)
			}
			r.Findings = append(r.Findings, summarize(name+" / 1 server, CPU per request", "x", ratios(cpu[n], cpu[1])),
				summarize(name+" / 1 server, requests per second on CPUs of their own", "x", worth))
		}
	}
	return r.write(o)
}

// start starts the servers, each on a directory of its own, and has the first one's request start the model's engine.
func (c *serversCmd) start(ctx context.Context, s *stage, site *cluster.Cluster) ([]*pilotlight, error) {
	text := fmt.Sprintf(`backend "nomad" {
  addr = %q
  consul {
    addr = %q
  }
}
model "bench" {
  gpus            = 1
  idle_after      = "1h"
  max_concurrency = 4096
  instances {
    min = 1
    max = 1
  }
  engine "openai" {
    driver  = "raw_exec"
    command = [%q, "engine"]
    weights = "none"
    memory  = "1GiB"
  }
}
`, site.Nomad.Addr, site.Consul.Addr, s.self)
	if c.Servers > 1 {
		s.store = `store "postgres" { url_env = "PILOTLIGHT_DATABASE_URL" }`
		text += "servers {\n  addr = \"127.0.0.1:0\"\n}\n"
	}
	first, err := s.serve(ctx, text)
	if err != nil {
		return nil, err
	}
	servers := []*pilotlight{first}
	for len(servers) < c.Servers {
		next, err := s.launch(ctx, text)
		if err != nil {
			return nil, err
		}
		next.token = first.token // of the same store
		servers = append(servers, next)
	}
	for _, server := range servers {
		for deadline := time.Now().Add(meetWithin); ; time.Sleep(settle) {
			if err := server.warm(); err == nil {
				break
			} else if time.Now().After(deadline) {
				return nil, err
			}
		}
	}
	return servers, nil
}

// load keeps connections to each of the servers busy for a window, and gives requests a second and the CPU of a request in us, of all of them together.
func (c *serversCmd) load(ctx context.Context, o *options, servers []*pilotlight) (rate, cpu float64, err error) {
	counts, errs := make([]int, len(servers)), make([]error, len(servers))
	var before, after time.Duration
	for _, server := range servers {
		before += server.proc.cpu()
	}
	var loads sync.WaitGroup
	for i, server := range servers {
		loads.Go(func() {
			var latencies []time.Duration
			latencies, errs[i] = closedLoop(ctx, &server.target, c.Concurrency, o.Window)
			counts[i] = len(latencies)
		})
	}
	loads.Wait()
	time.Sleep(settle)
	total := 0
	for i, server := range servers {
		after += server.proc.cpu()
		total += counts[i]
	}
	return float64(total) / o.Window.Seconds(), micros(after-before) / float64(total), errors.Join(errs...)
}
