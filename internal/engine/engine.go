package engine

import "github.com/pilotlight-io/pilotlight/internal/fleet"

// ParkProtocol names how an engine gives its GPU memory back while its process lives on.
type ParkProtocol string

// The park protocols. An engine of a kind that declares one may still lack it: TensorRT-LLM answers 404 on /memory_status
// where its sleep mode was not built in or not asked for.
const (
	ParkNone   ParkProtocol = ""       // stop is the only way to free the GPUs
	ParkTRTLLM ParkProtocol = "trtllm" // signed POST /release_memory and /resume_memory
	ParkVLLM   ParkProtocol = "vllm"   // POST /sleep and /wake_up
)

// kind is what is known of one engine kind. Values are shared and never written to.
type kind struct {
	launch     func(p place) Launch
	health     string
	optional   bool // an engine without the health route is asked for a token at once
	metrics    string
	iterations bool // its metrics are TensorRT-LLM's: what has happened since the last read
	park       ParkProtocol
}

// kinds is complete: an EngineKind that is not listed is unknown.
var kinds = map[fleet.EngineKind]kind{
	fleet.EngineTRTLLM: {
		launch: launchTRTLLM,
		health: "/health", metrics: "/metrics", iterations: true, park: ParkTRTLLM,
	},
	fleet.EngineSim: {
		launch: launchTRTLLM,
		health: "/health", metrics: "/metrics", iterations: true, park: ParkTRTLLM,
	},
	fleet.EngineVLLM: {
		launch: launchVLLM,
		health: "/health", metrics: "/metrics", park: ParkVLLM,
	},
	fleet.EngineNIM: {
		launch: launchNIM,
		health: "/v1/health/ready", metrics: "/v1/metrics", park: ParkNone,
	},
	fleet.EngineOpenAI: {
		launch: launchOpenAI,
		health: "/health", optional: true, metrics: "/metrics", park: ParkNone,
	},
}

// MetricsPath gives the path of the engine's own metrics; "" for an unknown kind. TensorRT-LLM's is a JSON list that a
// read drains, the others' are in the Prometheus text format.
func MetricsPath(k fleet.EngineKind) string { return kinds[k].metrics }

// Park gives the park protocol that the kind declares.
func Park(k fleet.EngineKind) ParkProtocol { return kinds[k].park }

// HealthPath gives the path that answers 200 once an engine of the kind has loaded; "" for an unknown kind.
func HealthPath(k fleet.EngineKind) string { return kinds[k].health }
