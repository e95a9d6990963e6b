package config

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// The task drivers of Nomad that an engine may have.
const (
	driverDocker  = "docker"
	driverRawExec = "raw_exec"
)

var engineKinds = []string{
	string(fleet.EngineTRTLLM), string(fleet.EngineNIM), string(fleet.EngineVLLM), string(fleet.EngineOpenAI), string(fleet.EngineSim),
}

// engine reads the engine block. What the catalogue knows of a model's launch line is for trtllm, and for sim, which has
// the same; another kind takes only its weights and its memory.
func (r *reader) engine(f *modelHCL, m *fleet.Model, b Backend, known bool) {
	if f.Engine == nil {
		if !known {
			r.wrong(f.Range, "model %q has no engine; write engine \"trtllm\" { weights = ... }", f.ID)
		}
		return
	}
	e, block := &m.Engine, f.Engine
	kind := fleet.EngineKind(block.Kind)
	switch {
	case !slices.Contains(engineKinds, block.Kind):
		r.wrong(block.Range, "engine kind %q is unknown; %s", block.Kind, suggestion(block.Kind, engineKinds))
		e.Kind = "" // so that nothing is held against a kind that was not meant
	case kind == fleet.EngineSim:
		e.Kind, e.Command = kind, nil
	case kind != fleet.EngineTRTLLM:
		fresh := engine(kind)
		fresh.Weights = e.Weights
		if known {
			fresh.Memory = e.Memory
		}
		*e = fresh
	}
	r.choice(block.Driver, &e.Driver, driverDocker, driverRawExec)
	r.text(block.Image, &e.Image, "the name of an image in quotes")
	legible := r.list(block.Command, &e.Command, `a list such as ["trtllm-serve"]`, notNUL) || block.Command == nil
	legible = (r.list(block.Args, &e.Args, `a list such as ["--max_batch_size", "256"]`, notNUL) || block.Args == nil) && legible
	r.weights(block.Weights, e, b)
	r.list(block.Volumes, &e.Volumes, `a list such as ["/srv/weights:/srv/weights:ro"]`, volume)
	r.environment(block.Env, e)
	r.text(block.Secrets, &e.Secrets, "the path of a Nomad Variable in quotes")
	r.size(block.Memory, &e.Memory, 1<<20)
	r.count(block.CPU, &e.CPU, 1, math.MaxInt32)
	if legible {
		r.commandLine(block, e, b)
	}
	r.launchable(f, e, b)
}

// launchable holds what the engine needs besides a command line against its kind and the back end.
func (r *reader) launchable(f *modelHCL, e *fleet.EngineSpec, b Backend) {
	block := f.Engine
	if e.Weights == "" && e.Kind == fleet.EngineSim {
		e.Weights = f.ID // the simulator reads no weights
	}
	if e.Weights == "" && block.Weights == nil {
		r.wrong(block.Range, "engine %q has no weights; write the path of the weights, or a Hugging Face id such as %q", block.Kind, f.ID)
	}
	if b.Kind == BackendNomad {
		r.submittable(block, e)
	}
}

// submittable holds what the engine needs against what a Nomad job of its driver can say.
func (r *reader) submittable(block *engineHCL, e *fleet.EngineSpec) {
	switch {
	case e.Driver == driverRawExec:
		for _, attr := range []*hcl.Attribute{block.Image, block.Volumes} {
			r.onlyDocker(attr)
		}
		e.Image = ""
	case e.Image == "":
		r.wrong(block.Range, "engine %q has no image; write image = \"...\", or driver = \"raw_exec\"", block.Kind)
	case e.Kind == fleet.EngineSim && len(e.Command) == 0:
		r.wrong(block.Range, "engine \"sim\" has no command, and its image is none of ours; write driver = \"raw_exec\", or the command of an image that has one")
	}
	if e.Memory < leastJobMemory {
		r.wrong(either(block.Memory, block.Range), "memory is %s; a Nomad task has at least %s", e.Memory, leastJobMemory)
	}
	if e.Secrets != "" && !variablePathPattern.MatchString(e.Secrets) {
		r.wrong(either(block.Secrets, block.Range), "secrets: %q is no path of a Nomad Variable; write one such as \"pilotlight/engine\": letters, digits and -_~/, at most 128", e.Secrets)
	}
}

const leastJobMemory fleet.Bytes = 10 << 20

