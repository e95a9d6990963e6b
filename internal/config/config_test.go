package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEmptyFileIsTheDefault(t *testing.T) {
	got, err := config.Parse("pilotlight.hcl", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Options{BaseDir: "."}.Default(), got); diff != "" {
		t.Errorf("an empty file (+) is not Default() (-):\n%s", diff)
	}
}

func TestDefaultsAreThePromisedOnes(t *testing.T) {
	want := &config.Config{
		Cluster: "default",
		API: config.API{
			Addr: "127.0.0.1:8080", BodyLimit: 32 << 20, Keepalive: "comment", StreamHeartbeat: 15 * time.Second, BodyBudget: 1 << 30, EventLimit: 32 << 20,
		},
		Admin:      config.Admin{Addr: "127.0.0.1:8081", TokenEnv: "PILOTLIGHT_ADMIN_TOKEN"},
		Servers:    config.Servers{Addr: ":8082", KeyEnv: "PILOTLIGHT_SERVERS_KEY"},
		Price:      8_250_000_000,
		Store:      config.Store{Kind: "sqlite", Path: "pilotlight.db"},
		Ledger:     config.Ledger{Dir: "ledger", Durability: "async", Retention: 9600 * time.Hour},
		Telemetry:  config.Telemetry{SampleRatio: 1},
		Autoscaler: config.Autoscaler{Policy: "adaptive", LatencyWeight: 10},
		Backend:    config.Backend{Kind: "local", GPUs: 8, HostMemory: 1536 << 30},
		Pools: []fleet.Pool{{
			Name: "local", GPUsPerSlot: 8, HostMemory: 1536 << 30, MaxParkedPerGPU: 4, ParkedGPUMemory: 4 << 30,
		}},
	}
	if diff := cmp.Diff(want, config.Options{BaseDir: "."}.Default()); diff != "" {
		t.Errorf("Default() (-want +got):\n%s", diff)
	}
}

