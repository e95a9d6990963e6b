package trtsim

import "time"

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
	Experts     time.Duration // of one decode iteration that touches every expert; 0 = a dense model
	PerSequence time.Duration // of one decode iteration, a sequence
	Published   float64       // factor on decode that brings out the published response time
}

// ProfileOf gives the parameters of the first name that the table knows. A name that only tells its size ("13B", "8x7B") gets parameters
// computed from it; if none does, the result is that of Llama-3-8B.
func ProfileOf(names ...string) Profile { panic("unfinished") }
