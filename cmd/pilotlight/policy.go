package main

import (
	"context"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// newPolicy makes the policy that the config names. learned is the same one where it has something to keep over a restart, else nil.
func newPolicy(c config.Autoscaler) (policy activator.Policy, learned *learningPolicy) {
	switch c.Policy {
	case config.PolicyFixed:
		return autoscaler.NewFixed(autoscaler.FixedConfig{Park: true}), nil
	case config.PolicyKPA:
		return autoscaler.NewKPA(autoscaler.KPAConfig{Park: true}), nil
	case config.PolicyHybrid:
		return autoscaler.NewHybrid(autoscaler.HybridConfig{Park: true}), nil
	default:
		learned = &learningPolicy{adaptive: autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{LatencyWeight: c.LatencyWeight})}
		learned.configure(c)
		return learned, learned
	}
}

// learningPolicy is the adaptive policy, which the planner asks under its own lock, and which is saved outside of that.
type learningPolicy struct {
	mu       sync.Mutex // guards the fields below
	adaptive *autoscaler.Adaptive
	weight   float64 // of waiting, where a pool has none of its own
	idleCost float64 // of models in pools; what a dedicated one costs while it idles, it always costs
}

// configure has it weigh with other settings from its next decision on.
func (p *learningPolicy) configure(c config.Autoscaler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weight, p.idleCost = c.LatencyWeight, c.IdleCost
}

// Observe learns.
func (p *learningPolicy) Observe(e fleet.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.adaptive.Observe(e)
}

// Decide says how many instances the model should have now.
func (p *learningPolicy) Decide(now time.Time, v *fleet.ModelView) fleet.Desired {
	p.mu.Lock()
	defer p.mu.Unlock()
	weighed := *v
	if weighed.LatencyWeight == 0 {
		weighed.LatencyWeight = p.weight
	}
	if v.Model.Pool != "" {
		weighed.IdleCost = p.idleCost
	}
	return p.adaptive.Decide(now, &weighed)
}

func (p *learningPolicy) load(text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.adaptive.Load(text)
}

func (p *learningPolicy) save() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.adaptive.Save()
}

// Where the store keeps what the policy has learned.
const (
	learnedScope = "autoscaler"
	learnedName  = config.PolicyAdaptive
)

// saveEvery bounds what a crash makes the policy forget.
const saveEvery = 5 * time.Minute

// recall gives the policy what it had learned in an earlier life. Without that it only decides worse for a while, so what cannot be read is
// logged, and replaced by what is learned from now on.
func (s *server) recall(ctx context.Context) error {
	if s.learned == nil {
		return nil
	}
	kept, err := s.store.Settings(ctx, learnedScope)
	if err != nil {
		return err
	}
	text, ok := kept[learnedName]
	if !ok {
		return nil
	}
	if err := s.learned.load([]byte(text)); err != nil {
		s.log("autoscaler").Warn("what the policy had learned cannot be read; it learns anew", "reason", err)
	}
	return nil
}

// retain keeps what the policy learns, now and then and at the end.
func (s *server) retain(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.retainOnce(context.WithoutCancel(ctx))
			return nil
		}
		s.retainOnce(ctx)
	}
}

// retainOnce keeps what the policy has learned, where it is this server's that decides.
func (s *server) retainOnce(ctx context.Context) {
	if !s.leads() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	text, err := s.learned.save()
	if err == nil {
		err = s.store.SaveSetting(ctx, learnedScope, learnedName, string(text))
	}
	if err != nil {
		s.log("autoscaler").Warn("what the policy has learned was not kept", "reason", err)
	}
}