func TestModelWithOnlyWhatIsRequired(t *testing.T) {
	got := parse(t, config.Options{}, `
model "acme/own" {
  gpus = 2
  engine "trtllm" { weights = "/srv/own" }
}`).Models
	want := []*fleet.Model{{
		ID: "acme/own", GPUs: 2, Pool: "local", Endpoints: []fleet.Endpoint{"chat", "completions", "responses", "messages"}, ContextLength: 8192,
		MaxConcurrency: 64, IdleAfter: 5 * time.Minute, Instances: fleet.Range{Max: 4},
		Queue:    fleet.QueueLimits{Limit: 2048, PerOrg: 1024, MaxWait: 9 * time.Minute},
		Timeouts: fleet.Timeouts{Start: 30 * time.Minute, FirstByte: 10 * time.Minute, Idle: 5 * time.Minute, Total: 30 * time.Minute},
		Engine: fleet.EngineSpec{
			Kind: "trtllm", Driver: "docker", Image: "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc22",
			Command: []string{"trtllm-serve"}, Weights: "/srv/own", Memory: 64 << 30, CPU: 1000,
		},
		ParkedMemory: 64 << 30,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
}

func TestNomadLeavesWhatIsNotWrittenToItsOwnVariables(t *testing.T) {
	t.Setenv("NOMAD_ADDR", "http://elsewhere:4646") // which the config does not read: Nomad's own client does
	got := parse(t, config.Options{}, `backend "nomad" {}`)
	want := config.Backend{
		Kind:   "nomad",
		Nomad:  config.Nomad{TokenEnv: "NOMAD_TOKEN", Datacenters: []string{"*"}, NodePool: "default"},
		Consul: config.Consul{TokenEnv: "CONSUL_HTTP_TOKEN"},
	}
	if diff := cmp.Diff(want, got.Backend); diff != "" || len(got.Pools) != 0 {
		t.Errorf("pools %v, back end (-want +got):\n%s", got.Pools, diff)
	}
}

func TestNomadModelsAreDedicated(t *testing.T) {
	got := parse(t, config.Options{}, `
backend "nomad" {}
model "meta-llama/Meta-Llama-3-70B-Instruct" {
  engine "trtllm" {
    weights = "/srv/weights/llama.gguf"
    volumes = ["/srv/weights:/srv/weights:ro"]
    secrets = "pilotlight/engine"
  }
}
model "acme/own" {
  gpus = 1
  engine "sim" { driver = "raw_exec" }
}`).Models
	if m := got[0]; m.Pool != "" || m.Engine.Driver != "docker" || m.Engine.Image == "" || m.Engine.Weights != "/srv/weights/llama.gguf" || m.Engine.Secrets != "pilotlight/engine" {
		t.Errorf("got %+v", m)
	}
	if m := got[1]; m.Pool != "" || m.Engine.Driver != "raw_exec" || m.Engine.Image != "" {
		t.Errorf("got %+v, want no pool and no image", m)
	}
}

func TestCatalogueModelNeedsNothing(t *testing.T) {
	got := parse(t, config.Options{}, `model "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8" {}`).Models[0]
	if got.GPUs != 8 || got.Engine.Weights != "nvidia/Llama-3.1-405B-Instruct-FP8" || got.ContextLength != 16384 {
		t.Errorf("got %d GPUs, weights %s, context %d", got.GPUs, got.Engine.Weights, got.ContextLength)
	}
}

func TestCatalogueModelTakesOnlyWeightsToAnotherKind(t *testing.T) {
	got := parse(t, config.Options{}, `
model "mistralai/Mixtral-8x7B-Instruct-v0.1" {
  engine "vllm" {}
}`).Models[0].Engine
	if got.Weights != "mistralai/Mixtral-8x7B-Instruct-v0.1" || len(got.Args) != 0 || got.Command[0] != "vllm" || got.Image != "" {
		t.Errorf("got %+v, want the weights and nothing of trtllm-serve's", got)
	}
}

func TestSimKeepsTheCataloguesCommandLine(t *testing.T) {
	got := parse(t, config.Options{}, `
model "mistralai/Mistral-7B-Instruct-v0.3" {
  engine "sim" {}
}
model "acme/own" {
  gpus = 1
  engine "sim" { args = ["--sim-speed", "20"] }
}`).Models
	if e := got[0].Engine; e.Kind != "sim" || e.Command != nil || !cmp.Equal(e.Args, []string{"--max_batch_size", "256"}) {
		t.Errorf("got %+v, want the arguments of the catalogue and no command", e)
	}
	if e := got[1].Engine; e.Weights != "acme/own" || !cmp.Equal(e.Args, []string{"--sim-speed", "20"}) {
		t.Errorf("got %+v, want the id as weights and the given arguments", e)
	}
}

func TestRelativePathsAreTheFilesOwn(t *testing.T) {
	src := `
store "sqlite" { path = "data/p.db" }
ledger { dir = "/var/lib/ledger" }
model "local/gemma" {
  gpus = 0
  engine "openai" {
    command = ["llama-server", "-m", "${weights}", "--host", "${host}", "--port=${port}", "$${port}"]
    weights = "gemma.gguf"
  }
}`
	for name, o := range map[string]config.Options{"/etc/pilotlight": {}, "/data": {BaseDir: "/data"}} {
		got, err := o.Parse("/etc/pilotlight/p.hcl", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if got.Store.Path != name+"/data/p.db" || got.Ledger.Dir != "/var/lib/ledger" || got.Models[0].Engine.Weights != name+"/gemma.gguf" {
			t.Errorf("base %s: got %s, %s, %s", name, got.Store.Path, got.Ledger.Dir, got.Models[0].Engine.Weights)
		}
		want := []string{"llama-server", "-m", "${weights}", "--host", "${host}", "--port=${port}", "${port}"}
		if diff := cmp.Diff(want, got.Models[0].Engine.Command); diff != "" {
			t.Errorf("placeholders were not kept (-want +got):\n%s", diff)
		}
	}
}

func TestIdleAfterOfDevIsShorter(t *testing.T) {
	o := config.Options{IdleAfter: 30 * time.Second}
	src := `
model "meta-llama/Meta-Llama-3-8B-Instruct" {}
model "meta-llama/Meta-Llama-3-70B-Instruct" { idle_after = "2m" }`
	got := parse(t, o, src).Models
	if got[0].IdleAfter != 30*time.Second || got[1].IdleAfter != 2*time.Minute || o.Catalogue()[0].IdleAfter != 30*time.Second {
		t.Errorf("got %v, %v, want 30s where the file is silent, and 2m", got[0].IdleAfter, got[1].IdleAfter)
	}
}

func TestSmallQueueBoundsEachOrg(t *testing.T) {
	got := parse(t, config.Options{}, `
model "meta-llama/Meta-Llama-3-8B-Instruct" {
  queue { limit = 10 }
}`).Models[0].Queue
	if got.Limit != 10 || got.PerOrg != 10 {
		t.Errorf("got %+v, want per_org lowered to the limit", got)
	}
}

func TestCatalogueIsThePublishedOne(t *testing.T) {
	want := []string{
		"mistralai/Mixtral-8x22B-Instruct-v0.1 8", "mistralai/Mixtral-8x7B-Instruct-v0.1 2",
		"mistralai/Mistral-7B-Instruct-v0.3 2", "meta-llama/Meta-Llama-3.1-70B-Instruct 4",
		"meta-llama/Meta-Llama-3.1-8B-Instruct 1", "meta-llama/Meta-Llama-3-8B-Instruct 1",
		"meta-llama/Meta-Llama-3-70B-Instruct 4", "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8 8",
	}
	var got []string
	var parked fleet.Bytes
	for _, m := range config.Catalogue() {
		got = append(got, m.ID+" "+string(rune('0'+m.GPUs)))
		parked += m.Engine.Memory
		if arg, found := fleet.ReservedArg(m.Engine.Kind, m.Engine.Args); found {
			t.Errorf("%s repeats %s", m.ID, arg)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("catalogue (-want +got):\n%s", diff)
	}
	if limit := (config.Options{BaseDir: "."}).Default().Backend.HostMemory; parked > limit {
		t.Errorf("the catalogue parked takes %s, more than the %s of the default host", parked, limit)
	}
}

func TestCatalogueGivesFreshCopies(t *testing.T) {
	config.Catalogue()[0].Engine.Args[0] = "changed"
	if got := config.Catalogue()[0].Engine.Args[0]; got == "changed" {
		t.Error("a caller's change reached the next caller")
	}
}

func TestSimulatedReplacesEnginesButOpenAI(t *testing.T) {
	models := []*fleet.Model{config.Catalogue()[2], {ID: "local/x", Engine: fleet.EngineSpec{Kind: fleet.EngineOpenAI}}}
	got := config.Simulated(models, "--sim-speed", "20")
	if e := got[0].Engine; e.Kind != "sim" || !cmp.Equal(e.Args, []string{"--max_batch_size", "256", "--sim-speed", "20"}) {
		t.Errorf("got %+v", e)
	}
	if got[1].Engine.Kind != "openai" || models[0].Engine.Kind != "trtllm" {
		t.Errorf("got kind %s, and the original changed to %s", got[1].Engine.Kind, models[0].Engine.Kind)
	}
}

func TestLoad_MissingFileIsNoMistake(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none.hcl"))
	var mistakes config.Mistakes
	if !errors.Is(err, os.ErrNotExist) || errors.As(err, &mistakes) {
		t.Errorf("got %v, want a plain error that the file does not exist", err)
	}
}

// TestMistakes holds each file of testdata against the mistakes that are expected in it.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".hcl"), func(t *testing.T) {
			_, err := config.Load(file)
			var mistakes config.Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("got %v, want mistakes", err)
			}
			golden := strings.TrimSuffix(file, ".hcl") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdleCostIsAShare(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "0.25": 0.25, "1": 1} {
		if c := parse(t, config.Options{}, "autoscaler {\n  idle_cost = "+text+"\n}\n"); c.Autoscaler.IdleCost != want {
			t.Errorf("idle_cost = %s: got %g", text, c.Autoscaler.IdleCost)
		}
	}
	for text, want := range map[string]string{
		"-0.1": "idle_cost is -0.1; write a number from 0 to 1", "1.01": "idle_cost is 1.01; write a number from 0 to 1", `"0"`: "idle_cost is text; write a number without quotes",
	} {
		_, err := config.Options{}.Parse("c.hcl", []byte("autoscaler {\n  idle_cost = "+text+"\n}\n"))
		if err == nil || !strings.Contains(err.Error(), "c.hcl:2: "+want) {
			t.Errorf("idle_cost = %s: got %v, want c.hcl:2: %s", text, err, want)
		}
	}
}

func parse(t *testing.T, o config.Options, src string) *config.Config {
	t.Helper()
	c, err := o.Parse("test.hcl", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPoolLocalTakesWhatParkingNeeds(t *testing.T) {
	got := parse(t, config.Options{}, `
pool "local" {
  host_memory        = "1TiB"
  max_parked_per_gpu = 0
  parked_gpu_memory  = "2GiB"
}`).Pools
	want := []fleet.Pool{{Name: "local", GPUsPerSlot: 8, HostMemory: 1 << 40, ParkedGPUMemory: 2 << 30}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

func TestPoolLocalRefusesWhatIsTheMachines(t *testing.T) {
	_, err := config.Parse("p.hcl", []byte(`
pool "local" {
  gpus_per_slot = 4
  node_pool     = "gpu"
  slot_idle     = "5m"
  slots {
    max = 2
  }
}
pool "other" {}`))
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) {
		t.Fatalf("got %v, want mistakes", err)
	}
	var lines []int
	for _, m := range mistakes {
		lines = append(lines, m.Line)
	}
	if diff := cmp.Diff([]int{3, 4, 5, 6, 10}, lines); diff != "" {
		t.Errorf("lines of the mistakes (-want +got):\n%s\n%v", diff, err)
	}
}
