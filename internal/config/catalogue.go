package config

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// published is what the catalogue knows of a model: the rest is default. Flags and lengths are those that fit the model
// with room for its KV cache on H100s of 80 GB; memory is weights plus what its processes keep while parked.
type published struct {
	id      string
	gpus    int
	context int
	memory  fleet.Bytes
	weights string // "" = the id
	args    []string
}

var catalogue = []published{
	{
		id: "mistralai/Mixtral-8x22B-Instruct-v0.1", gpus: 8, context: 65536, memory: 312 << 30,
		args: []string{"--ep_size", "8", "--max_batch_size", "256"},
	},
	{
		id: "mistralai/Mixtral-8x7B-Instruct-v0.1", gpus: 2, context: 32768, memory: 104 << 30,
		args: []string{"--ep_size", "2", "--max_batch_size", "128"},
	},
	{
		id: "mistralai/Mistral-7B-Instruct-v0.3", gpus: 2, context: 32768, memory: 32 << 30,
		args: []string{"--max_batch_size", "256"},
	},
	{
		id: "meta-llama/Meta-Llama-3.1-70B-Instruct", gpus: 4, context: 32768, memory: 160 << 30,
		args: []string{"--max_batch_size", "128", "--max_seq_len", "32768", "--enable_chunked_prefill"},
	},
	{
		id: "meta-llama/Meta-Llama-3.1-8B-Instruct", gpus: 1, context: 32768, memory: 32 << 30,
		args: []string{"--max_batch_size", "256", "--max_num_tokens", "8192", "--max_seq_len", "32768", "--enable_chunked_prefill"},
	},
	{
		id: "meta-llama/Meta-Llama-3-8B-Instruct", gpus: 1, context: 8192, memory: 32 << 30,
		args: []string{"--max_batch_size", "256", "--max_num_tokens", "8192", "--max_seq_len", "8192"},
	},
	{
		id: "meta-llama/Meta-Llama-3-70B-Instruct", gpus: 4, context: 8192, memory: 160 << 30,
		args: []string{"--max_batch_size", "128", "--max_seq_len", "8192"},
	},
	{
		// TensorRT-LLM's PyTorch backend does not load Meta's own FP8 checkpoint, whose scales are row-wise
		// (NVIDIA/TensorRT-LLM#3554, #4033): NVIDIA's ModelOpt one is served under Meta's name.
		id: "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8", gpus: 8, context: 16384, memory: 440 << 30,
		weights: "nvidia/Llama-3.1-405B-Instruct-FP8",
		args:    []string{"--max_batch_size", "64", "--max_seq_len", "16384", "--kv_cache_dtype", "fp8"},
	},
}

// Catalogue returns the eight published models, as fresh copies that the caller may change.
func Catalogue() []*fleet.Model { return Options{}.Catalogue() }

// Catalogue returns the eight published models, as fresh copies that the caller may change. They are in the pool of the
// local back end: nothing else serves the catalogue as a whole.
func (o Options) Catalogue() []*fleet.Model {
	models := make([]*fleet.Model, len(catalogue))
	for i, p := range catalogue {
		models[i] = o.published(p)
		models[i].Pool = fleet.LocalPool
	}
	return models
}

func (o Options) published(p published) *fleet.Model {
	m := o.model(p.id)
	m.GPUs, m.ContextLength = p.gpus, p.context
	m.Engine.Memory, m.Engine.Args = p.memory, slices.Clone(p.args)
	m.ParkedMemory = p.memory
	m.Engine.Weights = p.weights
	if p.weights == "" {
		m.Engine.Weights = p.id
	}
	return m
}

// known gives the catalogue's model of an ID, or nil.
func (o Options) known(id string) *fleet.Model {
	i := slices.IndexFunc(catalogue, func(p published) bool { return p.id == id })
	if i < 0 {
		return nil
	}
	return o.published(catalogue[i])
}

// Simulated returns copies of models whose engines are the simulator, with args (such as "--sim-speed", "20") after theirs.
// Models of kind openai stay what they are: their engines run anywhere.
func Simulated(models []*fleet.Model, args ...string) []*fleet.Model {
	copies := make([]*fleet.Model, len(models))
	for i, m := range models {
		c := *m
		if c.Engine.Kind != fleet.EngineOpenAI {
			c.Engine.Kind, c.Engine.Command = fleet.EngineSim, nil
			c.Engine.Args = slices.Concat(m.Engine.Args, args)
		}
		copies[i] = &c
	}
	return copies
}
