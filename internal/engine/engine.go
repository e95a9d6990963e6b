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
	launch   func(p place) Launch
	reserved []string // options that the launch line sets, and their other names, without dashes
	health   string
	optional bool // an engine without the health route is asked for a token at once
	metrics  string
	park     ParkProtocol
}

// kinds is complete: an EngineKind that is not listed is unknown.
var kinds = map[fleet.EngineKind]kind{
	fleet.EngineTRTLLM: {
		launch: launchTRTLLM, reserved: trtllmReserved,
		health: "/health", metrics: "/metrics", park: ParkTRTLLM,
	},
	fleet.EngineSim: {
		launch: launchTRTLLM, reserved: trtllmReserved,
		health: "/health", metrics: "/metrics", park: ParkTRTLLM,
	},
	fleet.EngineVLLM: {
		launch: launchVLLM, reserved: vllmReserved,
		health: "/health", metrics: "/metrics", park: ParkVLLM,
	},
	fleet.EngineNIM: {
		launch: launchNIM, reserved: vllmReserved,
		health: "/v1/health/ready", metrics: "/v1/metrics", park: ParkNone,
	},
	fleet.EngineOpenAI: {
		launch: launchOpenAI, reserved: openaiReserved,
		health: "/health", optional: true, metrics: "/metrics", park: ParkNone,
	},
}

// Known reports whether the kind is one that this package can launch.
func Known(k fleet.EngineKind) bool { _, ok := kinds[k]; return ok }

// HealthPath gives the path that answers 200 once an engine of this kind may be asked for a token; "" for an unknown kind.
func HealthPath(k fleet.EngineKind) string { return kinds[k].health }

// MetricsPath gives the path of the engine's own metrics; "" for an unknown kind. TensorRT-LLM's is a JSON list that a
// read drains, the others' are in the Prometheus text format.
func MetricsPath(k fleet.EngineKind) string { return kinds[k].metrics }

// Park gives the park protocol that the kind declares.
func Park(k fleet.EngineKind) ParkProtocol { return kinds[k].park }
