package openai

// The tables of what a body may carry, by endpoint. Beside OpenAI's own fields they hold what the engines of a kind document
// for sampling, structured output and the like. They do not hold what steers the engine rather than this one answer, because through
// it a caller would
//   - load or run something of the caller's choice in the engine: adapters by path (lora_request, lora), processors by import name
//     or as pickled code (logits_processors, custom_logit_processor), tensors to deserialise (prompt_embeds, input_embeds),
//     chat templates, arguments of media and pre-processors (mm_processor_kwargs, media_io_kwargs);
//   - make it talk to an address of the caller's choice: the parameters of disaggregated serving (disaggregated_params,
//     kv_transfer_params, bootstrap_host) and of routers above it (nvext);
//   - reach into what other callers share with it: priority in the engine's queue, retention in its cache, sessions, slots (id_slot),
//     stored answers (previous_response_id), request ids (vLLM: the second request of a name collides with the first), data-parallel ranks;
//   - make it return tensors, gigabytes of them for a long prompt (return_context_logits);
//   - take away what the bill is read from (llama.cpp's response_fields).
//
// prompt_token_ids is a prompt like any other; cache_salt is put into the org's own space by Rewrite.
// Sources: OpenAI's API reference; tensorrt_llm/serve/openai_protocol.py; vLLM's "OpenAI-compatible server", extra parameters;
// llama.cpp's tools/server/README.md.
var bodies = map[string]table{
	"chat": tableOf(
		map[string]place{"messages": inMessages, "tools": inTools, "chat_template_kwargs": inTemplate, "prompt_token_ids": inPrompts, "response_format": inFormat},
		taken(every, "model", "messages", "stream", "stream_options", "max_completion_tokens",
			"reasoning_effort", "response_format", "tool_choice", "tools", "top_logprobs", "chat_template_kwargs"),
		taken(vllm|llamacpp, "audio", "function_call", "functions", "web_search_options"),
		sampling(), inertFields(), extensions(),
		taken(trtllm|vllm, "add_generation_prompt", "documents", "echo"),
		taken(trtllm, "best_of", "prompt_token_ids"),
		taken(vllm, "continue_final_message", "include_reasoning"),
		taken(llamacpp, "parse_tool_calls", "reasoning_format", "thinking_forced_open"),
	),
	"completions": tableOf(
		map[string]place{"prompt": inPrompts},
		taken(every, "model", "prompt", "stream", "stream_options", "best_of", "echo", "suffix"),
		sampling(), extensions(),
		taken(trtllm|vllm, "response_format"),
	),
	"embeddings": tableOf(
		map[string]place{"input": inItems, "messages": inMessages},
		taken(every, "model", "input", "dimensions", "encoding_format", "user"),
		taken(trtllm|vllm, "add_special_tokens"),
		taken(vllm, "messages", "truncate_prompt_tokens", "cache_salt"),
	),
	"responses": tableOf(
		map[string]place{"input": inItems, "tools": inTools},
		taken(every, "model", "input", "stream", "stream_options", "include", "instructions", "max_output_tokens", "max_tool_calls",
			"metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier",
			"service_tier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"),
		taken(trtllm|vllm, "cache_salt"),
	),
	"messages": tableOf(
		map[string]place{"messages": inMessages, "system": inParts, "tools": inTools},
		taken(every, "model", "messages", "max_tokens", "stream", "metadata", "output_config", "service_tier", "stop_sequences", "system",
			"temperature", "thinking", "tool_choice", "tools", "top_k", "top_p"),
		taken(trtllm|vllm, "cache_salt"),
	),
}

// sampling is the fields of OpenAI's that chat and completions share.
func sampling() table {
	return taken(every, "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "n", "presence_penalty", "seed", "stop",
		"temperature", "top_p", "user")
}

// inertFields is the fields of OpenAI's chat that TensorRT-LLM does not know, and that say something to OpenAI only, or nothing that an
// engine could do otherwise: whether calls come side by side is the model's choice.
func inertFields() table {
	return tableOf(
		nil,
		dropped(trtllm, anyway, "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store",
			"parallel_tool_calls", "prediction", "verbosity"),
		dropped(trtllm, onlyText, "modalities"),
	)
}

// onlyText reports whether a list of modalities is ["text"].
func onlyText(_ *Fields, value []byte) bool {
	l := lexer{b: value}
	if !l.take('[') {
		return false
	}
	s, _, ok := l.text()
	l.space()
	return ok && string(s.of(value)) == "text" && l.take(']')
}

