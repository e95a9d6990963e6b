package engine

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ErrUnknownKind is returned for an engine kind that this package does not know.
var ErrUnknownKind = errors.New("unknown engine kind")

// Launch is one engine's command line. Env holds "KEY=value" entries that come on top of the environment of whoever starts
// it; a later entry wins. Which GPUs the engine sees is not in it: that is the supervisor's to say.
type Launch struct {
	Path string // a path, or a name to look up in PATH
	Args []string
	Env  []string
}

// Command gives the command line that makes an engine of the model listen on host and port. The program self, run with
// the leading argument "trtsim", is the simulator: it is launched for kind sim where the model names no command.
func Command(m *fleet.Model, host string, port int, self string) (Launch, error) {
	return CommandAt(m, host, strconv.Itoa(port), self)
}

// CommandAt is Command for a port that somebody else will fill in, such as "${NOMAD_PORT_engine}".
func CommandAt(m *fleet.Model, host, port, self string) (Launch, error) {
	k, ok := kinds[m.Engine.Kind]
	if !ok {
		return Launch{}, fmt.Errorf("launching %s: %w %q", m.ID, ErrUnknownKind, m.Engine.Kind)
	}
	if arg, found := fleet.ReservedArg(m.Engine.Kind, m.Engine.Args); found {
		return Launch{}, fmt.Errorf("launching %s: argument %s is set by Pilotlight; leave it out", m.ID, arg)
	}
	l := k.launch(place{model: m, host: host, port: port, self: self})
	if l.Path == "" {
		return Launch{}, fmt.Errorf("launching %s: an engine of kind %s needs a command", m.ID, m.Engine.Kind)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Engine.Env)) {
		l.Env = append(l.Env, key+"="+m.Engine.Env[key])
	}
	return l, nil
}

// place is what a kind builds its launch line from.
type place struct {
	model      *fleet.Model
	host, port string
	self       string
}

// program gives the model's command, else the kind's.
func (p place) program(fallback ...string) Launch {
	command := p.model.Engine.Command
	if len(command) == 0 {
		command = fallback
	}
	if len(command) == 0 {
		return Launch{}
	}
	return Launch{Path: command[0], Args: slices.Clone(command[1:])}
}

// weights gives what the engine is to load: a model without weights is fetched by its id.
func (p place) weights() string {
	if p.model.Engine.Weights != "" {
		return p.model.Engine.Weights
	}
	return p.model.ID
}

// offline gives the environment that keeps an engine from asking Hugging Face about weights that lie on this machine.
func (p place) offline() []string {
	if w := p.weights(); filepath.IsAbs(w) || strings.HasPrefix(w, ".") {
		return []string{"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1"}
	}
	return nil
}

// gpus gives the tensor parallelism: an engine without GPUs still is one shard.
func (p place) gpus() string { return strconv.Itoa(max(p.model.GPUs, 1)) }

func launchTRTLLM(p place) Launch {
	fallback := []string{"trtllm-serve"}
	if p.model.Engine.Kind == fleet.EngineSim {
		fallback = nil
		if p.self != "" {
			fallback = []string{p.self, "trtsim"}
		}
	}
	l := p.program(fallback...)
	if p.model.Serves(fleet.EndpointEmbeddings) {
		l.Args = append(l.Args, "embeddings")
	}
	l.Args = append(l.Args, p.weights(), "--host", p.host, "--port", p.port,
		"--tp_size", p.gpus(), "--served_model_name", p.model.ID)
	l.Args = append(l.Args, p.model.Engine.Args...)
	l.Env = p.offline()
	return l
}

func launchVLLM(p place) Launch {
	l := p.program("vllm", "serve")
	l.Args = append(l.Args, p.weights(), "--host", p.host, "--port", p.port,
		"--tensor-parallel-size", p.gpus(), "--served-model-name", p.model.ID)
	l.Args = append(l.Args, p.model.Engine.Args...)
	l.Env = p.offline()
	return l
}

// launchNIM configures by environment, as NIM asks; the program is the image's own entry point where no command is named.
func launchNIM(p place) Launch {
	l := p.program("/opt/nim/start_server.sh")
	l.Args = append(l.Args, p.model.Engine.Args...)
	l.Env = append(p.offline(),
		"NIM_SERVER_PORT="+p.port,
		"NIM_SERVED_MODEL_NAME="+p.model.ID,
		"NIM_TENSOR_PARALLEL_SIZE="+p.gpus())
	if p.model.Engine.Weights != "" {
		l.Env = append(l.Env, "NIM_MODEL_NAME="+p.model.Engine.Weights)
	}
	return l
}

func launchOpenAI(p place) Launch {
	l := p.program()
	l.Args = append(l.Args, p.model.Engine.Args...)
	told := strings.Contains(strings.Join(l.Args, " "), "${port}")
	fill := strings.NewReplacer("${host}", p.host, "${port}", p.port, "${weights}", p.model.Engine.Weights)
	l.Path = fill.Replace(l.Path)
	for i, a := range l.Args {
		l.Args[i] = fill.Replace(a)
	}
	if !told && l.Path != "" {
		l.Args = append(l.Args, "--host", p.host, "--port", p.port)
	}
	return l
}
