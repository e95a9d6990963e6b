package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestCommand(t *testing.T) {
	for name, row := range map[string]struct {
		gpus int
		spec fleet.EngineSpec
		want string // program and arguments
		env  []string
	}{
		"trtllm from a directory is offline": {
			4,
			fleet.EngineSpec{Kind: "trtllm", Weights: "/w/m", Args: []string{"--max_batch_size", "8"}},
			"trtllm-serve /w/m --host 127.0.0.1 --port 9 --tp_size 4 --served_model_name org/m --max_batch_size 8",
			[]string{"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1"},
		},
		"trtllm from Hugging Face is not": {
			1,
			fleet.EngineSpec{Kind: "trtllm", Weights: "nvidia/m"},
			"trtllm-serve nvidia/m --host 127.0.0.1 --port 9 --tp_size 1 --served_model_name org/m", nil,
		},
		"trtllm by another program": {
			2,
			fleet.EngineSpec{Kind: "trtllm", Command: []string{"trtsim", "-x"}, Env: map[string]string{"B": "2", "A": "1"}},
			"trtsim -x org/m --host 127.0.0.1 --port 9 --tp_size 2 --served_model_name org/m",
			[]string{"A=1", "B=2"},
		},
		"sim is ourselves": {
			1,
			fleet.EngineSpec{Kind: "sim", Args: []string{"--sim-speed", "20"}},
			"/bin/self trtsim org/m --host 127.0.0.1 --port 9 --tp_size 1 --served_model_name org/m --sim-speed 20", nil,
		},
		"vllm": {
			2,
			fleet.EngineSpec{Kind: "vllm", Weights: "org/w"},
			"vllm serve org/w --host 127.0.0.1 --port 9 --tensor-parallel-size 2 --served-model-name org/m", nil,
		},
		"nim by environment": {
			2,
			fleet.EngineSpec{Kind: "nim", Weights: "/w"},
			"/opt/nim/start_server.sh",
			[]string{
				"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "NIM_SERVER_PORT=9", "NIM_SERVED_MODEL_NAME=org/m",
				"NIM_TENSOR_PARALLEL_SIZE=2", "NIM_MODEL_NAME=/w",
			},
		},
		"openai with placeholders": {
			0,
			fleet.EngineSpec{Kind: "openai", Weights: "/w", Command: []string{"srv", "-m", "${weights}", "--listen=${host}:${port}"}},
			"srv -m /w --listen=127.0.0.1:9", nil,
		},
		"openai without placeholders": {
			0,
			fleet.EngineSpec{Kind: "openai", Command: []string{"srv"}, Args: []string{"-t", "2"}},
			"srv -t 2 --host 127.0.0.1 --port 9", nil,
		},
		"openai with the placeholder among the arguments": {
			0,
			fleet.EngineSpec{Kind: "openai", Command: []string{"srv"}, Args: []string{"--port", "${port}"}},
			"srv --port 9", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &fleet.Model{ID: "org/m", GPUs: row.gpus, Engine: row.spec}
			l, err := engine.Command(m, "127.0.0.1", 9, "/bin/self")
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(append([]string{l.Path}, l.Args...), " "); got != row.want {
				t.Errorf("got %s\nwant %s", got, row.want)
			}
			if d := cmp.Diff(row.env, l.Env); d != "" {
				t.Errorf("environment, want and got:\n%s", d)
			}
		})
	}
}

func TestCommand_RefusesWhatCannotBeLaunched(t *testing.T) {
	for name, spec := range map[string]fleet.EngineSpec{
		"unknown kind":       {Kind: "tgi"},
		"openai, no command": {Kind: "openai"},
		"reserved argument":  {Kind: "vllm", Args: []string{"--port", "1"}},
	} {
		if l, err := engine.Command(&fleet.Model{ID: "m", Engine: spec}, "127.0.0.1", 9, "self"); err == nil {
			t.Errorf("%s: got %v, want an error", name, l)
		}
	}
	sim := &fleet.Model{ID: "m", Engine: fleet.EngineSpec{Kind: "sim"}}
	if _, err := engine.Command(sim, "127.0.0.1", 9, ""); err == nil {
		t.Error("sim without a program: got no error")
	}
}

func TestCommand_LeavesTheModelAlone(t *testing.T) {
	command := append(make([]string, 0, 8), "srv", "${port}")
	m := &fleet.Model{ID: "m", Engine: fleet.EngineSpec{Kind: "openai", Command: command, Args: []string{"${host}"}}}
	for range 2 {
		l, err := engine.Command(m, "127.0.0.1", 9, "")
		if err != nil || !slices.Equal(l.Args, []string{"9", "127.0.0.1"}) {
			t.Fatalf("got %v, %v", l, err)
		}
	}
	if m.Engine.Command[1] != "${port}" || m.Engine.Args[0] != "${host}" {
		t.Errorf("the model's own command was changed: %v %v", m.Engine.Command, m.Engine.Args)
	}
}

func TestKinds_AllAnswerEverything(t *testing.T) {
	for _, k := range []fleet.EngineKind{
		fleet.EngineTRTLLM, fleet.EngineNIM, fleet.EngineVLLM, fleet.EngineOpenAI, fleet.EngineSim,
	} {
		if engine.MetricsPath(k) == "" {
			t.Errorf("kind %s is not described whole", k)
		}
	}
	if got := engine.MetricsPath("tgi"); got != "" {
		t.Errorf("an unknown kind has metrics at %s", got)
	}
	if got := engine.Park(fleet.EngineVLLM); got != engine.ParkVLLM {
		t.Errorf("vllm parks by %q, want %q", got, engine.ParkVLLM)
	}
}

func TestGGUF_NamesTheModelAfterItsFile(t *testing.T) {
	m := engine.GGUF("/models/Gemma-3.Q4.GGUF")
	if m.ID != "local/Gemma-3.Q4" || m.GPUs != 0 || !m.Serves(fleet.EndpointChat) || !m.Serves(fleet.EndpointCompletions) {
		t.Errorf("got %+v", m)
	}
	l, err := engine.Command(m, "127.0.0.1", 4711, "")
	if err != nil {
		t.Fatal(err)
	}
	line := l.Path + " " + strings.Join(l.Args, " ")
	for _, want := range []string{"llama-server -m /models/Gemma-3.Q4.GGUF", "--alias local/Gemma-3.Q4", "--host 127.0.0.1", "--port 4711"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s lacks %s", line, want)
		}
	}
}

func TestCommand_EmbeddingsAreACommandOfTRTLLMsOwn(t *testing.T) {
	m := &fleet.Model{ID: "org/m", GPUs: 1, Endpoints: []fleet.Endpoint{fleet.EndpointEmbeddings}, Engine: fleet.EngineSpec{Kind: "trtllm", Command: []string{"trtllm-serve"}}}
	l, err := engine.Command(m, "127.0.0.1", 9, "")
	if got := l.Path + " " + strings.Join(l.Args, " "); err != nil || !strings.HasPrefix(got, "trtllm-serve embeddings org/m --host") {
		t.Errorf("got %q and error %v", got, err)
	}
}