// extensions is what engines document for chat and completions beyond OpenAI's fields.
func extensions() table {
	return tableOf(
		nil,
		taken(every, "top_k", "min_p", "ignore_eos"),
		taken(trtllm|vllm, "add_special_tokens", "cache_salt", "include_stop_str_in_output", "length_penalty", "min_tokens",
			"repetition_penalty", "skip_special_tokens", "spaces_between_special_tokens", "stop_token_ids", "thinking_token_budget",
			"truncate_prompt_tokens", "use_beam_search"),
		taken(trtllm, "bad", "detokenize", "early_stopping", "top_p_min"),
		taken(vllm, "allowed_token_ids", "bad_words", "guided_choice", "guided_grammar", "guided_json", "guided_regex",
			"guided_whitespace_pattern", "prompt_logprobs", "repetition_detection", "return_token_ids", "return_tokens_as_token_ids",
			"structured_outputs"),
		taken(llamacpp, "adaptive_decay", "adaptive_target", "cache_prompt", "dry_allowed_length", "dry_base", "dry_multiplier",
			"dry_penalty_last_n", "dry_sequence_breakers", "dynatemp_exponent", "dynatemp_range", "grammar", "json_schema", "min_keep",
			"mirostat", "mirostat_eta", "mirostat_tau", "n_discard", "n_indent", "n_keep", "n_predict", "n_probs",
			"post_sampling_probs", "repeat_last_n", "repeat_penalty", "return_progress", "return_tokens", "samplers",
			"t_max_predict_ms", "timings_per_token", "top_n_sigma", "typical_p", "xtc_probability", "xtc_threshold"),
	)
}

// objects is the tables of what stands deeper in a body, by place. They are the same for every engine and endpoint, and hold
// what callers of several APIs send and send back; nothing in them makes an engine look anywhere but at the request.
// Not in them: what names an entry of a cache that all callers share (uuid of a media part, in vLLM), tensors (image_embeds), objects that are unpickled
// (image_pil), and tools that the engine itself would call (server_url).
var objects = [...]table{
	inMessages: tableOf(
		map[string]place{"content": inParts},
		taken(every, "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations",
			"reasoning", "reasoning_content", "reasoning_details", "parsed", "thinking", "prefix", "id", "type", "status", "phase"),
	),
	inParts: tableOf(
		map[string]place{
			"content": inParts, "image_url": inMedia, "video_url": inMedia, "audio_url": inMedia, "image": inMedia, "video": inMedia,
			"audio": inMedia, "url": inMedia, "file_url": inMedia, "source": inMedia, "input_audio": inMedia, "file": inMedia,
		},
		taken(every, "type", "text", "refusal", "content", "image_url", "video_url", "audio_url", "image", "video", "audio", "url",
			"source", "input_audio", "file", "detail", "file_data", "file_id", "file_url", "filename", "annotations", "citations", "logprobs",
			"cache_control", "context", "title", "thinking", "reasoning", "signature", "data", "id", "name", "input", "caller", "tool_use_id", "is_error"),
	),
	inMedia: tableOf(
		map[string]place{"url": inMedia, "content": inParts},
		taken(every, "url", "detail", "format", "data", "type", "media_type", "file_id", "file_data", "filename", "content"),
	),
	inItems: tableOf(
		map[string]place{"content": inParts, "output": inParts, "summary": inParts},
		taken(every, "type", "role", "content", "id", "status", "phase", "call_id", "name", "namespace", "arguments", "output", "summary",
			"encrypted_content", "input"),
	),
	inTools: taken(every, "type", "function", "custom", "name", "description", "parameters", "strict", "format", "input_schema",
		"input_examples", "cache_control", "defer_loading"),
	// What chat templates of published models ask for. Others would be arguments of the function that renders the template, some of which
	// replace it (CVE-2025-61620, CVE-2025-62426 of vLLM).
	inTemplate: taken(every, "add_generation_prompt", "add_vision_id", "builtin_tools", "citation_mode", "clear_thinking",
		"continue_final_message", "custom_instructions", "date_string", "documents", "enable_citations", "enable_thinking",
		"force_nonempty_content", "keep_past_thinking", "low_effort", "model_identity", "preserve_thinking", "reasoning",
		"reasoning_effort", "safety_mode", "thinking", "thinking_budget", "thinking_mode", "tools_in_user_message",
		"truncate_history_thinking", "xml_tools", "python_tools"),
	inStreamOptions: taken(every, "include_usage", "include_obfuscation", "continuous_usage_stats"),
}
