package fleet

import (
	"slices"
	"strings"
)

// ReservedFlags lists the flags that Pilotlight sets itself on an engine's command line, in the spelling of their upstream:
// an operator's args that repeat one would fight with ours. Kinds that place their values themselves have none.
func ReservedFlags(kind EngineKind) []string {
	switch kind {
	case EngineTRTLLM, EngineSim:
		return []string{"--host", "--port", "--tp_size", "--tensor_parallel_size", "--served_model_name"}
	case EngineVLLM:
		return []string{"--host", "--port", "--tensor-parallel-size", "-tp", "--served-model-name"}
	default:
		return nil
	}
}

// ReservedArg finds the first of args that repeats a reserved flag of the kind, as "--flag value" or "--flag=value", with
// dashes or underscores between the words, as both upstreams' parsers are lenient about them.
func ReservedArg(kind EngineKind, args []string) (arg string, found bool) {
	reserved := ReservedFlags(kind)
	for _, a := range args {
		name, _, _ := strings.Cut(a, "=")
		if slices.ContainsFunc(reserved, func(flag string) bool { return sameFlag(flag, name) }) {
			return name, true
		}
	}
	return "", false
}

func sameFlag(a, b string) bool {
	return strings.ReplaceAll(a, "_", "-") == strings.ReplaceAll(b, "_", "-")
}
