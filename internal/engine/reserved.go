package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ErrReserved is returned for an argument that is not the operator's to give.
var ErrReserved = errors.New("is set by Pilotlight")

// The options of the launch lines, with every other name that the engines take for them.
var (
	trtllmReserved = []string{"host", "port", "tp_size", "tensor_parallel_size", "served_model_name"}
	vllmReserved   = []string{"host", "port", "tensor_parallel_size", "tp", "served_model_name"}
	openaiReserved = []string{"host", "port"}
)

// CheckArgs refuses arguments that repeat what the kind's launch line says already, such as --port: an engine on another
// port than the supervisor's would never be found ready. For kind openai a reserved option is fine where its value is
// the placeholder, as in "--port", "${port}".
func CheckArgs(k fleet.EngineKind, args []string) error {
	known, ok := kinds[k]
	if !ok {
		return fmt.Errorf("%w %q", ErrUnknownKind, k)
	}
	return checkReserved(known, args)
}

func checkReserved(k kind, args []string) error {
	for i, arg := range args {
		option, value, joined := strings.Cut(arg, "=")
		name := strings.TrimLeft(option, "-")
		if name == option || !slices.Contains(k.reserved, strings.ReplaceAll(name, "-", "_")) {
			continue
		}
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		if value == "${"+name+"}" {
			continue
		}
		return fmt.Errorf("argument %s %w; leave it out", option, ErrReserved)
	}
	return nil
}
