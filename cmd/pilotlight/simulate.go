package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/simulate"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// simulateCmd runs policies over a trace in virtual time. It needs no server.
type simulateCmd struct {
	Trace  string   `required:"" type:"path" placeholder:"T.csv.gz" help:"The requests, as a gzipped CSV."`
	Models string   `type:"path" placeholder:"FILE" help:"What the trace's models need; T_models.csv beside the trace if not given."`
	Nodes  *int     `placeholder:"N" help:"Nodes of the cluster; with --for-p99 the most that are looked at, half as many again as dedicated engines need if not given."`
	Policy []string `placeholder:"A,B" help:"fixed-T, kpa and hybrid, each also +park; adaptive, oracle. adaptive if not given, and with --for-p99 fixed-15m and fixed-60+park, too."`
	ForP99 string   `name:"for-p99" placeholder:"SPAN" help:"Find how many GPUs each policy needs so that at most 1 % of the requests wait longer, beside dedicated engines that are always hot."`
	Seed   []uint64 `placeholder:"N" default:"7" help:"Seeds of what moves take; several give a run each."`
	Lambda float64  `default:"10" help:"GPU-hours that an hour of waiting is worth."`
	Idle   float64  `name:"idle-cost" default:"1" help:"What the adaptive policy counts for idle GPU time, 0 to 1."`
	Bound  float64  `name:"bound-may-cost" default:"0.02" help:"What of the least cost that is expected the adaptive policy may spend on keeping a model hot for as long as a park and a wake take; 0 = whatever that costs, as servers do."`
	Warmup string   `default:"24h" help:"Nothing before is scored."`
	HTML   string   `name:"html" type:"path" placeholder:"FILE" help:"Also write a report with plots."`

	GPUs         int     `name:"gpus-per-node" group:"The cluster" default:"8" help:"GPUs of a node."`
	ParkedPerGPU int     `name:"max-parked-per-gpu" group:"The cluster" default:"6" help:"Engines that may be parked on a GPU."`
	HostMemory   string  `group:"The cluster" default:"1900GB" help:"Of a node, for parked engines."`
	Share        float64 `group:"The cluster" default:"0.5" help:"Of its GPUs that one model may hold."`
	Patience     string  `group:"The cluster" default:"10s" help:"A model waits so long before a busy instance is drained for it."`
	Residence    string  `group:"The cluster" default:"60s" help:"And that one has been hot so long."`
	ParkTimes    float64 `group:"The cluster" default:"1" help:"What parks take, times what the trace's models say."`
	FirstPark    float64 `name:"first-park-times" group:"The cluster" default:"3" help:"What the first park of an engine takes, which pins its host memory, times a later one."`
	KeepsCopy    bool    `group:"The cluster" help:"Engines that have been parked keep their copy in host memory while they are awake."`
	IdleAfter    string  `group:"The cluster" placeholder:"SPAN" help:"The longest that an instance stays hot without a request; no bound if not given."`
	ColdStart    bool    `group:"The cluster" help:"Begin with an empty cluster, not with every engine parked."`
	jsonFlag
}

// Run simulates every policy with every seed, and prints what they cost, or how many GPUs they need.
func (c simulateCmd) Run(env *Env) error {
	if c.Nodes == nil && c.ForP99 == "" {
		return errors.New("how many nodes has the cluster? give --nodes, or --for-p99 to have them found")
	}
	if len(c.Policy) == 0 {
		c.Policy = []string{"adaptive"}
		if c.ForP99 != "" {
			c.Policy = sizedPolicies
		}
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	for _, p := range c.Policy {
		if err := simulate.CheckPolicy(p); err != nil {
			return err
		}
	}
	if c.ForP99 != "" {
		return c.sizeFleets(env, cfg)
	}
	results := []*simulate.Result{}
	for _, cfg.Policy = range c.Policy {
		for _, cfg.Seed = range c.Seed {
			began := env.Now()
			env.doing(fmt.Sprintf("simulating %s, seed %d", cfg.Policy, cfg.Seed))
			r, err := simulate.Run(env.ctx, cfg)
			if err != nil {
				return err
			}
			results = append(results, r)
			env.say("%s, seed %d: cost %.1f GPU-hours (%.1f s)", r.Policy, r.Seed, r.Cost, env.Now().Sub(began).Seconds())
		}
	}
	bound, err := c.bound(&cfg)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		if err := c.report(&cfg, results, bound); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeJSON(env.Stdout, results)
	}
	t := newTable(simulate.Columns...)
	for _, r := range results {
		t.row(r.Row()...)
	}
	if err := t.write(env.Stdout); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "\nNo policy can cost less than %.1f GPU-hours (nobody waits, room for all); busy are %.1f.\n", bound.IdleGPUHours, bound.BusyGPUHours)
	return err
}

