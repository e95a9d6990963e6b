package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	sampleLocal = "../../docs/config-local.hcl"
	sampleNomad = "../../docs/config-nomad.hcl"
)

func TestSamplesLoadAndAreTheDefault(t *testing.T) {
	o := Options{BaseDir: "/base"}
	local, onNomad := o.Default(), o.Default()
	h100 := defaultPool("h100")
	h100.NodePool = "gpu" // which has no default but the back end's
	onNomad.Backend, onNomad.Pools = defaultNomad(), []fleet.Pool{h100}
	// The sample shows what Nomad's and Consul's own clients fall back on.
	onNomad.Backend.Nomad.Addr, onNomad.Backend.Nomad.Namespace, onNomad.Backend.Consul.Addr = "http://127.0.0.1:4646", "default", "http://127.0.0.1:8500"
	for sample, want := range map[string]*Config{sampleLocal: local, sampleNomad: onNomad} {
		c, err := o.Load(sample)
		if err != nil {
			t.Fatal(err)
		}
		want.API.PathAliases, want.API.CORSOrigins = []string{}, []string{}
		models := c.Models
		if c.Models = nil; !reflect.DeepEqual(c, want) {
			t.Errorf("%s says something else than the defaults:\ngot  %+v\nwant %+v", sample, c, want)
		}
		m := o.model(models[0].ID)
		m.GPUs, m.Allow = 1, []string{}
		m.Pool = want.Pools[0].Name
		m.Engine.Args = models[0].Engine.Args
		m.Engine.Weights, m.Engine.Env, m.Engine.Volumes = m.ID, map[string]string{}, []string{}
		m.ParkedMemory = 32 << 30 // as the catalogue knows: less than memory
		if len(models) != 1 || !reflect.DeepEqual(models[0], m) {
			t.Errorf("the model of %s says something else than the defaults:\ngot  %+v\nwant %+v", sample, *models[0], *m)
		}
	}
}

// TestSamplesListEveryField takes the "#|" marks off, so that what cannot stand beside the rest is read too, and then looks for
// schema fields that nothing in the sample has filled.
func TestSamplesListEveryField(t *testing.T) {
	for sample, others := range map[string][]string{
		sampleLocal: {
			"backend.addr", "backend.token_env", "backend.namespace", "backend.datacenters", "backend.node_pool", "backend.consul.addr", "backend.consul.token_env",
			"servers.addr", "servers.advertise", "servers.key_env", "pool.gpus_per_slot", "pool.node_pool", "pool.slot_idle", "pool.slots.min", "pool.slots.max",
		},
		sampleNomad: {"backend.gpus", "backend.host_memory"},
	} {
		listsEveryField(t, sample, others)
	}
}

// listsEveryField looks for schema fields that the sample does not show; others are those of the other back end.
func listsEveryField(t *testing.T, sample string, others []string) {
	t.Helper()
	src, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	parsed, problems := hclsyntax.ParseConfig([]byte(strings.ReplaceAll(string(src), "\n#| ", "\n")), sample, hcl.InitialPos)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	// Both stores stand in the file then, which only the schema knows to be one too many.
	body := parsed.Body.(*hclsyntax.Body)
	seen := map[string]bool{}
	listed(body, "", seen)
	for _, path := range fields(reflect.TypeFor[fileHCL](), "") {
		if seen[path] == slices.Contains(others, path) {
			t.Errorf("%s: shows %s: %v", sample, path, seen[path])
		}
	}
	for _, block := range body.Blocks {
		if block.Type == "pool" && gohcl.DecodeBody(block.Body, nil, new(poolHCL)).HasErrors() {
			t.Errorf("%s: the pool block in the comments is not one", sample)
		}
	}
}

func listed(body *hclsyntax.Body, prefix string, seen map[string]bool) {
	for name := range body.Attributes {
		seen[prefix+name] = true
	}
	for _, block := range body.Blocks {
		listed(block.Body, prefix+block.Type+".", seen)
	}
}

