package trtsim

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Profile is one row of the parameter table: what a model costs to load, to move and to run on H100 GPUs.
type Profile struct {
	GPUs        int           // the usual tensor parallel size, for which the times below hold
	Weights     float64       // bytes
	KVPerToken  float64       // bytes of KV cache a token, 16 bit
	Context     int           // tokens
	Warmup      time.Duration // autotuner, graph capture and the second pass, with a warm kernel cache
	Park        time.Duration // moving everything to the host, drain excluded; 0 = 4 % above the wake time
	Prefill     float64       // prompt tokens a second
	Base        time.Duration // of one decode iteration
	Experts     time.Duration // of one decode iteration that touches all of 8 experts; 0 = a dense model
	PerSequence time.Duration // of one decode iteration, a sequence
	Published   float64       // factor on decode that brings out the published response time; 0 = 1.4
}

// GPU memory of an H100 in bytes: what the driver leaves to an engine, what its runtime takes on each GPU while awake, and
// what a parked one still holds (context, NCCL buffers, graphs).
const (
	gpuMemory  = 85.5e9
	gpuRuntime = 5e9
	gpuResidue = 2.5 * (1 << 30)
)

// The published reference says 1, 2 and 5 s for 500 tokens in and 100 out. These factors meet it within 1 %; one common 1.4 for the
// 8B and the 70B model would be off by 7 and 8 %.
const (
	published8B   = 1.5
	published70B  = 1.3
	published405B = 1.9
	publishedElse = 1.4
)

const ms = time.Millisecond

var (
	mistral7B = Profile{
		GPUs: 2, Weights: 14_496_047_104, KVPerToken: 131_072, Context: 32768, Warmup: 14 * time.Second, Park: 800 * ms,
		Prefill: 60_000, Base: 3700 * time.Microsecond, PerSequence: 30 * time.Microsecond,
	}
	mixtral8x7B = Profile{
		GPUs: 2, Weights: 93_405_585_408, KVPerToken: 131_072, Context: 32768, Warmup: 22 * time.Second, Park: 2800 * ms,
		Prefill: 30_000, Base: 2200 * time.Microsecond, Experts: 16800 * time.Microsecond, PerSequence: 50 * time.Microsecond,
	}
	mixtral8x22B = Profile{
		GPUs: 8, Weights: 281_260_142_592, KVPerToken: 229_376, Context: 65536, Warmup: 40 * time.Second, Park: 3800 * ms,
		Prefill: 35_000, Base: 3300 * time.Microsecond, Experts: 12600 * time.Microsecond, PerSequence: 30 * time.Microsecond,
	}
	llama8B = Profile{
		GPUs: 1, Weights: 16_060_522_496, KVPerToken: 131_072, Context: 8192, Warmup: 12 * time.Second, Park: 1000 * ms,
		Prefill: 30_000, Base: 6400 * time.Microsecond, PerSequence: 60 * time.Microsecond, Published: published8B,
	}
	llama70B = Profile{
		GPUs: 4, Weights: 141_107_412_992, KVPerToken: 327_680, Context: 8192, Warmup: 22 * time.Second, Park: 3000 * ms,
		Prefill: 14_000, Base: 15 * ms, PerSequence: 90 * time.Microsecond, Published: published70B,
	}
	llama405B = Profile{
		GPUs: 8, Weights: 410_060_000_000, KVPerToken: 516_096, Context: 131_072, Warmup: 45 * time.Second, Park: 5200 * ms,
		Prefill: 7200, Base: 25900 * time.Microsecond, PerSequence: 120 * time.Microsecond, Published: published405B,
	}
)

// modelSize finds "8x7b", "70b" or "1.5b" as a word of a name in lower case.
var modelSize = regexp.MustCompile(`(?:^|[^0-9a-z.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?:[^0-9a-z]|$)`)

// ProfileOf gives the parameters of the first name that the table knows. A name that only tells its size ("13B", "8x13B") gets
// parameters computed from it by the same physics; if none does, the result is that of Llama-3-8B.
func ProfileOf(names ...string) Profile {
	for _, name := range names {
		name = strings.ToLower(name)
		if i := strings.LastIndexByte(strings.TrimRight(name, "/"), '/'); i >= 0 {
			name = name[i+1:] // a directory above may speak of another size
		}
		m := modelSize.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		experts, _ := strconv.Atoi(m[1])
		size, _ := strconv.ParseFloat(m[2], 64)
		if size > 0 && size < 10_000 && experts < 1000 {
			return profileOf(name, experts, size)
		}
	}
	return llama8B
}

func profileOf(name string, experts int, size float64) Profile {
	p := Profile{}
	switch {
	case experts == 8 && size == 22:
		return mixtral8x22B
	case experts == 8 && size == 7:
		return mixtral8x7B
	case experts > 0:
		return computed(name, experts, size)
	case size == 7 && strings.Contains(name, "mistral"):
		return mistral7B
	case size == 8:
		p = llama8B
	case size == 70:
		p = llama70B
	case size == 405:
		p = llama405B
	default:
		return computed(name, 0, size)
	}
	if strings.Contains(name, "3.1") || strings.Contains(name, "3.3") {
		p.Context = 131_072
	}
	return p
}

// computed applies the table's own derivation: decode is bound by reading the weights at 80 % of the memory bandwidth plus two
// all-reduces a layer, prefill runs at 45 % of the dense peak. It meets the table's dense rows within about 15 %.
func computed(name string, experts int, billions float64) Profile {
	params, active := billions*1e9, billions*1e9
	if experts > 0 {
		params *= 0.82 * float64(experts) // attention is shared between experts
		active *= 1.8                     // two of them, less what they share
	}
	width, speedup := 2.0, 1.0
	if strings.Contains(name, "fp8") {
		width, speedup = 1, 2
	}
	relative := params / 8.03e9
	p := Profile{
		Weights: params * width, Context: 32768, KVPerToken: 131_072 * math.Pow(relative, 0.42),
		Warmup: time.Duration(12e9 * math.Pow(relative, 0.3)), PerSequence: 60 * time.Microsecond,
	}
	for p.GPUs = 1; p.GPUs < 8 && p.Weights > 48e9*float64(p.GPUs); p.GPUs *= 2 {
	}
	read := p.Weights / float64(p.GPUs) / 2.68e12 * 1e9
	if experts > 0 {
		p.Base, p.Experts = time.Duration(read*0.15), time.Duration(read*0.85)
	} else {
		p.Base = time.Duration(read)
	}
	if p.GPUs > 1 {
		p.Base += time.Duration(24e3 * 32 * math.Pow(relative, 0.42))
	}
	p.Prefill = 0.45 * 989e12 * speedup * float64(p.GPUs) / (2 * active)
	return p
}
