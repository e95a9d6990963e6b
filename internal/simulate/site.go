package simulate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// Site is one pool as it is configured, with its models, and what was recorded of them. All fields are required, but Learned and SlotStart.
type Site struct {
	Policy activator.Policy // a fresh one: it learns from what is simulated
	Models []*fleet.Model   // of the pool; a request's model is an index into them
	Pool   fleet.Pool
	GPUs   int             // of a slot
	Slots  int             // that are there at the start, and always where the pool adds none
	Began  time.Time       // when the recording begins
	Warmup time.Duration   // nothing is scored before
	Until  time.Duration   // nothing is scored after
	Moves  []fleet.Learned // what moves took: each simulated one takes what one of these has taken
	Usual  Moves           // what they take of models of which none was measured

	SlotStart time.Duration // from the order of a slot until it is there
	IdleCost  float64       // what idle GPU time in the pool's slots counts, 0 to 1
	Seed      uint64        // which of the measured moves is taken
}

// Moves is what moves between tiers take.
type Moves struct{ Cold, Wake, Park, Stop time.Duration }

// move names what is measured.
type move struct {
	model string
	from  fleet.Tier
}

// Replay simulates a pool under recorded requests. Nobody who waits gives up, and nothing is refused but what can never be held. It looks at ctx now and then.
func Replay(ctx context.Context, site Site, requests Source) (*Result, error) {
	if err := site.check(); err != nil {
		return nil, err
	}
	cfg := Config{
		Policy: "the pool's policy", Seed: site.Seed, IdleCost: site.IdleCost, Warmup: site.Warmup, Nodes: site.Slots, GPUsPerNode: site.GPUs,
		HostMemory: site.Pool.HostMemory, Until: site.Until, SlotStart: site.SlotStart, site: &site, measured: map[move][]time.Duration{},
	}
	var models []*fleet.Model
	for _, m := range site.Models {
		cfg.Profiles = append(cfg.Profiles, trace.Profile{
			Model: m.ID, GPUs: m.GPUs, ParkedRAM: m.ParkedMemory, MaxConcurrency: m.MaxConcurrency,
			Cold: site.Usual.Cold, Wake: site.Usual.Wake, Park: site.Usual.Park, Stop: site.Usual.Stop,
		})
		unlimited := *m
		unlimited.Pool, unlimited.Queue, unlimited.Timeouts = site.Pool.Name, fleet.QueueLimits{}, fleet.Timeouts{}
		models = append(models, &unlimited)
	}
	for _, l := range site.Moves {
		if len(l.Durations) > 0 {
			cfg.measured[move{l.Model, l.From}] = l.Durations
		}
	}
	return newSimulation(&cfg, site.Policy, models, site.Pool, cfg.learned()).play(ctx, requests)
}

func (s *Site) check() error {
	switch {
	case s.Policy == nil || s.Began.IsZero():
		return errors.New("simulate: a site needs a policy and a beginning")
	case s.GPUs < 1:
		return fmt.Errorf("simulate: slots of pool %s have no GPU", s.Pool.Name)
	case s.Until <= s.Warmup:
		return errors.New("simulate: nothing would be scored: the end is not after the warm-up")
	}
	return nil
}