// fields gives the dotted names of all attributes that a schema struct can hold.
func fields(t reflect.Type, prefix string) []string {
	var paths []string
	for f := range t.Fields() {
		name, kind, _ := strings.Cut(f.Tag.Get("hcl"), ",")
		switch {
		case kind == "optional":
			paths = append(paths, prefix+name)
		case kind == "block":
			inner := f.Type
			for inner.Kind() != reflect.Struct {
				inner = inner.Elem()
			}
			paths = append(paths, fields(inner, prefix+name+".")...)
		}
	}
	return paths
}

func TestFieldsSeesTheWholeSchema(t *testing.T) {
	got := fields(reflect.TypeFor[fileHCL](), "")
	for _, want := range []string{"cluster", "api.addr", "backend.consul.token_env", "pool.slots.max", "model.queue.per_org", "model.engine.cpu"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s was not found in the schema; the test above would not miss it", want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{sampleLocal, sampleNomad, "testdata/nomad.hcl", "testdata/good/everything.hcl", "testdata/names.hcl", "testdata/values.hcl", "testdata/models.hcl"} {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse("f.hcl", src)
		if err == nil {
			checkServable(t, c)
			return
		}
		var mistakes Mistakes
		if !errors.As(err, &mistakes) || len(mistakes) == 0 || c != nil {
			t.Fatalf("got %v, %v, want only mistakes", c, err)
		}
		for _, m := range mistakes {
			if lines := strings.Count(string(src), "\n") + 1; m.Line < 1 || m.Line > lines || m.Message == "" {
				t.Errorf("mistake %v in a file of %d lines", m, lines)
			}
		}
	})
}

// checkServable holds a Config that Parse let through against what the other parts take for granted.
func checkServable(t *testing.T, c *Config) {
	t.Helper()
	complain := func(what string, args ...any) { t.Errorf("parsed: "+what, args...) }
	if c.Cluster == "" || c.API.Addr == "" || c.Price < 0 || c.API.BodyLimit <= 0 || c.API.StreamHeartbeat <= 0 || len(c.Pools) == 0 && c.Backend.Kind == BackendLocal {
		complain("%+v", c)
	}
	for _, p := range c.Pools {
		if p.Name == "" || p.GPUsPerSlot < 0 || p.Slots.Min > p.Slots.Max || c.Backend.Kind == BackendNomad && (p.GPUsPerSlot < 1 || p.Slots.Max < 1) {
			complain("%+v", p)
		}
	}
	for _, m := range c.Models {
		if c.Backend.Kind == BackendNomad {
			checkSubmittable(t, c, m)
		} else if m.GPUs > c.Backend.GPUs || m.Pool != "local" {
			complain("%s of %d GPUs in pool %q", m.ID, m.GPUs, m.Pool)
		}
		if m.ID == "" || m.Instances.Min > m.Instances.Max || m.Instances.Max < 1 || m.MaxConcurrency < 1 || m.Queue.PerOrg > m.Queue.Limit ||
			m.Queue.MaxWait <= 0 || m.IdleAfter < 0 || len(m.Endpoints) == 0 || m.Engine.Weights == "" {
			complain("%s", fmt.Sprintf("%+v", m))
		}
	}
}

// checkSubmittable holds a model against what a Nomad job takes.
func checkSubmittable(t *testing.T, c *Config, m *fleet.Model) {
	t.Helper()
	e := m.Engine
	docker := e.Driver == driverDocker
	placed := m.Pool == "" || slices.ContainsFunc(c.Pools, func(p fleet.Pool) bool { return p.Name == m.Pool && m.GPUs <= p.GPUsPerSlot })
	sound := m.GPUs >= 1 && placed && e.Memory >= 10<<20 && e.CPU >= 1 && docker == (e.Image != "") && (docker || len(e.Volumes) == 0)
	if !sound || docker && e.Kind == fleet.EngineSim && len(e.Command) == 0 {
		t.Errorf("parsed: %+v", m)
	}
}
