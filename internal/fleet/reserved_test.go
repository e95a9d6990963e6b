package fleet_test

import (
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestReservedArg(t *testing.T) {
	for _, tt := range []struct {
		kind fleet.EngineKind
		args []string
		want string
	}{
		{fleet.EngineTRTLLM, []string{"--max_batch_size", "256"}, ""},
		{fleet.EngineTRTLLM, []string{"--max_batch_size", "256", "--port", "9"}, "--port"},
		{fleet.EngineTRTLLM, []string{"--tp_size=4"}, "--tp_size"},
		{fleet.EngineTRTLLM, []string{"--tensor-parallel-size", "4"}, "--tensor-parallel-size"},
		{fleet.EngineSim, []string{"--sim-speed", "20", "--served_model_name", "x"}, "--served_model_name"},
		{fleet.EngineVLLM, []string{"-tp", "2"}, "-tp"},
		{fleet.EngineVLLM, []string{"--tensor_parallel_size=2"}, "--tensor_parallel_size"},
		{fleet.EngineVLLM, []string{"--port-range", "2"}, ""},
		{fleet.EngineNIM, []string{"--tensor_parallel_size=2"}, "--tensor_parallel_size"},
		{fleet.EngineOpenAI, []string{"--host", "${host}", "--port=${port}"}, ""},
		{fleet.EngineOpenAI, []string{"--port", "${host}"}, "--port"},
		{fleet.EngineOpenAI, []string{"--port"}, "--port"},
		{fleet.EngineOpenAI, []string{"port", "8000", "--served-model-name", "x"}, ""},
		{"", []string{"--port", "8000"}, ""},
	} {
		got, found := fleet.ReservedArg(tt.kind, tt.args)
		if got != tt.want || found != (tt.want != "") {
			t.Errorf("ReservedArg(%s, %q): got %q, %v, want %q", tt.kind, tt.args, got, found, tt.want)
		}
	}
}