// config makes the simulation's config of the flags.
func (c simulateCmd) config() (simulate.Config, error) {
	cfg := simulate.Default()
	cfg.Trace, cfg.Lambda, cfg.IdleCost, cfg.GPUsPerNode, cfg.ParkedPerGPU, cfg.Share, cfg.Bound = c.Trace, c.Lambda, c.Idle, c.GPUs, c.ParkedPerGPU, c.Share, c.Bound
	cfg.StartParked, cfg.FirstPark, cfg.KeepsCopy = !c.ColdStart, c.FirstPark, c.KeepsCopy
	if c.Nodes != nil {
		cfg.Nodes = *c.Nodes
	}
	var err error
	if cfg.HostMemory, err = fleet.ParseBytes(c.HostMemory); err != nil {
		return cfg, fmt.Errorf("--host-memory: %w", err)
	}
	for _, span := range []struct {
		flag, text string
		to         *time.Duration
	}{
		{"warmup", c.Warmup, &cfg.Warmup},
		{"patience", c.Patience, &cfg.Patience},
		{"residence", c.Residence, &cfg.Residence},
		{"idle-after", c.IdleAfter, &cfg.IdleAfter},
	} {
		if span.text == "" {
			continue
		}
		if *span.to, err = fleet.ParseDuration(span.text); err != nil {
			return cfg, fmt.Errorf("--%s: %w", span.flag, err)
		}
	}
	if c.Models == "" {
		c.Models = trace.ProfilesBeside(c.Trace)
	}
	if !(c.ParkTimes > 0 && c.ParkTimes <= 1000) {
		return cfg, fmt.Errorf("--park-times %g; write a number above 0, at most 1000", c.ParkTimes)
	}
	cfg.Profiles, err = trace.ReadProfiles(c.Models)
	for i := range cfg.Profiles {
		cfg.Profiles[i].Park = time.Duration(float64(cfg.Profiles[i].Park) * c.ParkTimes)
	}
	return cfg, err
}

// bound gives what no policy can undercut.
func (c simulateCmd) bound(cfg *simulate.Config) (trace.Bound, error) {
	r, err := trace.Open(cfg.Trace, cfg.Profiles)
	if err != nil {
		return trace.Bound{}, err
	}
	defer r.Close()
	return trace.LowerBound(r, cfg.Profiles, cfg.Warmup)
}

// report writes the page with the plots.
func (c simulateCmd) report(cfg *simulate.Config, results []*simulate.Result, bound trace.Bound) error {
	return c.writePage(func(w io.Writer) error {
		return simulate.WriteHTML(w, simulate.Report{
			Trace: c.traceName(), Nodes: cfg.Nodes, GPUs: cfg.GPUsPerNode, Lambda: cfg.Lambda, Bound: bound, Results: results,
		})
	})
}

func (c simulateCmd) traceName() string {
	return strings.TrimSuffix(c.Trace[strings.LastIndexByte(c.Trace, '/')+1:], ".csv.gz")
}

// writePage writes the file of --html.
func (c simulateCmd) writePage(write func(io.Writer) error) error {
	f, err := os.Create(c.HTML)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
