package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/simulate"
)

// sizedPolicies are those for which fleets are sized if none are named: a keep-alive as most know it, the same with parking, and ours.
var sizedPolicies = []string{"fixed-15m", "fixed-60+park", "adaptive"}

// sizeFleets finds how many GPUs each policy needs for a wait, and prints it.
func (c simulateCmd) sizeFleets(env *Env, cfg simulate.Config) error {
	s := simulate.Sizing{Config: cfg, Seeds: c.Seed}
	var err error
	if s.For, err = fleet.ParseDuration(c.ForP99); err != nil {
		return fmt.Errorf("--for-p99: %w", err)
	}
	if c.Nodes == nil {
		s.Nodes = 1 // which does not matter for dedicated engines
	}
	env.doing("sizing dedicated engines")
	own, err := simulate.SizeDedicated(env.ctx, &s)
	if err != nil {
		return err
	}
	if c.Nodes == nil {
		s.Nodes = own.Nodes + (own.Nodes+1)/2
	}
	sizes := []*simulate.FleetSize{own}
	for _, s.Policy = range c.Policy {
		began := env.Now()
		env.doing("sizing a fleet under " + s.Policy)
		size, err := simulate.SizeFleet(env.ctx, &s, own, func(w simulate.FleetWait) {
			env.say("%s, %d nodes: p99 of the wait %.2f s", s.Policy, w.Nodes, w.WaitP99)
			env.doing("sizing a fleet under " + s.Policy)
		})
		if err != nil {
			return err
		}
		sizes = append(sizes, size)
		env.say("%s: %d GPUs (%.1f s)", size.Policy, size.GPUs, env.Now().Sub(began).Seconds())
	}
	if c.HTML != "" {
		report := simulate.SizeReport{Trace: c.traceName(), For: s.For, GPUs: cfg.GPUsPerNode, Seeds: c.Seed, Sizes: sizes}
		if err := c.writePage(func(w io.Writer) error { return simulate.WriteSizesHTML(w, report) }); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeJSON(env.Stdout, sizes)
	}
	t := newTable(simulate.SizeColumns...)
	for _, size := range sizes {
		t.row(size.Row()...)
	}
	if err := t.write(env.Stdout); err != nil {
		return err
	}
	return c.explainSizes(env, s.For, sizes)
}

// explainSizes says what the table means, and of which rows it is to be taken with care.
func (c simulateCmd) explainSizes(env *Env, limit time.Duration, sizes []*simulate.FleetSize) error {
	fmt.Fprintf(env.Stdout, "\nGPUs with which at most 1 %% of all requests wait longer than %s for an engine to begin with them.\n", fleet.FormatDuration(limit))
	for _, size := range sizes {
		last := size.Looked[len(size.Looked)-1]
		switch {
		case !size.Met:
			fmt.Fprintf(env.Stdout, "%s: not even with %d GPUs.\n", size.Policy, last.GPUs)
		case !size.Monotone:
			i := slices.IndexFunc(size.Looked, func(w simulate.FleetWait) bool { return w.Met })
			fmt.Fprintf(env.Stdout, "%s: waits do not fall with each node here: %d GPUs hold it too, and a larger fleet does not.\n", size.Policy, size.Looked[i].GPUs)
		}
	}
	return nil
}
