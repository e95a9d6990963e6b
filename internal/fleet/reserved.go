package fleet

import (
	"slices"
	"strings"
)

// reservedFlags lists the options that Pilotlight sets itself on an engine's command line, with every other name that the
// engine takes for them, without leading dashes and with underscores.
func reservedFlags(kind EngineKind) []string {
	switch kind {
	case EngineTRTLLM, EngineSim:
		return []string{"host", "port", "tp_size", "tensor_parallel_size", "served_model_name"}
	case EngineVLLM, EngineNIM:
		return []string{"host", "port", "tensor_parallel_size", "tp", "served_model_name"}
	case EngineOpenAI:
		return []string{"host", "port"}
	}
	return nil
}

// ReservedArg finds the first of args that repeats what Pilotlight sets itself: an engine on another port than its
// supervisor's would never be found ready. Options are "--name value" or "--name=value", with dashes or underscores between
// words. One whose value is its own placeholder, as in "--port", "${port}", is fine.
func ReservedArg(kind EngineKind, args []string) (arg string, found bool) {
	reserved := reservedFlags(kind)
	for i, a := range args {
		option, value, joined := strings.Cut(a, "=")
		name := strings.ReplaceAll(strings.TrimLeft(option, "-"), "-", "_")
		if !strings.HasPrefix(option, "-") || !slices.Contains(reserved, name) {
			continue
		}
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		if value != "${"+name+"}" {
			return option, true
		}
	}
	return "", false
}
