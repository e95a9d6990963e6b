package trtsim

import (
	"fmt"
	"slices"
	"strconv"
)

// allOptions is the command line: first trtllm-serve's flags, then the simulator's own.
func allOptions() []option {
	return slices.Concat(serverOptions(), ignoredOptions(), simOptions(), faultOptions())
}

func intOption(help string, field func(*options) *int, names ...string) option {
	return option{names, "INTEGER", help, func(o *options, s string) (err error) {
		*field(o), err = atoi(s)
		if err == nil && *field(o) < 1 && names[0] != "port" {
			return fmt.Errorf("%s is below 1", s)
		}
		return err
	}}
}

func stringOption(help string, field func(*options) *string, names ...string) option {
	return option{names, "TEXT", help, func(o *options, s string) error { *field(o) = s; return nil }}
}

func boolOption(help string, field func(*options) *bool, names ...string) option {
	return option{names, "", help, func(o *options, _ string) error { *field(o) = true; return nil }}
}

func serverOptions() []option {
	return []option{
		{[]string{"help"}, "", "Show this message and exit.", func(o *options, _ string) error { o.help = true; return nil }},
		stringOption("Hostname of the server.", func(o *options) *string { return &o.host }, "host"),
		intOption("Port of the server; 0 picks one.", func(o *options) *int { return &o.port }, "port"),
		stringOption("Write host:port to this file once bound.", func(o *options) *string { return &o.reportAddr }, "report_addr"),
		stringOption("Name of the model in the API.", func(o *options) *string { return &o.config.ServedModelName }, "served_model_name"),
		intOption("Tensor parallel size.", func(o *options) *int { return &o.config.GPUs }, "tensor_parallel_size", "tp_size"),
		intOption("Pipeline parallel size.", func(o *options) *int { return &o.pipeline }, "pipeline_parallel_size", "pp_size"),
		intOption("Sequences in one iteration.", func(o *options) *int { return &o.config.MaxBatchSize }, "max_batch_size"),
		intOption("Tokens in one iteration.", func(o *options) *int { return &o.config.MaxNumTokens }, "max_num_tokens"),
		intOption("Prompt and output of one sequence.", func(o *options) *int { return &o.config.MaxSeqLen }, "max_seq_len"),
		{
			[]string{"free_gpu_memory_fraction", "kv_cache_free_gpu_memory_fraction"},
			"FLOAT", "Share of free GPU memory for the KV cache.",
			func(o *options, s string) (err error) {
				o.config.KVFraction, err = positive(s)
				if err == nil && o.config.KVFraction > 1 {
					return fmt.Errorf("%s is above 1", s)
				}
				return err
			},
		},
		{[]string{"kv_cache_dtype"}, "auto|fp8|nvfp4", "Type of the KV cache.", func(o *options, s string) error {
			if s != "auto" && s != "fp8" && s != "nvfp4" {
				return fmt.Errorf("%q is not one of auto, fp8, nvfp4", s)
			}
			o.config.KVFP8 = s != "auto"
			return nil
		}},
		boolOption("Read long prompts in chunks.", func(o *options) *bool { return &o.config.ChunkedPrefill }, "enable_chunked_prefill"),
		boolOption("Serve the sleep-mode routes.", func(o *options) *bool { return &o.sleep }, "enable_sleep_mode"),
		stringOption("YAML file of engine options.", func(o *options) *string { return &o.yaml }, "config", "extra_llm_api_options"),
	}
}

// ignoredOptions are flags of the real command that change nothing here.
func ignoredOptions() []option {
	const why = "Accepted, without effect."
	var all []option
	for _, names := range [][]string{
		{"tokenizer"},
		{"backend"},
		{"custom_module_dirs"},
		{"custom_tokenizer"},
		{"log_level"},
		{"max_beam_width"},
		{"context_parallel_size", "cp_size"},
		{"moe_expert_parallel_size", "ep_size"},
		{"moe_cluster_parallel_size", "cluster_size"},
		{"gpus_per_node"},
		{"num_postprocess_workers"},
		{"revision", "hf_revision"},
		{"reasoning_parser"},
		{"tool_parser"},
		{"metadata_server_config_file"},
		{"server_role"},
		{"otlp_traces_endpoint"},
		{"disagg_cluster_uri"},
		{"media_io_kwargs"},
		{"chat_template"},
		{"num_serve_frontends"},
		{"middleware"},
	} {
		all = append(all, option{names, "TEXT", why, func(*options, string) error { return nil }})
	}
	for _, name := range []string{
		"trust_remote_code", "fail_fast_on_attention_window_too_large", "telemetry", "no_telemetry", "allow_request_chat_template",
	} {
		all = append(all, option{[]string{name}, "", why, func(*options, string) error { return nil }})
	}
	return all
}

