package fleet

// EngineKind names how an engine is launched, probed and parked.
type EngineKind string

// The engine kinds. Their behaviour lives in internal/engine.
const (
	EngineTRTLLM EngineKind = "trtllm" // TensorRT-LLM's trtllm-serve
	EngineNIM    EngineKind = "nim"
	EngineVLLM   EngineKind = "vllm"
	EngineOpenAI EngineKind = "openai" // any command that serves the OpenAI API, such as llama.cpp's llama-server
	EngineSim    EngineKind = "sim"    // the simulator, internal/trtsim: the command line of trtllm-serve
)

// CacheSalt reports whether engines of this kind accept the request field cache_salt, which keeps what one organisation has
// left in the prefix cache from the requests of another. Other kinds may refuse a request that carries it.
func (k EngineKind) CacheSalt() bool {
	return k == EngineTRTLLM || k == EngineVLLM || k == EngineSim
}

// Blames400 reports whether engines of this kind answer 400 to failures of their own, too. TensorRT-LLM's trtllm-serve makes one of nearly any
// exception (tensorrt_llm/serve/openai_server.py).
func (k EngineKind) Blames400() bool {
	return k == EngineTRTLLM || k == EngineNIM || k == EngineSim
}

// Native gives the endpoints that engines of this kind serve themselves, where the model is one for them. Those are left out that would undo a promise of
// ours: TensorRT-LLM's /v1/responses and vLLM's /v1/messages take no cache salt, so that what one organisation has left in the prefix cache would
// be found by another. A model may say otherwise.
func (k EngineKind) Native() []Endpoint { return native[k] }

var native = map[EngineKind][]Endpoint{
	EngineTRTLLM: {EndpointChat, EndpointCompletions, EndpointEmbeddings}, // the last by `trtllm-serve embeddings`
	EngineSim:    {EndpointChat, EndpointCompletions, EndpointEmbeddings},
	EngineNIM:    {EndpointChat, EndpointCompletions, EndpointEmbeddings},
	EngineVLLM:   {EndpointChat, EndpointCompletions, EndpointEmbeddings},
	EngineOpenAI: {EndpointChat, EndpointCompletions, EndpointEmbeddings},
}

// EngineSpec says how one model's engine is launched. Fields are those of the config's engine block.
type EngineSpec struct {
	Kind    EngineKind
	Driver  string   // on Nomad: docker or raw_exec
	Image   string   // docker only
	Command []string // program and leading arguments; for kind openai, ${host}, ${port} and ${weights} are replaced
	Args    []string // appended after the arguments that the kind adds
	Weights string   // a path on the node, or a Hugging Face id
	Volumes []string
	Env     map[string]string
	Secrets string // Nomad Variable path; its items become environment variables
	Memory  Bytes  // host memory
	CPU     int    // MHz, as in Nomad
}
