package trtsim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/sample"
)

// script is what an answer says word for word, in place of simulated text: the arguments of a call, or JSON.
type script struct {
	tool   string   // the function that is called; "" = none, the script is the answer's content
	tokens []string // joined they are the JSON
}

func (s *script) calls() bool { return s != nil && s.tool != "" }

// message is one message of a chat, as far as the simulator looks at it.
type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
	Calls   []struct {
		Function struct{ Name string } `json:"function"`
	} `json:"tool_calls"`
}

// tool is a function that the caller offers.
type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// choice is what the caller says about calls: none, auto, required, or the name of a function.
type choice struct {
	mode string
	name string
}

// compose settles whether a request is answered with a call of a tool or with JSON. Upstream leaves that to the model; here it is settled
// by a rule that lets an agent's loop come to its end: the tools are called one after the other in the order in which they are
// offered, then the answer is given. That is, since the user's last words
//   - with "auto", one is called where none was;
//   - with "required", the first that was not, else the last one;
//   - with a name, that one.
//
// Upstream refuses "required" for models whose template knows no calls; the simulator has it, for frameworks insist on it.
func (req *request) compose(f fields, messages []message) error {
	tools, err := readTools(f["tools"])
	if err != nil {
		return err
	}
	c, err := readChoice(f["tool_choice"], tools)
	if err != nil {
		return err
	}
	if t := c.pick(tools, messages); t != nil {
		arguments, err := valueFor("tools", t.Function.Parameters)
		if err != nil {
			return err
		}
		req.script = &script{tool: t.Function.Name, tokens: pieces(arguments)}
		return nil
	}
	return req.format(f["response_format"])
}

func readTools(raw json.RawMessage) ([]tool, error) {
	if isNull(raw) {
		return nil, nil
	}
	var tools []tool
	if json.Unmarshal(raw, &tools) != nil {
		return nil, invalid("list_type", "tools", "Input should be a valid list", raw)
	}
	for _, t := range tools {
		if t.Type != "function" || t.Function.Name == "" {
			return nil, invalid("missing", "tools", "Field required: function.name", raw)
		}
	}
	return tools, nil
}

func readChoice(raw json.RawMessage, tools []tool) (choice, error) {
	c := choice{mode: "auto"}
	if isNull(raw) {
		return c, nil
	}
	var named struct {
		Type     string
		Function struct{ Name string }
	}
	switch {
	case json.Unmarshal(raw, &c.mode) == nil && (c.mode == "none" || c.mode == "auto"):
		return c, nil
	case c.mode == "required":
		if len(tools) == 0 {
			return c, refuse(`tool_choice "required" needs tools`)
		}
		return c, nil
	case json.Unmarshal(raw, &named) != nil || named.Type != "function":
		return c, invalid("literal_error", "tool_choice", "Input should be 'none', 'auto', 'required' or a function", raw)
	}
	c = choice{mode: "named", name: named.Function.Name}
	if !slices.ContainsFunc(tools, func(t tool) bool { return t.Function.Name == c.name }) {
		return c, refuse("tool_choice names the function %q, which is not among the tools", c.name)
	}
	return c, nil
}

// pick gives the tool to call, or nil.
func (c choice) pick(tools []tool, messages []message) *tool {
	called := map[string]bool{}
	for _, m := range slices.Backward(messages) {
		if m.Role == "user" {
			break
		}
		for _, call := range m.Calls {
			called[call.Function.Name] = true
		}
	}
	if len(tools) == 0 || c.mode == "none" || c.mode == "auto" && len(called) > 0 {
		return nil
	}
	for i := range tools {
		if name := tools[i].Function.Name; c.mode == "named" && name == c.name || c.mode != "named" && !called[name] {
			return &tools[i]
		}
	}
	return &tools[len(tools)-1]
}

// format settles the JSON of an answer. Both spellings of upstream are known: a schema of its own, and OpenAI's json_schema.
func (req *request) format(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return invalid("model_attributes_type", "response_format", "Input should be a valid dictionary or object to extract fields from", raw)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) { // in one order, so that equal bodies get equal errors
		if name != "type" && name != "schema" && name != "json_schema" {
			return invalid("extra_forbidden", "response_format', "+strings.TrimSuffix(quote(name), "'"), "Extra inputs are not permitted", raw)
		}
	}
	var wanted struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if json.Unmarshal(raw, &wanted) != nil {
		return invalid("string_type", "response_format', 'type", "Input should be a valid string", raw)
	}
	schema := members["schema"]
	switch wanted.Type {
	case "text":
		return nil
	case "json_object":
		schema = json.RawMessage(`{"type":"object","properties":{"answer":{"const":` + strconv.Quote(Disclaimer) + `}}}`)
	case "json":
	case "json_schema":
		schema = wanted.JSONSchema.Schema
		if isNull(schema) {
			return invalid("missing", "response_format", "Field required: json_schema.schema", raw)
		}
	default:
		return invalid("literal_error", "response_format", "Input should be 'text', 'json_object', 'json_schema' or 'json'; the simulator has no other", raw)
	}
	value, err := valueFor("response_format", schema)
	if err != nil {
		return err
	}
	req.script = &script{tokens: pieces(value)}
	return nil
}

// valueFor gives a value for a schema; without one, for any object.
func valueFor(field string, schema json.RawMessage) (string, error) {
	if isNull(schema) {
		schema = json.RawMessage(`{"type":"object"}`)
	}
	value, err := sample.Value(schema)
	if err != nil {
		return "", refuse("%s: %v", field, err)
	}
	return string(value), nil
}

func invalid(kind, field, message string, raw json.RawMessage) error {
	v := &validationError{}
	v.add(kind, field, message, repr(raw))
	return v
}
