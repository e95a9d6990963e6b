package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

// simFlags are passed on to every simulated engine; `pilotlight trtsim --help` says more about each. Where a model's own
// args repeat one, that model's wins. Nil is not given.
type simFlags struct {
	Speed float64 `name:"sim-speed" group:"Simulated engines" default:"20" help:"Run that many times faster than life; 1 is life."`
	Stack string  `name:"sim-stack" group:"Simulated engines" enum:"vendor,published" default:"vendor" help:"Whose stack: vendor, or published (slower: gives the published response times)."`
	Load  string  `name:"sim-load" group:"Simulated engines" enum:"hot,staged,network" default:"staged" help:"Where weights come from: hot (page cache), staged (local NVMe), network."`
	Seed  *uint64 `name:"sim-seed" group:"Simulated engines" placeholder:"N" help:"Seed of jitter and texts; 0 is no jitter."`

	LoadTime       *time.Duration `name:"sim-load-time" group:"Simulated engines" placeholder:"SPAN" help:"The whole load, before division by the speed."`
	TokenTime      *time.Duration `name:"sim-token-time" group:"Simulated engines" placeholder:"SPAN" help:"Every iteration, before division by the speed."`
	ContainerStart *time.Duration `name:"sim-container-start" group:"Simulated engines" placeholder:"SPAN" help:"Part of the load before the process would run."`
	ColdCache      bool           `name:"sim-cold-cache" group:"Simulated engines" help:"Warm up with an empty kernel cache."`
	LaxControl     bool           `name:"sim-lax-control" group:"Simulated engines" help:"Sleep mode without clock window and nonce memory."`

	Faults      []string `name:"sim-fault" group:"Faults of simulated engines" placeholder:"KIND" sep:"none" help:"Any fault, as KIND[:after=N][:factor=F][:times=N]. Repeatable."`
	FailLoad    *float64 `name:"sim-fail-load" group:"Faults of simulated engines" placeholder:"FRACTION" help:"Exit after this fraction of the load."`
	DieAfter    *uint    `name:"sim-die-after" group:"Faults of simulated engines" placeholder:"N" help:"Die when a request has N tokens."`
	CutAfter    *uint    `name:"sim-cut-after" group:"Faults of simulated engines" placeholder:"N" help:"Cut each request's connection at N tokens."`
	HangAfter   *uint    `name:"sim-hang-after" group:"Faults of simulated engines" placeholder:"N" help:"Make no token after a request's Nth."`
	FatalAfter  *uint    `name:"sim-fatal-after" group:"Faults of simulated engines" placeholder:"N" help:"Answer null and shut down at N tokens."`
	Slow        *float64 `name:"sim-slow" group:"Faults of simulated engines" placeholder:"FACTOR" help:"Take FACTOR times as long for each token."`
	HealthOnly  bool     `name:"sim-health-only" group:"Faults of simulated engines" help:"Be healthy and never answer."`
	Unhealthy   bool     `name:"sim-unhealthy" group:"Faults of simulated engines" help:"Never be healthy."`
	Error       bool     `name:"sim-error" group:"Faults of simulated engines" help:"Answer every request 400."`
	FailResume  bool     `name:"sim-fail-resume" group:"Faults of simulated engines" help:"Fail to resume."`
	HangResume  bool     `name:"sim-hang-resume" group:"Faults of simulated engines" help:"Never end a resume."`
	FailRelease bool     `name:"sim-fail-release" group:"Faults of simulated engines" help:"Fail to release memory."`
	HangRelease bool     `name:"sim-hang-release" group:"Faults of simulated engines" help:"Never end a release."`
	NoSleep     bool     `name:"sim-no-sleep" group:"Faults of simulated engines" help:"Be engines without sleep mode."`
	FaultRoute  bool     `name:"sim-fault-route" group:"Faults of simulated engines" help:"Serve /sim/faults, to change faults while running."`
}

// Validate is called by the parser.
func (f simFlags) Validate() error {
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 1) }
	switch {
	case !positive(f.Speed):
		return errors.New("--sim-speed must be a number above 0")
	case f.Slow != nil && !positive(*f.Slow):
		return errors.New("--sim-slow must be a number above 0")
	case f.FailLoad != nil && !(*f.FailLoad >= 0 && *f.FailLoad <= 1):
		return errors.New("--sim-fail-load must be between 0 and 1")
	}
	for _, fault := range f.Faults {
		if _, err := trtsim.ParseFault(fault); err != nil {
			return fmt.Errorf("--sim-fault %s: %w", fault, err)
		}
	}
	return nil
}

// args are the flags as trtsim takes them.
func (f simFlags) args() []string {
	args := []string{"--sim-speed", fmt.Sprint(f.Speed), "--sim-stack", f.Stack, "--sim-load", f.Load}
	args = appendGiven(args, "--sim-seed", f.Seed)
	args = appendGiven(args, "--sim-load-time", f.LoadTime)
	args = appendGiven(args, "--sim-token-time", f.TokenTime)
	args = appendGiven(args, "--sim-container-start", f.ContainerStart)
	args = appendGiven(args, "--sim-fail-load", f.FailLoad)
	args = appendGiven(args, "--sim-die-after", f.DieAfter)
	args = appendGiven(args, "--sim-cut-after", f.CutAfter)
	args = appendGiven(args, "--sim-hang-after", f.HangAfter)
	args = appendGiven(args, "--sim-fatal-after", f.FatalAfter)
	args = appendGiven(args, "--sim-slow", f.Slow)
	for _, fault := range f.Faults {
		args = append(args, "--sim-fault", fault)
	}
	for _, s := range []struct {
		flag  string
		given bool
	}{
		{"--sim-cold-cache", f.ColdCache},
		{"--sim-lax-control", f.LaxControl},
		{"--sim-health-only", f.HealthOnly},
		{"--sim-unhealthy", f.Unhealthy},
		{"--sim-error", f.Error},
		{"--sim-fail-resume", f.FailResume},
		{"--sim-hang-resume", f.HangResume},
		{"--sim-fail-release", f.FailRelease},
		{"--sim-hang-release", f.HangRelease},
		{"--sim-no-sleep", f.NoSleep},
		{"--sim-fault-route", f.FaultRoute},
	} {
		if s.given {
			args = append(args, s.flag)
		}
	}
	return args
}

func appendGiven[T any](args []string, flag string, v *T) []string {
	if v == nil {
		return args
	}
	return append(args, flag, fmt.Sprint(*v))
}

// simulated gives the models with simulated engines, except those that already run anywhere.
func (f simFlags) simulated(models []*fleet.Model) []*fleet.Model {
	models = config.Simulated(models)
	for _, m := range models {
		if m.Engine.Kind == fleet.EngineSim {
			m.Engine.Args = slices.Concat(f.args(), m.Engine.Args)
		}
	}
	return models
}
