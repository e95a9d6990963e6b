package engine

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	ggufSlots   = 4    // requests at once; llama-server divides its context evenly among them
	ggufContext = 4096 // tokens of each
)

// GGUF gives the model that serves a GGUF file with llama.cpp's llama-server from PATH: `local/` and the file's name without
// ".gguf", on the CPU, without GPUs and therefore without cost. The limits are those of a laptop; a caller may change
// them before it hands the model on.
//
// llama-server answers /health with 503 while it loads, notices a client that has left within a second, and cuts streams
// off at SIGTERM: it has to be drained by whoever gives requests to it.
func GGUF(file string) *fleet.Model {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	name := filepath.Base(file)
	if ext := filepath.Ext(name); strings.EqualFold(ext, ".gguf") {
		name = strings.TrimSuffix(name, ext)
	}
	id := "local/" + name
	return &fleet.Model{
		ID:             id,
		Endpoints:      []fleet.Endpoint{fleet.EndpointChat, fleet.EndpointCompletions, fleet.EndpointResponses, fleet.EndpointMessages},
		ContextLength:  ggufContext,
		MaxConcurrency: ggufSlots,
		IdleAfter:      30 * time.Second,
		Instances:      fleet.Range{Min: 0, Max: 1},
		Queue:          fleet.QueueLimits{Limit: 2048, PerOrg: 1024, MaxWait: 9 * time.Minute},
		Timeouts: fleet.Timeouts{
			Start: 30 * time.Minute, FirstByte: 10 * time.Minute, Idle: time.Minute, Total: 30 * time.Minute,
		},
		Engine: fleet.EngineSpec{
			Kind:    fleet.EngineOpenAI,
			Weights: file,
			Command: []string{
				"llama-server", "-m", "${weights}", "--alias", id,
				"-c", strconv.Itoa(ggufSlots * ggufContext), "--parallel", strconv.Itoa(ggufSlots), "--no-webui",
				"--host", "${host}", "--port", "${port}",
			},
		},
	}
}
