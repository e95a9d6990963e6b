package trtsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// prompt is one text to continue.
type prompt struct {
	tokens int
	key    uint64 // of the text that continues it
	echo   string // what an answer repeats first; "" = nothing
}

// request is what the engine needs to know of one API request.
type request struct {
	chat       bool
	model      string // echoed, never checked
	prompts    []prompt
	n          int // answers a prompt
	most       int // tokens of an answer; 0 = not given
	least      int
	endless    bool // ignore_eos
	stops      []string
	script     *script // nil = simulated text
	keepStop   bool
	stream     bool
	usage      bool // the stream ends with usage
	continuous bool // every chunk has usage
}

func parseChat(r *http.Request, body []byte) (*request, error) {
	f, err := readFields(r.Header.Get("Content-Type"), body, chatFields, "messages")
	if err != nil {
		return nil, err
	}
	req := &request{chat: true}
	if err := req.common(f); err != nil {
		return nil, err
	}
	if n, given := f.int("max_completion_tokens"); given {
		req.most = n
		if n < 1 {
			return nil, fmt.Errorf("max_tokens must be at least 1, got %d", n)
		}
	}
	if !isNull(f["chat_template"]) {
		return nil, refuse("Chat template is passed with request, but the server does not allow it. Start it with --allow_request_chat_template")
	}
	messages, err := readMessages(f["messages"])
	if err != nil {
		return nil, err
	}
	p, err := chatPrompt(f, messages)
	if err != nil {
		return nil, err
	}
	req.prompts = []prompt{p}
	if err := req.compose(f, messages); err != nil {
		return nil, err
	}
	return req, req.seed(f)
}

func parseCompletion(r *http.Request, body []byte) (*request, error) {
	f, err := readFields(r.Header.Get("Content-Type"), body, completionFields, "prompt")
	if err != nil {
		return nil, err
	}
	req := &request{}
	if err := req.common(f); err != nil {
		return nil, err
	}
	if !isNull(f["suffix"]) {
		return nil, errors.New("suffix is not supported")
	}
	if req.prompts, err = completionPrompts(f["prompt"], f.bool("echo", false)); err != nil {
		return nil, err
	}
	if err := req.format(f["response_format"]); err != nil {
		return nil, err
	}
	return req, req.seed(f)
}

// common reads the fields that both endpoints share.
func (req *request) common(f fields) error {
	req.model = f.string("model")
	req.stream = f.bool("stream", false)
	req.endless = f.bool("ignore_eos", false)
	req.keepStop = f.bool("include_stop_str_in_output", false)
	req.least, _ = f.int("min_tokens")
	req.n = 1
	if n, given := f.int("n"); given {
		req.n = n
	}
	if req.n < 1 || req.n > 128 {
		return fmt.Errorf("n must be between 1 and 128, got %d", req.n)
	}
	if n, given := f.int("max_tokens"); given {
		req.most = n
		if n < 1 {
			return fmt.Errorf("max_tokens must be at least 1, got %d", n)
		}
	}
	if err := req.streamOptions(f["stream_options"]); err != nil {
		return err
	}
	return req.stopStrings(f["stop"])
}

func (req *request) streamOptions(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	v := &validationError{}
	if !req.stream {
		v.items = []string{"{'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, Stream options can only be defined when stream is true.', 'input': " + repr(raw) + "}"}
		return v
	}
	options := struct {
		IncludeUsage    *bool `json:"include_usage"`
		ContinuousUsage *bool `json:"continuous_usage_stats"`
	}{}
	if json.Unmarshal(raw, &options) != nil {
		v.add("model_attributes_type", "stream_options", "Input should be a valid dictionary or object to extract fields from", repr(raw))
		return v
	}
	req.usage = options.IncludeUsage == nil || *options.IncludeUsage
	req.continuous = options.ContinuousUsage != nil && *options.ContinuousUsage
	return nil
}

