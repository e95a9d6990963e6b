package simulate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// Config says what to simulate. Default gives the usual values.
type Config struct {
	Trace    string          // path of the gzipped CSV
	Profiles []trace.Profile // of the trace's models
	Policy   string          // fixed-T, kpa, hybrid, each also +park; adaptive; oracle
	Seed     uint64          // of the jitter on what moves take; 0 = no jitter
	Lambda   float64         // GPU-hours that an hour of waiting is worth
	IdleCost float64         // what an adaptive policy counts for idle GPU time, 0 to 1; what is scored counts all of it
	Bound    float64         // what of the least cost that is expected an adaptive policy may spend on its ski-rental bound; 0 = whatever that costs
	Warmup   time.Duration   // nothing is scored before

	Nodes        int
	GPUsPerNode  int
	ParkedPerGPU int         // engines homed on one GPU
	HostMemory   fleet.Bytes // of a node, for parked engines
	StartParked  bool        // every engine has been started once before, and parked where room lasts
	Share        float64     // of the cluster's GPUs that one model may hold
	Patience     time.Duration
	Residence    time.Duration
	IdleAfter    time.Duration // the longest an instance stays hot without a request; 0 = no bound

	Until     time.Duration // what is held is scored until then; 0 = until the last arrival
	FirstPark float64       // what an engine's first park takes, times a later one; 0 = no longer
	KeepsCopy bool          // engines that have been parked keep their copy in host memory while they are awake

	SlotStart time.Duration // from the order of a slot until it is there, in a pool that adds slots

	limit    time.Duration // of the wait, see score
	site     *Site
	measured map[move][]time.Duration
}

// Default gives a config with the usual cluster; trace, profiles and nodes are missing.
func Default() Config {
	return Config{
		Policy: "adaptive", Seed: 7, Lambda: 10, IdleCost: 1, Bound: 0.02, Warmup: 24 * time.Hour, GPUsPerNode: 8, ParkedPerGPU: 6, HostMemory: 1900e9,
		StartParked: true, FirstPark: 3, Share: 0.5, Patience: 10 * time.Second, Residence: time.Minute,
	}
}

// check says what is wrong, or nil.
func (c *Config) check() error {
	switch {
	case len(c.Profiles) == 0:
		return errors.New("no models; a trace needs the file that describes them")
	case c.Nodes < 1 || c.Nodes > 10000:
		return fmt.Errorf("%d nodes; write a number from 1 to 10000", c.Nodes)
	case c.GPUsPerNode < 1 || c.GPUsPerNode > 64:
		return fmt.Errorf("%d GPUs per node; write a number from 1 to 64", c.GPUsPerNode)
	case c.Lambda < 0 || math.IsNaN(c.Lambda):
		return fmt.Errorf("lambda %g; write a number that is not negative", c.Lambda)
	case !(c.IdleCost >= 0 && c.IdleCost <= 1):
		return fmt.Errorf("idle cost %g; write a number from 0 to 1", c.IdleCost)
	case !(c.Bound >= 0 && c.Bound <= 1):
		return fmt.Errorf("bound may cost %g; write a number from 0 to 1", c.Bound)
	case c.Share <= 0 || c.Share > 1:
		return fmt.Errorf("share %g; write a number above 0, at most 1", c.Share)
	case !(c.FirstPark >= 0 && c.FirstPark <= 1000):
		return fmt.Errorf("first parks that take %g times as long as later ones; write a number from 0 to 1000", c.FirstPark)
	case c.Warmup < 0 || c.Patience < 0 || c.Residence < 0 || c.IdleAfter < 0:
		return errors.New("a negative time span; write one that is not")
	}
	for i := range c.Profiles {
		if p := &c.Profiles[i]; p.GPUs > c.GPUsPerNode {
			return fmt.Errorf("model %s needs %d GPUs and a node has %d; take larger nodes or another trace", p.Model, p.GPUs, c.GPUsPerNode)
		}
	}
	return nil
}

const poolName = "simulated"

func (c *Config) poolName() string {
	if c.site != nil {
		return c.site.Pool.Name
	}
	return poolName
}

// pool is the cluster as a pool whose slots are always there.
func (c *Config) pool() fleet.Pool {
	return fleet.Pool{
		Name: poolName, GPUsPerSlot: c.GPUsPerNode, HostMemory: c.HostMemory, MaxParkedPerGPU: c.ParkedPerGPU,
		SlotIdle: unbounded, Slots: fleet.Range{Min: c.Nodes, Max: c.Nodes},
	}
}

var usualEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// epoch is the moment at which the trace begins.
func (c *Config) epoch() time.Time {
	if c.site != nil {
		return c.site.Began
	}
	return usualEpoch
}

// models gives the models as the activator knows them. Nothing is refused and nothing times out: what waits is scored, not turned away.
func (c *Config) models(idleAfter time.Duration) []*fleet.Model {
	if idleAfter == 0 {
		idleAfter = unbounded
	}
	var models []*fleet.Model
	for i := range c.Profiles {
		p := &c.Profiles[i]
		most := int(c.Share * float64(c.Nodes*c.GPUsPerNode) / float64(p.GPUs))
		models = append(models, &fleet.Model{
			ID: p.Model, GPUs: p.GPUs, Pool: poolName, MaxConcurrency: p.MaxConcurrency, IdleAfter: idleAfter,
			Instances: fleet.Range{Max: max(most, 1)}, ParkedMemory: p.ParkedRAM, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM},
		})
	}
	return models
}

// learned gives what moves take, as a planner knows it that has seen each of them before.
func (c *Config) learned() []fleet.Learned {
	var all []fleet.Learned
	for i := range c.Profiles {
		p := &c.Profiles[i]
		for _, usual := range []fleet.Learned{
			{Model: p.Model, From: fleet.Cold, Durations: []time.Duration{p.Cold}},
			{Model: p.Model, From: fleet.Parked, Durations: []time.Duration{p.Wake}},
			{Model: p.Model, From: fleet.Hot, Durations: []time.Duration{p.Park}},
			{Model: p.Model, From: fleet.FirstPark, Durations: []time.Duration{c.firstPark(p)}},
		} {
			if measured := c.measured[move{p.Model, usual.From}]; len(measured) > 0 {
				usual.Durations = measured
			}
			all = append(all, usual)
		}
	}
	return all
}

// firstPark gives what the first park of an engine takes usually.
func (c *Config) firstPark(p *trace.Profile) time.Duration {
	if c.FirstPark == 0 {
		return p.Park
	}
	return time.Duration(float64(p.Park) * c.FirstPark)
}

const unbounded = 10 * 365 * 24 * time.Hour
