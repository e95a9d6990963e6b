package trtsim

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options is a command line, read.
type options struct {
	config     Config
	host       string
	port       int
	reportAddr string
	yaml       string // path
	sleep      bool
	awake      bool // sleep mode is not known
	pipeline   int
	help       bool
	given      map[string]bool // flags, by their first name
}

// errUsage is a wrong command line.
type errUsage struct{ message string }

func (e *errUsage) Error() string { return e.message }

// option is one flag: its names, the placeholder of its value ("" = it takes none), what it does.
type option struct {
	names []string
	value string
	help  string
	set   func(*options, string) error
}

// parse reads a command line as click does: flags and the MODEL in any order, --flag value or --flag=value. Underscores and hyphens in
// names are the same.
func parse(args []string) (*options, error) {
	o := &options{host: "localhost", port: 8000, pipeline: 1, given: map[string]bool{}}
	o.config.Seed = 1
	table := allOptions()
	var positional []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			positional = append(positional, args...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			positional = append(positional, arg)
			continue
		}
		var err error
		if args, err = o.flag(table, arg, args); err != nil {
			return nil, err
		}
	}
	if len(positional) > 1 && (positional[0] == "serve" || positional[0] == "embeddings") { // the real command's usual subcommand may be left out
		o.config.Embeddings = positional[0] == "embeddings"
		positional = positional[1:]
	}
	switch {
	case o.help:
	case len(positional) == 0:
		return nil, &errUsage{"Missing argument 'MODEL'."}
	case len(positional) > 1:
		return nil, &errUsage{"Got unexpected extra argument (" + positional[1] + ")"}
	default:
		o.config.Model = positional[0]
	}
	return o, nil
}

// flag carries out one flag and gives the arguments that are left.
func (o *options) flag(table []option, arg string, rest []string) ([]string, error) {
	name, value, inline := strings.Cut(arg, "=")
	spelled := strings.ReplaceAll(strings.TrimPrefix(name, "--"), "-", "_")
	at := slices.IndexFunc(table, func(op option) bool { return slices.Contains(op.names, spelled) })
	if at < 0 || !strings.HasPrefix(name, "--") {
		return nil, &errUsage{"No such option: " + name}
	}
	op := table[at]
	switch {
	case op.value == "" && inline:
		return nil, &errUsage{"Option '" + name + "' does not take a value."}
	case op.value != "" && !inline:
		if len(rest) == 0 {
			return nil, &errUsage{"Option '" + name + "' requires an argument."}
		}
		value, rest = rest[0], rest[1:]
	}
	o.given[op.names[0]] = true
	if err := op.set(o, value); err != nil {
		return nil, &errUsage{fmt.Sprintf("Invalid value for '%s': %v", name, err)}
	}
	return rest, nil
}

// finish adds what the option file and the environment say. Explicit flags win over the file, as in new builds.
func (o *options) finish(getenv func(string) string) error {
	c := &o.config
	if o.yaml != "" {
		text, err := os.ReadFile(o.yaml)
		if err != nil {
			return &errUsage{fmt.Sprintf("Invalid value for '--config': %v", err)}
		}
		values, err := readYAML(string(text))
		if err != nil {
			return &errUsage{fmt.Sprintf("Invalid value for '--config': %s: %v", o.yaml, err)}
		}
		if err := o.apply(values); err != nil {
			return &errUsage{fmt.Sprintf("Invalid value for '--config': %s: %v", o.yaml, err)}
		}
	}
	if o.sleep && o.awake {
		return &errUsage{"No such option: --enable_sleep_mode"}
	}
	if o.sleep {
		key := getenv("TRTLLM_RUNTIME_CONTROL_API_KEY")
		if key == "" {
			return &errUsage{"--enable_sleep_mode requires the environment variable TRTLLM_RUNTIME_CONTROL_API_KEY"}
		}
		c.ControlKey = []byte(key)
	}
	if o.pipeline > 1 {
		c.GPUs = max(c.GPUs, 1) * o.pipeline
	}
	c.GPUDir = getenv("PILOTLIGHT_SIM_GPU_DIR")
	if visible := getenv("CUDA_VISIBLE_DEVICES"); visible != "" {
		c.Visible = strings.Split(visible, ",")
	}
	return nil
}

// apply takes over the options of a file that the simulator knows. The others are accepted and have no effect.
func (o *options) apply(values map[string]string) error {
	known := map[string]string{ // key of the file -> flag
		"max_batch_size": "max_batch_size", "max_num_tokens": "max_num_tokens", "max_seq_len": "max_seq_len",
		"kv_cache_config.free_gpu_memory_fraction": "free_gpu_memory_fraction", "kv_cache_config.dtype": "kv_cache_dtype",
		"tensor_parallel_size": "tensor_parallel_size",
	}
	table := allOptions()
	for key, flag := range known {
		value, there := values[key]
		if !there || o.given[flag] {
			continue
		}
		at := slices.IndexFunc(table, func(op option) bool { return op.names[0] == flag })
		if err := table[at].set(o, value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	if n, there := values["kv_cache_config.max_tokens"]; there {
		if err := integerTo(&o.config.MaxKVTokens)(o, n); err != nil {
			return fmt.Errorf("kv_cache_config.max_tokens: %w", err)
		}
	}
	for key, to := range map[string]*bool{
		"enable_iter_perf_stats": &o.config.IterStats, "enable_chunked_prefill": &o.config.ChunkedPrefill,
	} {
		if v, there := values[key]; there && !*to {
			*to = strings.EqualFold(v, "true")
		}
	}
	mode := values["sleep_config.restore_modes.model_weights"]
	o.config.PageableBackup = strings.EqualFold(mode, "CPU")
	return nil
}

func integerTo(to *int) func(*options, string) error {
	return func(_ *options, s string) (err error) {
		*to, err = atoi(s)
		return err
	}
}

func atoi(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a valid integer", s)
	}
	return n, nil
}

func natural(s string) (int, error) {
	n, err := atoi(s)
	if err == nil && n < 0 {
		return 0, fmt.Errorf("%d is negative", n)
	}
	return n, err
}

func positive(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0) {
		return 0, fmt.Errorf("%q is not a number above 0", s)
	}
	return v, nil
}

// span reads a duration such as 2.5s; 0 becomes -1 ns, which the config takes as none.
func span(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("it is not a duration such as 2.5s")
	}
	if d == 0 {
		d = -1
	}
	return d, nil
}