var variablePathPattern = regexp.MustCompile(`^[A-Za-z0-9_~/-]{1,128}$`)

func (r *reader) onlyDocker(attr *hcl.Attribute) {
	if attr != nil {
		r.wrong(attr.NameRange, "%s is for driver \"docker\"; leave it out: a raw_exec engine runs on the node as it is", attr.Name)
	}
}

// commandLine holds command and args against the kind and the back end.
func (r *reader) commandLine(block *engineHCL, e *fleet.EngineSpec, b Backend) {
	if block.Command != nil && len(e.Command) == 0 {
		r.wrong(block.Command.Range, "command is empty; name a program, or leave command out for the kind's own")
	}
	r.reserved(block, e.Kind, e.Command[min(1, len(e.Command)):], block.Command)
	r.reserved(block, e.Kind, e.Args, block.Args)
	if e.Kind == fleet.EngineOpenAI && block.Command == nil {
		r.wrong(block.Range, `engine "openai" has no command; write one such as command = ["llama-server", "-m", "${weights}", "--host", "${host}", "--port", "${port}"]`)
	}
	if e.Kind == fleet.EngineNIM && len(e.Command) == 0 && (b.Kind == BackendLocal || e.Driver == driverRawExec) {
		where := "the local back end runs programs"
		if b.Kind != BackendLocal {
			where = "driver \"raw_exec\" runs programs"
		}
		r.wrong(block.Range, "engine \"nim\" is a container, and %s; write command = [...], or use kind vllm or trtllm", where)
	}
}

// either gives the place of an attribute, or of its block where the attribute is not written.
func either(attr *hcl.Attribute, block hcl.Range) hcl.Range {
	if attr != nil {
		return attr.Range
	}
	return block
}

// reserved refuses words that repeat what Pilotlight sets itself.
func (r *reader) reserved(block *engineHCL, kind fleet.EngineKind, words []string, from *hcl.Attribute) {
	arg, found := fleet.ReservedArg(kind, words)
	switch {
	case !found:
	case kind == fleet.EngineOpenAI:
		r.wrong(either(from, block.Range), "%s is for Pilotlight to say; write ${host} or ${port} for its value, or leave it out and it is appended", arg)
	default:
		r.wrong(either(from, block.Range), "%s is set by Pilotlight; leave it out (GPUs come from gpus, the name from the model's id, the address from where the engine is placed)", arg)
	}
}

// weights reads a path or a Hugging Face id. Only what starts with a dot, or is a GGUF file, is a relative path: "a/b" is an id.
func (r *reader) weights(attr *hcl.Attribute, e *fleet.EngineSpec, b Backend) {
	var s string
	if !r.text(attr, &s, "a path or a Hugging Face id in quotes") {
		return
	}
	if strings.TrimSpace(s) == "" || strings.ContainsRune(s, 0) {
		r.wrong(attr.Range, "weights is empty; write the path of the weights, or a Hugging Face id")
		return
	}
	relative := strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") || strings.HasSuffix(s, ".gguf") && !filepath.IsAbs(s)
	switch {
	case relative && b.Kind == BackendLocal:
		s = r.options.resolve(s)
	case relative:
		r.wrong(attr.Expr.Range(), "weights: %q is relative to this file, which no node has; write the full path on the node, or a Hugging Face id", s)
		return
	}
	e.Weights = s
}

func (r *reader) environment(attr *hcl.Attribute, e *fleet.EngineSpec) {
	var env map[string]string
	r.table(attr, &env, `an object such as { HF_HUB_OFFLINE = "1" }`)
	if env == nil {
		return
	}
	e.Env = env
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !variablePattern.MatchString(name) || strings.ContainsRune(env[name], 0) {
			r.wrong(attr.Range, "env: %q names no environment variable; write letters, digits and _", name)
		}
	}
}

func notNUL(s string) string {
	if strings.ContainsRune(s, 0) {
		return "holds a NUL; leave it out"
	}
	return ""
}

func volume(s string) string {
	parts := strings.Split(s, ":")
	sound := len(parts) == 2 || (len(parts) == 3 && (parts[2] == "ro" || parts[2] == "rw"))
	if !sound || parts[0] == "" || !strings.HasPrefix(parts[1], "/") {
		return fmt.Sprintf("is no volume; write %q", "/path/on/the/node:/path/inside[:ro]")
	}
	return ""
}
