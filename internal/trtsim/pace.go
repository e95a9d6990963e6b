package trtsim

import (
	"math"
	"math/rand/v2"
	"time"
)

// pace turns a profile and a config into times. All of them are simulated ones, before division by the speed.
type pace struct {
	cfg   *Config
	scale float64 // GPUs of the profile for each GPU in use
	stack float64 // factor on decode
	rng   *rand.Rand
}

func newPace(c *Config) pace {
	p := pace{cfg: c, scale: float64(c.Profile.GPUs) / float64(c.GPUs), stack: 1}
	if c.Stack == StackPublished {
		p.stack = or(c.Profile.Published, publishedElse)
	}
	if c.Seed != 0 {
		p.rng = rand.New(rand.NewPCG(c.Seed, hash(0, c.ServedModelName)))
	}
	return p
}

// jitter spreads a time lognormally. The caller holds whatever guards the pace.
func (p *pace) jitter(d time.Duration, sigma float64) time.Duration {
	if p.rng == nil {
		return d
	}
	return time.Duration(float64(d) * math.Exp(sigma*p.rng.NormFloat64()))
}

// real is a simulated time as it passes on the clock.
func (p *pace) real(d time.Duration) time.Duration { return time.Duration(float64(d) / p.cfg.Speed) }

// byGPUs picks the value for 1, 2, 4 or 8 GPUs.
func (p *pace) byGPUs(one, two, four, eight float64) float64 {
	switch {
	case p.cfg.GPUs <= 1:
		return one
	case p.cfg.GPUs <= 2:
		return two
	case p.cfg.GPUs <= 4:
		return four
	}
	return eight
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// start is everything before the weights are read: container, imports and ranks, CUDA and NCCL.
func (p *pace) start() time.Duration {
	return max(p.cfg.ContainerStart, 0) + seconds(p.byGPUs(12, 15, 18, 22)) + seconds(p.byGPUs(2, 4, 6, 10))
}

func (p *pace) weights() time.Duration {
	rate := map[Source]float64{SourceHot: 8e9, SourceStaged: 5e9, SourceNetwork: 1.25e9}[p.cfg.Load]
	return seconds(p.cfg.Profile.Weights / rate)
}

func (p *pace) warmup() time.Duration {
	if p.cfg.ColdCache {
		return p.cfg.Profile.Warmup * 5 / 2
	}
	return p.cfg.Profile.Warmup
}

// wake is the time to copy the parked weights back at the rate seen per GPU, and to re-create what was not kept.
func (p *pace) wake() time.Duration {
	rate := p.byGPUs(23e9, 20e9, 15e9, 12e9)
	d := seconds(p.cfg.Profile.Weights/float64(p.cfg.GPUs)/rate + p.byGPUs(.3, .35, .5, .7))
	if p.cfg.PageableBackup {
		d = d * 5 / 2
	}
	return d
}

func (p *pace) park() time.Duration {
	if d := p.cfg.Profile.Park; d > 0 && p.scale == 1 {
		return d
	}
	return p.wake() * 104 / 100
}

// firstPark is how long the first park takes, which also makes the host's buffers. Pinned ones are made at the rate seen with 61.7 GiB on one GPU, where that took 9.2 of 17.4 s
// (llm-d guides/gke-pod-snapshots/benchmark-results/vllm-qwen3-32b-h100.md); each rank makes its own at the same time as the others.
func (p *pace) firstPark() time.Duration {
	if p.cfg.PageableBackup {
		return p.park() * 3 / 2
	}
	return p.park() + seconds(p.cfg.Profile.Weights/float64(p.cfg.GPUs)/pinRate)
}

const pinRate = 61.7 * (1 << 30) / 9.2 // bytes a second

// iteration is the time of one step of the batch: decoders sequences get a token, prefill prompt tokens are read.
func (p *pace) iteration(decoders, prefill int) time.Duration {
	if p.cfg.TokenTime > 0 {
		return p.cfg.TokenTime
	}
	d := 0.0
	if decoders > 0 {
		row := p.cfg.Profile
		touched := 0.0
		if row.Experts > 0 { // share of 8 experts that some sequence needs, two each
			touched = 1 - math.Pow(0.75, float64(decoders))
		}
		d = (float64(row.Base) + touched*float64(row.Experts)) * p.scale
		d = (d + float64(row.PerSequence)*float64(decoders)) * p.stack
	}
	d += float64(prefill) / p.cfg.Profile.Prefill * p.scale * 1e9
	return p.jitter(time.Duration(d), 0.10)
}

// overhead is the part of the time to first token that needs no GPU: parsing, tokenizing, handing over.
func (p *pace) overhead() time.Duration {
	if p.cfg.TokenTime > 0 {
		return 0
	}
	return 20 * ms
}

// first is how much longer the first request takes after a fresh start or a wake.
func (p *pace) first(fresh bool) time.Duration {
	switch {
	case p.cfg.TokenTime > 0:
		return 0
	case fresh:
		return 1500 * ms
	}
	return 300 * ms
}

// kvTokens is how many tokens the KV pool holds where every GPU has free bytes before the engine starts; below 1, the model
// does not fit.
func (p *pace) kvTokens(free float64) int {
	perToken := p.cfg.Profile.KVPerToken
	if p.cfg.KVFP8 {
		perToken /= 2
	}
	n := float64(p.cfg.GPUs)
	left := free*n - p.cfg.Profile.Weights - gpuRuntime*n
	tokens := int(left * p.cfg.KVFraction / perToken)
	if p.cfg.MaxKVTokens > 0 {
		tokens = min(tokens, p.cfg.MaxKVTokens)
	}
	return tokens
}
