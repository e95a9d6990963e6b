package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	adaptiveName = "adaptive"
	oracleName   = "oracle"
	parkSuffix   = "+park"
)

// parks reports whether a policy parks at all.
func parks(policy string) bool {
	return policy == adaptiveName || policy == oracleName || strings.HasSuffix(policy, parkSuffix)
}

// CheckPolicy says what is wrong with a policy's name, or nil.
func CheckPolicy(name string) error {
	_, _, err := newPolicy(&Config{Policy: name, Lambda: 1})
	return err
}

// newPolicy makes the policy of that name. The time is the idle_after that models have under it; 0 = no bound.
func newPolicy(cfg *Config) (activator.Policy, time.Duration, error) {
	name, park := strings.CutSuffix(cfg.Policy, parkSuffix)
	after, fixed := strings.CutPrefix(name, "fixed-")
	switch {
	case fixed:
		idleAfter, err := fixedSpan(after)
		if err != nil {
			return nil, 0, fmt.Errorf("policy %q: %w", cfg.Policy, err)
		}
		return autoscaler.NewFixed(autoscaler.FixedConfig{Target: fourFifths, Park: park}), idleAfter, nil
	case name == "kpa":
		return autoscaler.NewKPA(autoscaler.KPAConfig{Park: park}), cfg.IdleAfter, nil
	case name == "hybrid":
		return autoscaler.NewHybrid(autoscaler.HybridConfig{Park: park}), cfg.IdleAfter, nil
	case name == adaptiveName && !park:
		return autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{LatencyWeight: cfg.Lambda, BoundMayCost: cfg.Bound}), cfg.IdleAfter, nil
	case name == oracleName && !park:
		o, err := newOracle(cfg)
		return o, cfg.IdleAfter, err
	}
	return nil, 0, fmt.Errorf("no policy %q; there are fixed-T, kpa and hybrid, each also +park, and adaptive and oracle", cfg.Policy)
}

// fixedSpan reads the T of fixed-T: seconds, or a number with its unit.
func fixedSpan(s string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil && n > 0 && n < 1e8 {
		return time.Duration(n * float64(time.Second)), nil
	}
	if d, err := fleet.ParseDuration(s); err == nil && d > 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q is not a time; write seconds, such as fixed-60, or a number and a unit, such as fixed-5m", s)
}

// fourFifths has a policy that knows only the present start a further instance before the ones there are full.
func fourFifths(m *fleet.Model) int { return max(m.MaxConcurrency*4/5, 1) }