func (req *request) stopStrings(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		req.stops = []string{one}
	} else if json.Unmarshal(raw, &req.stops) != nil {
		v := &validationError{}
		v.add("string_type", "stop", "Input should be a valid string", repr(raw))
		return v
	}
	for i, s := range req.stops {
		if s == "" {
			return fmt.Errorf("stop string %d is empty", i)
		}
	}
	return nil
}

// seed lets the request's own seed choose among texts.
func (req *request) seed(f fields) error {
	if n, given := f.int("seed"); given {
		for i := range req.prompts {
			req.prompts[i].key = mix(req.prompts[i].key ^ uint64(n+1))
		}
	}
	return nil
}

func readMessages(raw json.RawMessage) ([]message, error) {
	var messages []message
	if err := json.Unmarshal(raw, &messages); err != nil {
		return nil, invalid("list_type", "messages", "Input should be a valid list", raw)
	}
	if len(messages) == 0 {
		return nil, errors.New("messages must not be empty")
	}
	for _, m := range messages {
		if m.Role == "" {
			return nil, invalid("missing", "messages", "Field required: role", raw)
		}
	}
	return messages, nil
}

// chatPrompt counts what a chat template makes of the messages.
func chatPrompt(f fields, messages []message) (prompt, error) {
	p := prompt{tokens: tokensPerPrompt}
	if ids := f["prompt_token_ids"]; !isNull(ids) {
		n, err := countIDs(ids)
		p.tokens, p.key = n, hash(2, string(ids))
		return p, err
	}
	echo := f.bool("echo", false)
	for i, m := range messages {
		content, err := contentText(m.Content)
		if err != nil {
			return p, err
		}
		p.tokens += tokensPerMessage + Count(content)
		p.key = hash(p.key, content)
		if echo && i == len(messages)-1 && m.Role == "assistant" {
			p.echo = content
		}
	}
	if f.bool("add_generation_prompt", true) {
		p.tokens += tokensPerAnswer
	}
	if tools := f["tools"]; !isNull(tools) {
		p.tokens += Count(string(tools))
	}
	return p, nil
}

// contentText is the text of one message: a string or a list of parts. The simulated models read nothing but text.
func contentText(raw json.RawMessage) (string, error) {
	if isNull(raw) {
		return "", nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one, nil
	}
	var parts []struct{ Type, Text string }
	if json.Unmarshal(raw, &parts) != nil {
		v := &validationError{}
		v.add("string_type", "messages", "Input should be a valid string", repr(raw))
		return "", v
	}
	texts := make([]string, len(parts))
	for i, part := range parts {
		if part.Type != "text" {
			return "", refuse("Unknown part type: %s. This model reads text only", part.Type)
		}
		texts[i] = part.Text
	}
	return strings.Join(texts, "\n"), nil
}

// completionPrompts reads a string, token ids, or a list of either.
func completionPrompts(raw json.RawMessage, echo bool) ([]prompt, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []prompt{textPrompt(one, echo)}, nil
	}
	if n, err := countIDs(raw); err == nil && n > 0 {
		return []prompt{{tokens: n, key: hash(2, string(raw))}}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		v := &validationError{}
		v.add("string_type", "prompt", "Input should be a valid string", repr(raw))
		return nil, v
	}
	prompts := make([]prompt, len(list))
	for i, raw := range list {
		if json.Unmarshal(raw, &one) == nil && raw[0] == '"' {
			prompts[i] = textPrompt(one, echo)
			continue
		}
		n, err := countIDs(raw)
		if err != nil || n == 0 {
			v := &validationError{}
			v.add("string_type", "prompt", "Input should be a valid string", repr(raw))
			return nil, v
		}
		prompts[i] = prompt{tokens: n, key: hash(2, string(raw))}
	}
	return prompts, nil
}

func textPrompt(s string, echo bool) prompt {
	p := prompt{tokens: tokensPerPrompt + Count(s), key: hash(2, s)}
	if echo {
		p.echo = s
	}
	return p
}

func countIDs(raw json.RawMessage) (int, error) {
	var ids []int
	err := json.Unmarshal(raw, &ids)
	return len(ids), err
}
