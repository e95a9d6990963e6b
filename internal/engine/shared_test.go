package engine_test

import (
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestLaunch_SharedLeavesRoomForParkedEngines(t *testing.T) {
	for name, row := range map[string]struct {
		spec   fleet.EngineSpec
		gpus   int
		parked fleet.Bytes
		want   string // what is added
		env    string
	}{
		"trtllm, alone":          {fleet.EngineSpec{Kind: "trtllm"}, 1, 0, "--enable_sleep_mode", "TRTLLM_RUNTIME_CONTROL_API_KEY=k"},
		"trtllm, small":          {fleet.EngineSpec{Kind: "trtllm", Memory: 29 << 30}, 1, 10 << 30, "--enable_sleep_mode --free_gpu_memory_fraction 0.800", "TRTLLM_RUNTIME_CONTROL_API_KEY=k"},
		"trtllm, large":          {fleet.EngineSpec{Kind: "sim", Memory: 440 << 30, Command: []string{"s"}}, 8, 12 << 30, "--enable_sleep_mode --free_gpu_memory_fraction 0.500", "TRTLLM_RUNTIME_CONTROL_API_KEY=k"},
		"trtllm, too large":      {fleet.EngineSpec{Kind: "trtllm", Memory: 90 << 30}, 1, 12 << 30, "--enable_sleep_mode --free_gpu_memory_fraction 0.200", "TRTLLM_RUNTIME_CONTROL_API_KEY=k"},
		"trtllm, little parked":  {fleet.EngineSpec{Kind: "trtllm", Memory: 29 << 30}, 1, 1, "--enable_sleep_mode --free_gpu_memory_fraction 0.900", "TRTLLM_RUNTIME_CONTROL_API_KEY=k"},
		"an operator's smaller":  {fleet.EngineSpec{Kind: "trtllm", Memory: 29 << 30, Args: []string{"--kv_cache_free_gpu_memory_fraction=0.5"}}, 1, 10 << 30, "--enable_sleep_mode", "TRTLLM_RUNTIME_CONTROL_API_KEY=k"},
		"an operator's larger":   {fleet.EngineSpec{Kind: "trtllm", Memory: 29 << 30, Args: []string{"--free-gpu-memory-fraction", "0.95"}}, 1, 10 << 30, "--enable_sleep_mode --free_gpu_memory_fraction 0.800", "TRTLLM_RUNTIME_CONTROL_API_KEY=k"},
		"vllm":                   {fleet.EngineSpec{Kind: "vllm"}, 1, 79 << 30 / 10, "--enable-sleep-mode --gpu-memory-utilization 0.800", "VLLM_SERVER_DEV_MODE=1"},
		"a kind that only stops": {fleet.EngineSpec{Kind: "openai", Command: []string{"s"}}, 1, 10 << 30, "", ""},
	} {
		m := &fleet.Model{ID: "m", GPUs: row.gpus, Engine: row.spec}
		plain, err := engine.Command(m, "127.0.0.1", 9, "")
		if err != nil {
			t.Fatal(err)
		}
		l := plain.Shared(m, engine.Sharing{Key: "k", Parked: row.parked})
		if got := strings.Join(l.Args[len(plain.Args):], " "); got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
		if got := strings.Join(l.Env[len(plain.Env):], " "); got != row.env {
			t.Errorf("%s: got %q, want %q", name, got, row.env)
		}
	}
}
