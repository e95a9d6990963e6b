package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

// What may be asked about beside the settings of a pool: both are of the config, and not to be tuned.
const (
	askPolicy    = "policy"
	askIdleAfter = "idle_after"
)

var policies = []string{config.PolicyAdaptive, config.PolicyFixed, config.PolicyKPA, config.PolicyHybrid}

// asking turns an operator's question about a pool into one for the simulator.
type asking struct {
	tuning    *tuning
	simulator *whatif.Simulator
}

func (s *server) openWhatIf(context.Context) error {
	simulator, err := whatif.New(whatif.Config{
		Ledger: s.ledger, Moves: s.store.Learned, Price: func() fleet.NanoUSD { return s.router.Price() }, Now: s.c.Now,
	})
	s.whatIf = &asking{s.tuning, simulator}
	return err
}

// WhatIf says what the last day would have been with other settings of a pool, as Tune takes them, and with another policy or idle_after. Its error is a Mistunings,
// that the pool is unknown, or one of whatif's.
func (a *asking) WhatIf(ctx context.Context, name string, changes map[string]string) (*whatif.Answer, error) {
	q, err := a.tuning.question(name, changes)
	if err != nil {
		return nil, err
	}
	return a.simulator.Ask(ctx, q)
}

// question gives the pool as it is, and as it would be.
func (t *tuning) question(name string, changes map[string]string) (*whatif.Question, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.config.Pool(name); !ok {
		return nil, fmt.Errorf("asking about %s: %w", name, activator.ErrUnknownPool)
	}
	pool, _ := t.fit(name)
	q := &whatif.Question{Now: settingOf(t.config, pool)}
	next, wrong := askedConfig(t.config, changes)
	settings := maps.Clone(t.kept[name])
	if settings == nil {
		settings = map[string]string{}
	}
	if next.Autoscaler.Policy != config.PolicyAdaptive {
		delete(settings, "latency_weight")
	}
	for key, text := range changes {
		switch {
		case key == askPolicy || key == askIdleAfter:
		case text == "":
			delete(settings, key)
			if !slices.Contains(next.Tunable(), key) {
				settings[key] = text // which is refused, and why
			}
		default:
			settings[key] = text
		}
	}
	then, err := next.Tune(name, settings)
	var mistuned config.Mistunings
	if errors.As(err, &mistuned) {
		wrong = append(wrong, mistuned...)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	q.Then = settingOf(next, then)
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		q.Changes = append(q.Changes, whatif.Change{Key: key, Now: settingText(t.config, pool, key), Then: settingText(next, then, key)})
	}
	return q, nil
}

// askedConfig gives the config with another policy or idle_after.
func askedConfig(c *config.Config, changes map[string]string) (*config.Config, config.Mistunings) {
	next := *c
	var wrong config.Mistunings
	if policy := changes[askPolicy]; policy != "" {
		if !slices.Contains(policies, policy) {
			wrong = append(wrong, config.Mistuned{Key: askPolicy, Message: fmt.Sprintf("policy: there is no %q; write one of %s", policy, strings.Join(policies, ", "))})
		}
		next.Autoscaler.Policy = policy
	}
	if text := changes[askIdleAfter]; text != "" {
		after, err := fleet.ParseDuration(text)
		if err == nil && after <= 0 {
			err = errors.New("it must be longer than nothing")
		}
		if err != nil {
			wrong = append(wrong, config.Mistuned{Key: askIdleAfter, Message: "idle_after: " + err.Error()})
		}
		next.Models = make([]*fleet.Model, len(c.Models))
		for i, m := range c.Models {
			changed := *m
			changed.IdleAfter = after
			next.Models[i] = &changed
		}
	}
	return &next, wrong
}

// settingOf gives a pool with its models and the policy of a config.
func settingOf(c *config.Config, p fleet.Pool) whatif.Setting {
	s := whatif.Setting{
		Pool: p, GPUs: p.GPUsPerSlot, Always: c.Backend.Kind == config.BackendLocal, IdleCost: c.Autoscaler.IdleCost,
		Policy: func() activator.Policy { policy, _ := newPolicy(c.Autoscaler); return policy },
	}
	if s.Always {
		s.GPUs = c.Backend.GPUs
	}
	for _, m := range c.Models {
		if m.Pool == p.Name || s.Always && m.Pool == "" {
			s.Models = append(s.Models, m)
		}
	}
	return s
}

// settingText writes what a pool and its config have for a key.
func settingText(c *config.Config, p fleet.Pool, key string) string {
	switch key {
	case askPolicy:
		return c.Autoscaler.Policy
	case askIdleAfter:
		return idleAfters(settingOf(c, p).Models)
	}
	return config.Setting(p, key)
}

// idleAfters writes the idle_after of models, of each once.
func idleAfters(models []*fleet.Model) string {
	var spans []time.Duration
	for _, m := range models {
		if !slices.Contains(spans, m.IdleAfter) {
			spans = append(spans, m.IdleAfter)
		}
	}
	slices.Sort(spans)
	texts := make([]string, len(spans))
	for i, d := range spans {
		texts[i] = fleet.FormatDuration(d)
	}
	return strings.Join(texts, ", ")
}
