package openai

// engineControl gives the name of a top-level field that steers the engine rather than the sampling of this one answer,
// "" for any other. They are refused unless the model allows them, because through them a caller would
//   - load or run something of the caller's choice in the engine: adapters by path, processors by import name or as
//     pickled code, tensors to deserialise, chat templates, arguments of media and pre-processors;
//   - make it talk to an address of the caller's choice: the parameters of disaggregated serving (TensorRT-LLM, vLLM, SGLang);
//   - reach into what other callers share with it: priority in the engine's queue, retention in its cache, sessions, slots
//     (llama.cpp), request ids (vLLM: the second request of a name collides with the first), data-parallel ranks;
//   - make it return tensors, gigabytes of them for a long prompt.
//
// Not among them: prompt_token_ids (a prompt like any other), sampling and structured output of any kind, chat_template_kwargs
// (thinking switches live there; see templateControl), and cache_salt, which Rewrite puts into the org's own space.
func engineControl(key []byte) string {
	switch string(key) {
	case "lora_request", "lora_path", "lora", "logits_processors", "custom_logit_processor", "custom_params",
		"prompt_embeds", "input_embeds", "chat_template", "mm_processor_kwargs", "media_io_kwargs", "vllm_xargs",
		"guided_decoding_backend",
		"disaggregated_params", "kv_transfer_params", "ec_transfer_params", "bootstrap_host", "bootstrap_port", "bootstrap_room",
		"priority", "scheduling_params", "conversation_params", "session_params", "session_id", "kv_cache_retention_config",
		"request_id", "rid", "id_slot", "slot_id", "data_parallel_rank", "disagg_prefill_dp_rank", "agent_hierarchy",
		"return_context_logits", "return_generation_logits", "return_encoder_output", "return_hidden_states",
		"return_additional_model_outputs", "additional_model_outputs":
		return string(key)
	}
	return ""
}

// templateControl is engineControl for the members of chat_template_kwargs: in vLLM they became arguments of the function
// that renders the template, of which these replace the template itself or how it is used (CVE-2025-61620, CVE-2025-62426).
func templateControl(key []byte) string {
	switch string(key) {
	case "chat_template", "tokenize", "return_tensors", "return_dict", "tokenizer_kwargs", "padding", "truncation", "max_length":
		return string(key)
	}
	return ""
}

// mediaKey reports whether strings under this key of a content part name media. Beside the OpenAI parts (image_url.url),
// engines know video_url, audio_url, plain strings in place of the objects, and "image": "…" as in Hugging Face's templates.
func mediaKey(key []byte) bool {
	switch string(key) {
	case "url", "uri", "image", "video", "audio":
		return true
	}
	n := len(key)
	return n > 4 && (string(key[n-4:]) == "_url" || string(key[n-4:]) == "_uri")
}

// tensorKey gives the name of a member of a content part that holds a serialised tensor, else "".
func tensorKey(key []byte) string {
	switch string(key) {
	case "image_embeds", "audio_embeds", "video_embeds":
		return string(key)
	}
	return ""
}
