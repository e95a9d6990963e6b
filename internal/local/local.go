// Package local is the back end of one machine: one node, one slot, engines as child processes.
//
// It promises what internal/slot promises, under the names that the activator expects: source "local", node "local", slot
// "local-0", pool fleet.LocalPool. It never adds or drops a slot, and its engines never outlive it.
package local

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// The one machine's names.
const (
	Source = "local"
	NodeID = "local"
	SlotID = "local-0"
)

// Config is what the back end needs. Dir and Models are required.
type Config struct {
	GPUs       int         // of the machine; 0 serves models without GPUs only
	HostMemory fleet.Bytes // for parked engines
	Dir        string      // the engines' logs and process files go to engines/ in it; one server at a time
	Models     []*fleet.Model
	Self       string        // our own program, which kind sim runs with "trtsim"; "" = kind sim needs a command
	User       *slot.User    // whom engines run as; nil = our own user
	Grace      time.Duration // between SIGTERM and SIGKILL; 0 = 30 s
	Log        *slog.Logger  // nil: discard
}

// Local is the back end. Its methods are safe for concurrent use.
type Local struct {
	slot *slot.Slot
	node fleet.Node
}

// New makes the back end. It creates the directory, and starts nothing.
func New(cfg Config) (*Local, error) {
	s, err := slot.New(slot.Config{
		ID: SlotID, Source: Source, Node: NodeID, Pool: fleet.LocalPool,
		GPUs: cfg.GPUs, HostMemory: cfg.HostMemory, Dir: cfg.Dir, Self: cfg.Self, Models: cfg.Models,
		User: cfg.User, Grace: cfg.Grace, Gauge: slot.MachineGauge(), Log: cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("making the local back end: %w", err)
	}
	return &Local{slot: s, node: fleet.Node{ID: NodeID, GPUs: cfg.GPUs, Condition: fleet.PlaceHealthy}}, nil
}

// Run supervises the engines until ctx is done, and returns when the last one has ended. It may be called once.
func (l *Local) Run(ctx context.Context) error {
	if err := l.slot.Run(ctx); err != nil {
		return fmt.Errorf("running the local back end: %w", err)
	}
	return nil
}

// Do accepts an act: see slot.Slot.Do. Acts on slots are refused, there is always the one.
func (l *Local) Do(ctx context.Context, act fleet.Act) error { return l.slot.Do(ctx, act) }

// Fence refuses acts of older terms from its return on: see slot.Slot.Fence.
func (l *Local) Fence(ctx context.Context, term uint64) error { return l.slot.Fence(ctx, term) }

// Configure replaces the models that acts may name which do not bring theirs along. Engines that run stay what they were launched as.
func (l *Local) Configure(models []*fleet.Model) { l.slot.Configure(models) }

// AskAgain gives a fresh complete list to everyone who watches, if it is this back end that is asked.
func (l *Local) AskAgain(source string) {
	if source == Source {
		l.slot.AskAgain()
	}
}

// Watch tells how things stand, at once and after each change, until ctx is done: see slot.Slot.Watch.
func (l *Local) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	return l.slot.Watch(ctx, func(o fleet.Observation) {
		o.Nodes = []fleet.Node{l.node}
		tell(o)
	})
}
