package nomad_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

// TestRender_SaysWhatTheValueFilesSay holds the files for operators against what is submitted for the same models.
func TestRender_SaysWhatTheValueFilesSay(t *testing.T) {
	models := config.Catalogue()
	n, err := nomad.New(nomad.Config{Cluster: "default", Models: models})
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(nomadjobs.Files, "models/*.hcl")
	if err != nil || len(files) != len(models) {
		t.Fatalf("got %v, %v; want %d files", files, err, len(models))
	}
	for _, file := range files {
		text, err := fs.ReadFile(nomadjobs.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		values := make(map[string]string)
		for _, v := range regexp.MustCompile(`(?m)^(\w+) += (.*)$`).FindAllStringSubmatch(string(text), -1) {
			values[v[1]] = v[2]
		}
		job, err := n.Render(strings.Trim(values["model"], `"`))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for name, value := range values {
			if got := defaultOf(job, name); got != value {
				t.Errorf("%s: %s is %s, and what is submitted has %s", file, name, value, got)
			}
		}
	}
}

// defaultOf gives the default of a variable, as written in a job file.
func defaultOf(job, name string) string {
	m := regexp.MustCompile(`(?ms)^variable "` + name + `" \{.*?^  default += ([^\n]*)`).FindStringSubmatch(job)
	if m == nil {
		return ""
	}
	return m[1]
}

func TestRender_TakesTheModelsEngineAndTheBackendsPlace(t *testing.T) {
	n, err := nomad.New(nomad.Config{
		Cluster: "c", Namespace: "ml", Datacenters: []string{"a", "b"}, NodePool: "gpu",
		Models: []*fleet.Model{
			{ID: "org/m", GPUs: 2, Engine: fleet.EngineSpec{
				Kind: "nim", Image: "i:1", Env: map[string]string{"A": "1"}, Secrets: "s/m", Memory: 3 << 30, CPU: 7, Volumes: []string{"/a:/a"},
			}},
			{ID: "org/raw", GPUs: 1, Engine: fleet.EngineSpec{Kind: "openai", Driver: "raw_exec", Command: []string{"srv", "--listen=${host}:${port}"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	job, err := n.Render("org/m")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"cluster": `"c"`, "namespace": `"ml"`, "datacenters": `["a", "b"]`, "node_pool": `"gpu"`, "gpus": "2", "image": `"i:1"`, "secrets": `"s/m"`,
		"memory": "3072", "cpu": "7", "volumes": `["/a:/a"]`, "health": `"/v1/health/ready"`,
		"env": `{ "A" = "1", "NIM_SERVED_MODEL_NAME" = "org/m", "NIM_SERVER_PORT" = "$${NOMAD_PORT_engine}", "NIM_TENSOR_PARALLEL_SIZE" = "2" }`,
	} {
		if got := defaultOf(job, name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	raw, err := n.Render("org/raw")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := defaultOf(raw, "args"), `["--listen=$${NOMAD_IP_engine}:$${NOMAD_PORT_engine}"]`; got != want || !strings.Contains(raw, `"raw_exec"`) {
		t.Errorf("got %s by\n%s\nwant %s by raw_exec", got, raw, want)
	}
	if _, err := n.Render("other"); !errors.Is(err, nomad.ErrUnknownModel) {
		t.Errorf("got %v, want %v", err, nomad.ErrUnknownModel)
	}
}

func TestRenderSlot_HasWhatAnyModelOfThePoolNeeds(t *testing.T) {
	model := func(id, pool, image string, gpus int, memory fleet.Bytes) *fleet.Model {
		return &fleet.Model{ID: id, Pool: pool, GPUs: gpus, Engine: fleet.EngineSpec{
			Kind: fleet.EngineTRTLLM, Image: image, Volumes: []string{"/w:/w:ro", "/" + id + ":/x"}, Secrets: "s/" + id, Memory: memory, CPU: 1000 * gpus,
		}}
	}
	n, err := nomad.New(nomad.Config{
		Cluster: "c", NodePool: "default", Self: "/bin/pl",
		Models: []*fleet.Model{
			model("a", "p", "i:1", 1, 2<<30), model("b", "p", "i:1", 2, 6<<30), model("other", "q", "i:2", 1, 1<<40), model("dedicated", "", "i:3", 1, 1<<40),
			model("x", "mixed", "i:1", 1, 0), model("y", "mixed", "i:2", 1, 0),
		},
		Pools: []fleet.Pool{{Name: "p", GPUsPerSlot: 4, NodePool: "gpu", HostMemory: 8 << 30}, {Name: "q", GPUsPerSlot: 1}, {Name: "mixed", GPUsPerSlot: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	job, err := n.RenderSlot("p", "s1")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"cluster": `"c"`, "pool": `"p"`, "slot": `"s1"`, "gpus": "4", "node_pool": `"gpu"`, "program": `"/bin/pl"`, "image": `"i:1"`, "driver": `"docker"`,
		"volumes": `["/a:/x", "/b:/x", "/w:/w:ro"]`, "secrets": `["s/a", "s/b"]`, "memory": "20480", "cpu": "4000", "host_memory": `"8192MiB"`,
	} {
		if got := defaultOf(job, name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if _, err := n.RenderSlot("mixed", "s1"); err == nil || !strings.Contains(err.Error(), `["i:1" "i:2"]`) {
		t.Errorf("two images in one slot: got %v, want both named", err)
	}
	if _, err := n.RenderSlot("none", "s1"); !errors.Is(err, nomad.ErrUnknownPool) {
		t.Errorf("got %v, want %v", err, nomad.ErrUnknownPool)
	}
}

func TestNew_AttributesWinOverTheEnvironment(t *testing.T) {
	t.Setenv("NOMAD_NAMESPACE", "environment")
	t.Setenv("NOMAD_REGION", "far")
	models := []*fleet.Model{{ID: "m", GPUs: 1, Engine: fleet.EngineSpec{Kind: "trtllm"}}}
	for _, row := range []struct{ attribute, want string }{{"", `"environment"`}, {"own", `"own"`}} {
		n, err := nomad.New(nomad.Config{Cluster: "c", Namespace: row.attribute, Models: models})
		if err != nil {
			t.Fatal(err)
		}
		job, err := n.Render("m")
		if err != nil {
			t.Fatal(err)
		}
		if got := defaultOf(job, "namespace"); got != row.want || defaultOf(job, "region") != `"far"` {
			t.Errorf("got namespace %s and region %s, want %s and the environment's", got, defaultOf(job, "region"), row.want)
		}
	}
}

func TestDo_RefusesWhatNomadDoesNotOffer(t *testing.T) {
	n, err := nomad.New(nomad.Config{Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range []struct {
		fleet.Act
		want error
	}{
		{fleet.Act{Kind: fleet.ActPark}, nomad.ErrNotAvailable},
		{fleet.Act{Kind: fleet.ActAddSlot, Pool: "p"}, nomad.ErrUnknownPool},
		{fleet.Act{Kind: fleet.ActLaunch, Slot: "s"}, nomad.ErrNoSlot},
	} {
		if err := n.Do(t.Context(), act.Act); !errors.Is(err, act.want) {
			t.Errorf("%+v: got %v, want %v", act.Act, err, act.want)
		}
	}
	if err := n.Do(t.Context(), fleet.Act{Kind: fleet.ActLaunch, Model: "m"}); !errors.Is(err, nomad.ErrUnknownModel) {
		t.Errorf("got %v, want %v", err, nomad.ErrUnknownModel)
	}
}

func TestNomad_EndsWithItsContextWhereNomadDoesNotAnswer(t *testing.T) {
	frozen, err := net.Listen("tcp", "127.0.0.1:0") // connections wait to be accepted, for ever
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	n, err := nomad.New(nomad.Config{Cluster: "c", Addr: "http://" + frozen.Addr().String(), Models: []*fleet.Model{{ID: "m", GPUs: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for what, err := range map[string]error{
		"launch": n.Do(ctx, fleet.Act{Kind: fleet.ActLaunch, Instance: "i", Model: "m"}),
		"stop":   n.Do(ctx, fleet.Act{Kind: fleet.ActStop, Instance: "i", Model: "m"}),
		"watch":  n.Watch(ctx, func(o fleet.Observation) { t.Errorf("told %+v", o) }),
	} {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want %v", what, err, context.DeadlineExceeded)
		}
	}
}