func simOptions() []option {
	return []option{
		{[]string{"sim_speed"}, "N", "Divide every simulated time by N.", func(o *options, s string) (err error) {
			o.config.Speed, err = positive(s)
			return err
		}},
		boolOption("Once it has been parked, keep the copy in host memory while awake.", func(o *options) *bool { return &o.config.KeepCopy }, "sim_keep_copy"),
		{[]string{"sim_stack"}, "vendor|published", "Whose software surrounds the engine.", func(o *options, s string) error {
			o.config.Stack = Stack(s)
			return oneOf(o.config.Stack, StackVendor, StackPublished)
		}},
		{[]string{"sim_load"}, "hot|staged|network", "Where weights come from.", func(o *options, s string) error {
			o.config.Load = Source(s)
			return oneOf(o.config.Load, SourceHot, SourceStaged, SourceNetwork)
		}},
		{[]string{"sim_seed"}, "N", "Seed of jitter and texts; 0 = no jitter. [default: 1]", func(o *options, s string) (err error) {
			if o.config.Seed, err = strconv.ParseUint(s, 10, 64); err != nil {
				return fmt.Errorf("%q is not a whole number from 0", s)
			}
			return nil
		}},
		{[]string{"sim_container_start"}, "DURATION", "Part of the load before the process would run; 0s where a real scheduler takes it. [default: 2.5s]", func(o *options, s string) (err error) {
			o.config.ContainerStart, err = span(s)
			return err
		}},
		{[]string{"sim_load_time"}, "DURATION", "The whole load time, before division by the speed.", func(o *options, s string) (err error) {
			o.config.LoadTime, err = span(s)
			return err
		}},
		{[]string{"sim_token_time"}, "DURATION", "The time of every iteration, before division by the speed.", func(o *options, s string) (err error) {
			o.config.TokenTime, err = span(s)
			return err
		}},
		boolOption("The kernel cache is empty: warm-up takes 2.5 times as long.", func(o *options) *bool { return &o.config.ColdCache }, "sim_cold_cache"),
		boolOption("Sleep mode without clock window and nonce memory.", func(o *options) *bool { return &o.config.LaxControl }, "sim_lax_control"),
		boolOption("Be a release without sleep mode: its option is unknown.", func(o *options) *bool { return &o.awake }, "sim_no_sleep"),
		boolOption("Serve /sim/faults: GET and POST a JSON array of faults.", func(o *options) *bool { return &o.config.FaultRoute }, "sim_fault_route"),
	}
}

// faultOptions inject faults from the start, until they are replaced through /sim/faults.
func faultOptions() []option {
	after := func(kind FaultKind, name, help string) option {
		return option{[]string{name}, "N", help, func(o *options, s string) error {
			n, err := natural(s)
			o.config.Faults = append(o.config.Faults, Fault{Kind: kind, After: n})
			return err
		}}
	}
	factor := func(kind FaultKind, name, value, help string) option {
		return option{[]string{name}, value, help, func(o *options, s string) error {
			v, err := positive(s)
			if err != nil {
				return err
			}
			o.config.Faults = append(o.config.Faults, Fault{Kind: kind, Factor: v})
			return checkFaults(o.config.Faults)
		}}
	}
	plain := func(kind FaultKind, name, help string) option {
		return option{[]string{name}, "", help, func(o *options, _ string) error {
			o.config.Faults = append(o.config.Faults, Fault{Kind: kind})
			return nil
		}}
	}
	return []option{
		{[]string{"sim_fault"}, "KIND[:after=N][:factor=F][:times=N]", "Any fault of /sim/faults. May be repeated.", func(o *options, s string) error {
			f, err := ParseFault(s)
			o.config.Faults = append(o.config.Faults, f)
			return err
		}},
		factor(FaultLoad, "sim_fail_load", "FRACTION", "Exit 1 after this fraction of the load."),
		after(FaultDie, "sim_die_after", "Die when a request has N tokens: connections cut, exit 1."),
		after(FaultCut, "sim_cut_after", "Cut the connection of each request at N tokens."),
		after(FaultHang, "sim_hang_after", "Make no token of a request after its Nth; 0 = never a first one."),
		plain(FaultHang, "sim_health_only", "Be healthy and never answer: the same as --sim-hang-after 0."),
		plain(FaultError, "sim_error", "Answer every request 400."),
		after(FaultFatal, "sim_fatal_after", "At N tokens of a request, answer null and shut down as after SIGINT."),
		factor(FaultSlow, "sim_slow", "FACTOR", "Make every iteration take FACTOR times as long."),
		plain(FaultHealth, "sim_unhealthy", "Answer /health 503."),
		plain(FaultResume, "sim_fail_resume", "Fail to resume, out of memory."),
		plain(FaultResumeHang, "sim_hang_resume", "Never end a resume."),
		plain(FaultRelease, "sim_fail_release", "Fail to release memory."),
		plain(FaultReleaseHang, "sim_hang_release", "Never end a release."),
	}
}

func oneOf[T ~string](v T, allowed ...T) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("%q is not one of %v", v, allowed)
	}
	return nil
}
