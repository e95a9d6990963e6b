package trtsim

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// memoryState is where the engine's GPU memory stands.
//
//	running ──release──► parking ──► parked ──resume──► waking ──► running
//	                        │          ▲ └── some tags only ──┘ │
//	                        └──────────┴────► failed ◄──────────┘
//
// A failed one is beyond help: the process must be started anew.
type memoryState string

const (
	running memoryState = "running"
	parking memoryState = "parking"
	parked  memoryState = "parked"
	waking  memoryState = "waking"
	failed  memoryState = "failed"
)

// errParked refuses generation while memory is not all there. Upstream raises a RuntimeError, which its catch-all turns into a 400;
// its exact text is not known.
func errParked(s memoryState) error {
	return refuse("Generation is rejected while runtime memory state is %s", s)
}

// The tags that may be named, and those of them that this engine has: it has no draft model, guided decoder or speculation.
var (
	knownTags = []string{
		"draft_model", "draft_model_weights", "drafter", "executor_extra", "guided_decoder", "kv_cache", "model", "model_extra",
		"model_weights", "sampler", "spec_resource_manager",
	}
	usableTags = []string{"executor_extra", "kv_cache", "model", "model_extra", "model_weights", "sampler"}
)

// memory is the sleep mode's state and the engine's part in its host's account of GPU memory. Its fields are guarded by the engine's mu,
// except account, weights and kv, which Load sets once.
type memory struct {
	state   memoryState
	parked  map[string]bool // tag
	before  bool            // it has been parked before: the host's buffers exist
	nonces  nonces
	account *account // nil = memory is never short
	weights float64  // bytes on each GPU
	kv      float64  // bytes on each GPU
	keeps   bool     // the copy in host memory stays once there is one
	copied  bool     // there is one

	closing sync.Once
}

func newMemory() *memory {
	return &memory{state: running, parked: map[string]bool{}, nonces: nonces{until: map[string]time.Time{}}}
}

// charge puts what the engine holds, with these tags parked, into the account.
func (m *memory) charge(parked map[string]bool) error {
	if m.account == nil {
		return nil
	}
	bytes := float64(gpuResidue)
	if len(parked) == 0 {
		bytes = gpuRuntime
	}
	if !parked["model_weights"] {
		bytes += m.weights
	}
	if !parked["kv_cache"] {
		bytes += m.kv
	}
	host := 0.0
	if m.copied = parked["model_weights"] || m.copied && m.keeps; m.copied {
		host = m.weights * float64(len(m.account.gpus))
	}
	return m.account.set(bytes, host)
}

// chargeMost puts into the account that a release has freed four tenths of what the engine held, though it says otherwise.
func (m *memory) chargeMost() error {
	if m.account == nil {
		return nil
	}
	m.copied = true
	return m.account.set(0.6*(gpuRuntime+m.weights+m.kv), m.weights*float64(len(m.account.gpus)))
}

func (m *memory) open(c *Config) (err error) {
	m.keeps = c.KeepCopy
	m.account, err = openAccount(c.GPUDir, c.Visible, c.GPUs)
	return err
}

func (m *memory) close() (err error) {
	m.closing.Do(func() {
		if m.account != nil {
			err = m.account.close()
		}
	})
	return err
}

// conflict is an operation that the state does not allow: 409.
type conflict struct{ message string }

func (c *conflict) Error() string { return c.message }

// badTags is a ValueError: 400.
type badTags struct{ message string }

func (b *badTags) Error() string { return b.message }

// resolve gives the tags that a call means; nil stands for all.
func resolve(tags []string, all []string) ([]string, error) {
	if tags == nil {
		return all, nil
	}
	if len(tags) == 0 {
		return nil, &badTags{"tags must not be empty"}
	}
	for _, t := range tags {
		if !slices.Contains(knownTags, t) {
			return nil, &badTags{fmt.Sprintf("unknown runtime memory tag %q", t)}
		}
	}
	// A known tag that this engine has no memory for is taken as nothing to do; upstream's answer is not known.
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return !slices.Contains(usableTags, t) }), nil
}

// share is how much of a whole move these tags take: nearly all of it is the weights.
func share(tags []string) float64 {
	if slices.Contains(tags, "model_weights") {
		return 1
	}
	return 0.1
}

func sortedTags(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
