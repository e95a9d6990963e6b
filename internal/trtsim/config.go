package trtsim

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Stack says whose software surrounds the engine.
type Stack string

// The stacks. Published slows every decode step down until the published response times of the reference models come out.
const (
	StackVendor    Stack = "vendor"
	StackPublished Stack = "published"
)

// Source says where an engine's weights come from when it loads.
type Source string

// The sources of weights, from fast to slow: the page cache, local NVMe, a 10 GbE network.
const (
	SourceHot     Source = "hot"
	SourceStaged  Source = "staged"
	SourceNetwork Source = "network"
)

// Config describes one simulated engine. Only Model is required.
type Config struct {
	Model           string // the command line's MODEL: a Hugging Face id or a directory
	ServedModelName string // "" = Model, or its last element where Model is a path

	Embeddings bool // the model embeds texts, and generates none

	GPUs         int     // tensor parallel size; 0 = the model's usual
	MaxBatchSize int     // sequences in one iteration; 0 = 2048
	MaxNumTokens int     // tokens in one iteration; 0 = 8192
	MaxSeqLen    int     // prompt and output of one sequence; 0 = the model's context length
	MaxKVTokens  int     // bound of the KV pool; 0 = what memory allows
	KVFraction   float64 // share of the free GPU memory that the KV pool takes; 0 = 0.9
	KVFP8        bool    // the KV cache holds 8-bit values: twice as many tokens

	ChunkedPrefill bool // long prompts are read in chunks; without it one above MaxNumTokens is refused
	IterStats      bool // keep iteration statistics for GET /metrics
	KeepCopy       bool // the copy of the weights in host memory stays while the engine is awake, once it has been parked
	PageableBackup bool // parked weights lie in pageable host memory: waking takes 2.5 times as long

	ControlKey []byte // key of the sleep-mode routes; empty = no sleep mode, its routes answer 404
	LaxControl bool   // no clock window and no memory of nonces, as one upstream variant has it

	Speed     float64 // divides every simulated time; 0 = 1
	Stack     Stack   // "" = vendor
	Load      Source  // "" = staged
	Seed      uint64  // of jitter and texts; 0 = no jitter
	ColdCache bool    // the kernel cache is empty: warm-up takes 2.5 times as long

	// ContainerStart is the part of the load that a scheduler and a container runtime take before the process runs. The
	// process takes it itself, so that a local start sums to the published whole; negative = none, 0 = 2.5 s.
	ContainerStart time.Duration

	LoadTime  time.Duration // replaces the whole load time of the table; negative = none, 0 = the table's
	TokenTime time.Duration // replaces the table's prefill, overheads and decode: every iteration takes so long; 0 = the table's
	Profile   *Profile      // replaces the table's row; nil = matched by Model, then by ServedModelName

	Faults     []Fault // injected from the start
	FaultRoute bool    // serve GET and POST /sim/faults

	GPUDir  string   // directory of the shared account of GPU memory on this host; "" = memory is never short
	Visible []string // GPUs the process may use, for that account; empty = "0", "1", …

	Log *slog.Logger // nil = discard
}

func (c Config) withDefaults() (Config, error) {
	if c.Model == "" {
		return c, errors.New("no model given")
	}
	if c.ServedModelName == "" {
		c.ServedModelName = baseName(c.Model)
	}
	if c.Profile == nil {
		p := ProfileOf(c.Model, c.ServedModelName)
		c.Profile = &p
	}
	c.GPUs = or(c.GPUs, c.Profile.GPUs)
	c.MaxBatchSize = or(c.MaxBatchSize, 2048)
	c.MaxNumTokens = or(c.MaxNumTokens, 8192)
	c.MaxSeqLen = or(c.MaxSeqLen, c.Profile.Context)
	c.KVFraction = or(c.KVFraction, 0.9)
	c.Speed = or(c.Speed, 1)
	c.Stack = or(c.Stack, StackVendor)
	c.Load = or(c.Load, SourceStaged)
	c.ContainerStart = or(c.ContainerStart, 2500*time.Millisecond)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.check()
}

func (c *Config) check() error {
	for name, n := range map[string]int{
		"tp_size": c.GPUs, "max_batch_size": c.MaxBatchSize, "max_num_tokens": c.MaxNumTokens,
		"max_seq_len": c.MaxSeqLen,
	} {
		if n < 1 {
			return fmt.Errorf("%s is %d; it must be at least 1", name, n)
		}
	}
	if !(c.Speed > 0) || math.IsInf(c.Speed, 1) {
		return fmt.Errorf("the speed is %v; it must be a number above 0", c.Speed)
	}
	if !(c.KVFraction > 0 && c.KVFraction <= 1) {
		return fmt.Errorf("the KV cache's share of memory is %v; it must be above 0 and at most 1", c.KVFraction)
	}
	if c.Stack != StackVendor && c.Stack != StackPublished {
		return fmt.Errorf("the stack is %q; it must be vendor or published", c.Stack)
	}
	if c.Load != SourceHot && c.Load != SourceStaged && c.Load != SourceNetwork {
		return fmt.Errorf("the source of weights is %q; it must be hot, staged or network", c.Load)
	}
	return checkFaults(c.Faults)
}

// or is v, or d where v is the zero value.
func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
