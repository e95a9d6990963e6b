package trtsim_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

func TestWrongCommandLinesExit2(t *testing.T) {
	for _, row := range []struct{ args, message string }{
		{"", "Missing argument 'MODEL'."},
		{"m --no_such_flag", "No such option: --no_such_flag"},
		{"m -x", "No such option: -x"},
		{"m extra", "Got unexpected extra argument (extra)"},
		{"m --port", "Option '--port' requires an argument."},
		{"m --port x", `"x" is not a valid integer`},
		{"m --tp_size 0", "0 is below 1"},
		{"m --enable_chunked_prefill=yes", "does not take a value"},
		{"m --sim-speed 0", "is not a number above 0"},
		{"m --sim-stack fast", "not one of"},
		{"m --sim-load tape", "not one of"},
		{"m --sim-seed -1", "whole number"},
		{"m --sim-fault nap", "unknown fault"},
		{"m --sim-fault hang:after=x", "not a valid integer"},
		{"m --sim-fault hang:at=1", "not one of after, factor, times"},
		{"m --sim-fail-load 2", "between 0 and 1"},
		{"m --sim-load-time soon", "not a duration"},
		{"m --kv_cache_dtype int4", "not one of"},
		{"m --kv_cache_free_gpu_memory_fraction 1.5", "above 1"},
		{"m --config /no/such/file.yaml", "/no/such/file.yaml"},
		{"m --enable_sleep_mode", "TRTLLM_RUNTIME_CONTROL_API_KEY"},
	} {
		t.Setenv("TRTLLM_RUNTIME_CONTROL_API_KEY", "")
		var stderr bytes.Buffer
		status := trtsim.Main(strings.Fields(row.args), nil, &stderr)
		if status != 2 || !strings.Contains(stderr.String(), row.message) || !strings.Contains(stderr.String(), "Usage: trtsim") {
			t.Errorf("%s: got %d %s, want 2 and %q", row.args, status, &stderr, row.message)
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var stdout bytes.Buffer
	if status := trtsim.Main([]string{"--help"}, &stdout, nil); status != 0 {
		t.Errorf("got status %d, want 0", status)
	}
	for _, flag := range []string{"--tensor_parallel_size, --tp_size", "--sim-speed", "--sim-die-after", "--enable_sleep_mode", "--config, --extra_llm_api_options"} {
		if !strings.Contains(stdout.String(), flag) {
			t.Errorf("got a help without %s", flag)
		}
	}
}

func TestCommandLineOfAnOperator(t *testing.T) {
	yaml := filepath.Join(t.TempDir(), "extra.yaml")
	if err := os.WriteFile(yaml, []byte(`
# what operators write
cuda_graph_config: {enable_padding: true, max_batch_size: 7}
kv_cache_config:
  free_gpu_memory_fraction: 0.85   # room for sleepers
  enable_block_reuse: true
  dtype: "fp8"
max_num_tokens: 1234
max_batch_size: 99
enable_iter_perf_stats: true
sleep_config: {restore_modes: {model_weights: CPU, kv_cache: NONE}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"TRTLLM_RUNTIME_CONTROL_API_KEY": "k", "CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2", "PILOTLIGHT_SIM_GPU_DIR": "/d"}
	got, err := trtsim.ParseForTest([]string{
		"serve", "/srv/weights/x", "--host", "0.0.0.0", "--port=9000", "--tp_size", "4", "--max-batch-size", "128", "--ep_size=8", "--enable_chunked_prefill",
		"--served_model_name", "meta/x", "--extra_llm_api_options", yaml, "--enable_sleep_mode", "--backend", "pytorch", "--no-telemetry",
		"--sim-speed", "20", "--sim-stack=published", "--sim_load", "hot", "--sim-seed", "0", "--sim-container-start", "0s", "--sim-die-after", "5", "--sim-slow", "2", "--sim-fault", "hang:after=3:times=1",
	}, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	want := trtsim.Config{
		Model: "/srv/weights/x", ServedModelName: "meta/x", GPUs: 4, MaxBatchSize: 128, MaxNumTokens: 1234, KVFraction: 0.85, KVFP8: true,
		ChunkedPrefill: true, IterStats: true, PageableBackup: true, ControlKey: []byte("k"),
		Speed: 20, Stack: trtsim.StackPublished, Load: trtsim.SourceHot, ContainerStart: -1 * time.Nanosecond,
		Faults: []trtsim.Fault{{Kind: trtsim.FaultDie, After: 5}, {Kind: trtsim.FaultSlow, Factor: 2}, {Kind: trtsim.FaultHang, After: 3, Times: 1}},
		GPUDir: "/d", Visible: []string{"GPU-1", "GPU-2"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestOptionFilesThatCannotBeRead(t *testing.T) {
	for text, part := range map[string]string{
		"max_batch_size 5": "line 1", "a: {b: 1": "line 1", "x: 1\nmax_batch_size: many": "max_batch_size",
	} {
		name := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		if status := trtsim.Main([]string{"m", "--config", name}, nil, &stderr); status != 2 || !strings.Contains(stderr.String(), part) {
			t.Errorf("%q: got %d %s, want 2 and %q", text, status, &stderr, part)
		}
	}
}
