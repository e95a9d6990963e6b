package trtsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is the type of a request field, as far as it is checked. Null is accepted everywhere: the fields are optional.
type kind int

const (
	anything kind = iota
	boolean
	integer
	number
	str
)

// The request models forbid fields that they do not know. These are known to both …
var commonFields = map[string]kind{
	"model": str, "frequency_penalty": number, "presence_penalty": number, "logit_bias": anything, "n": integer, "best_of": integer,
	"seed": integer, "stop": anything, "stream": boolean, "stream_options": anything, "temperature": number, "top_p": number,
	"user": str, "max_tokens": integer, "logprobs": anything, "echo": boolean,
	"top_k": integer, "top_p_min": number, "min_p": number, "repetition_penalty": number, "length_penalty": number,
	"early_stopping": anything, "stop_token_ids": anything, "include_stop_str_in_output": boolean, "ignore_eos": boolean,
	"min_tokens": integer, "skip_special_tokens": boolean, "spaces_between_special_tokens": boolean, "detokenize": boolean,
	"use_beam_search": boolean, "truncate_prompt_tokens": integer, "return_context_logits": boolean, "bad": anything,
	"lora_request": anything, "priority": number, "cache_salt": str, "conversation_params": anything,
	"disaggregated_params": anything, "thinking_token_budget": integer, "response_format": anything, "add_special_tokens": boolean,
}

// … and these to one of them.
var (
	chatFields = map[string]kind{
		"messages": anything, "max_completion_tokens": integer, "top_logprobs": integer, "tools": anything, "tool_choice": anything,
		"reasoning_effort": anything, "add_generation_prompt": boolean, "documents": anything, "chat_template": str,
		"chat_template_kwargs": anything, "mm_processor_kwargs": anything, "media_io_kwargs": anything, "prompt_token_ids": anything,
	}
	completionFields = map[string]kind{"prompt": anything, "suffix": str}
)

// fields is a request's body by top-level key. Of a key that is there twice the last one counts, as in Python.
type fields map[string]json.RawMessage

// readFields parses a body and refuses unknown fields, wrong types and the absence of the required one.
func readFields(contentType string, body []byte, own map[string]kind, required string) (fields, error) {
	if contentType != "" && !strings.Contains(contentType, "json") {
		v := &validationError{}
		v.items = []string{"{'type': 'model_attributes_type', 'loc': ('body',), 'msg': 'Input should be a valid dictionary or object to extract fields from', 'input': " + quote(string(body)) + "}"}
		return nil, v
	}
	if !utf8.Valid(body) {
		return nil, &detailError{400, "There was an error parsing the body"}
	}
	var f fields
	if err := json.Unmarshal(body, &f); err != nil || f == nil {
		return nil, notAnObject(body, err)
	}
	v := &validationError{}
	if isNull(f[required]) {
		v.add("missing", required, "Field required", repr(body))
	}
	for _, name := range f.inOrder() {
		k, known := own[name]
		if !known {
			k, known = commonFields[name]
		}
		if !known {
			v.add("extra_forbidden", strings.Trim(quote(name), "'"), "Extra inputs are not permitted", repr(f[name]))
			continue
		}
		f.check(v, name, k)
	}
	if len(v.items) > 0 {
		return nil, v
	}
	return f, nil
}

// inOrder lists the names in one order, so that equal bodies get equal errors.
func (f fields) inOrder() []string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func notAnObject(body []byte, err error) error {
	if err == nil || json.Valid(body) {
		return &validationError{items: []string{"{'type': 'model_attributes_type', 'loc': ('body',), 'msg': 'Input should be a valid dictionary or object to extract fields from', 'input': " + repr(body) + "}"}}
	}
	offset := int64(0)
	if syntax, ok := err.(*json.SyntaxError); ok {
		offset = syntax.Offset
	}
	return &validationError{items: []string{fmt.Sprintf("{'type': 'json_invalid', 'loc': ('body', %d), 'msg': 'JSON decode error', 'input': {}, 'ctx': {'error': %s}}", offset, quote(err.Error()))}}
}

func (f fields) check(v *validationError, name string, k kind) {
	raw := f[name]
	if isNull(raw) {
		return
	}
	first := raw[0]
	numeric := first == '-' || first >= '0' && first <= '9'
	switch {
	case k == boolean && first != 't' && first != 'f':
		v.add("bool_type", name, "Input should be a valid boolean", repr(raw))
	case k == str && first != '"':
		v.add("string_type", name, "Input should be a valid string", repr(raw))
	case k == number && !numeric:
		v.add("float_type", name, "Input should be a valid number", repr(raw))
	case k == integer:
		if n, err := strconv.ParseFloat(string(raw), 64); !numeric || err != nil || n != float64(int64(n)) {
			v.add("int_type", name, "Input should be a valid integer", repr(raw))
		}
	}
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || raw[0] == 'n' }

func (f fields) bool(name string, absent bool) bool {
	if raw := f[name]; !isNull(raw) {
		return raw[0] == 't'
	}
	return absent
}

// int gives a whole number, bounded to what fits 32 bits; given is false for an absent or null field.
func (f fields) int(name string) (n int, given bool) {
	raw := f[name]
	if isNull(raw) {
		return 0, false
	}
	v, _ := strconv.ParseFloat(string(raw), 64)
	return int(max(min(v, 1<<31-1), -1<<31)), true
}

func (f fields) string(name string) string {
	var s string
	if raw := f[name]; !isNull(raw) {
		_ = json.Unmarshal(raw, &s) // check has seen that it is a string
	}
	return s
}

// repr is Python's repr of a JSON value, cut short where it is long.
func repr(raw []byte) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return quote(string(raw))
	}
	s := python(v)
	if len(s) > 500 {
		return strings.ToValidUTF8(s[:500], "") + "..."
	}
	return s
}

func python(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return map[bool]string{true: "True", false: "False"}[v]
	case json.Number:
		return v.String()
	case string:
		return quote(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = python(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for k := range v {
			parts = append(parts, quote(k)+": "+python(v[k]))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "None"
}

func quote(s string) string {
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "..."
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "'"
}
