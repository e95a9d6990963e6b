package dialect

import (
	"bytes"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// responses is OpenAI's Responses API.
type responses struct{}

// responsesRequest is what an answer needs to know of a request: it repeats much of it.
type responsesRequest struct {
	translated
	echo []byte // the members of a response that repeat the request, each followed by a comma
}

func (r *responsesRequest) Native(body []byte) []byte { return withoutStore(body) }

const notStored = "this server stores no responses; "

func (responses) Translate(body []byte, f *openai.Fields) (Request, error) {
	r := &reader{}
	o := r.object("", body)
	o.refuse("store", notStored+"set it to false or leave it out.")
	o.refuse("previous_response_id", notStored+"send the whole conversation as input.")
	o.refuse("conversation", notStored+"send the whole conversation as input.")
	o.refuse("background", "this server answers in the foreground only; leave it out, or set stream.")
	o.refuse("prompt", "this server stores no prompts; send the text.")
	o.refuse("context_management", notHere)
	o.refuse("moderation", notHere)
	if o.word("truncation") == "auto" {
		o.wrong("truncation", "this server cuts nothing from a conversation; set it to disabled or leave it out.")
	}
	if n := o.number("top_logprobs"); n != nil && string(n) != "0" {
		o.wrong("top_logprobs", notHere)
	}
	o.only("model", "input", "instructions", "stream", "stream_options", "max_output_tokens", "temperature", "top_p", "tools", "tool_choice",
		"parallel_tool_calls", "text", "reasoning", "include", "metadata", "store", "truncation", "top_logprobs",
		"max_tool_calls", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "service_tier", // no effect here
		"previous_response_id", "conversation", "background", "prompt", "context_management", "moderation")
	readInclude(o)
	c := newChat(len(body), f, usageAtTheEnd)
	c.set("max_tokens", o.count("max_output_tokens", 1))
	c.set("temperature", o.number("temperature"))
	c.set("top_p", o.number("top_p"))
	readTextConfig(o, c)
	readReasoning(o, c)
	readResponsesTools(o, c)
	c.messages()
	if text := o.text("instructions"); len(text) > 0 {
		c.addSystem(text)
	}
	readInput(o, c)
	if c.empty() {
		o.wrong("input", "this field is required, and may not be empty.")
	}
	req := &responsesRequest{translated: translated{c.end(), r.remote}}
	if r.err == nil {
		req.echo = echo(o)
	}
	return req, r.result()
}

// readInclude refuses what an answer cannot hold. What belongs to tools that are refused anyhow is never there to be included.
func readInclude(o object) {
	o.elements("include", func(at string, value []byte) {
		inside, ok := openai.Text(value)
		if word := string(inside); !ok || word == "message.output_text.logprobs" {
			o.wrong(at, "%q is not supported.", clip(word))
		}
	})
}

func readTextConfig(o object, c *chat) {
	text, given := o.object("text")
	if !given {
		return
	}
	text.only("format", "verbosity") // the latter has no effect here
	format, given := text.object("format")
	if !given {
		return
	}
	format.only("type", "name", "schema", "strict", "description")
	format.need("type")
	switch format.oneOf("type", "text", "json_object", "json_schema") {
	case "json_object":
		c.set("response_format", []byte(`{"type":"json_object"}`))
	case "json_schema":
		format.need("schema")
		strict, _ := format.flag("strict")
		c.set("response_format", jsonFormat(format.needText("name"), format.schema("schema"), strict))
	}
}

func readReasoning(o object, c *chat) {
	reasoning, given := o.object("reasoning")
	if !given {
		return
	}
	reasoning.only("effort", "summary", "generate_summary", "context", "mode") // all but the first have no effect here
	if effort := reasoning.oneOf("effort", efforts...); effort != "" {
		c.setString("reasoning_effort", chatEffort(effort))
	}
}

// tool is a function that the model may call, name and description being the insides of strings.
type tool struct {
	name, description, parameters []byte
	strict                        bool
}

// readResponsesTools reads tools, tool_choice and parallel_tool_calls.
func readResponsesTools(o object, c *chat) {
	var tools []tool
	o.each("tools", func(t object) {
		t.need("type")
		if kind := t.word("type"); kind != "function" {
			t.wrong(t.path("type"), "%q is a tool of the provider's; this server has tools of type function only.", clip(kind))
		}
		t.only("type", "name", "description", "parameters", "strict", "allowed_callers", "defer_loading", "output_schema", "async")
		strict, _ := t.flag("strict")
		tools = append(tools, tool{t.needText("name"), t.text("description"), t.schema("parameters"), strict})
	})
	choice := readToolChoice(o, &tools)
	if len(tools) == 0 {
		return
	}
	var list []byte
	for _, t := range tools {
		list = appendTool(list, t.name, t.description, t.parameters, t.strict)
	}
	c.set("tools", list)
	c.set("tool_choice", choice)
	if parallel, given := o.flag("parallel_tool_calls"); given && !parallel {
		c.set("parallel_tool_calls", []byte("false"))
	}
}

// readToolChoice gives the tool_choice of chat completions, and takes away the tools that the caller does not allow.
func readToolChoice(o object, tools *[]tool) []byte {
	const key = "tool_choice"
	v := o.members[key]
	if v == nil {
		return nil
	}
	if isString(v) {
		o.oneOf(key, "auto", "none", "required")
		return v
	}
	choice, _ := o.object(key)
	choice.need("type")
	switch choice.oneOf("type", "function", "allowed_tools") {
	case "function":
		choice.only("type", "name")
		name := choice.needText("name")
		if !slices.ContainsFunc(*tools, func(t tool) bool { return bytes.Equal(openai.Decode(t.name), openai.Decode(name)) }) {
			choice.wrong(choice.path("name"), "there is no tool of this name.")
		}
		return namedTool(name)
	case "allowed_tools":
		choice.only("type", "mode", "tools")
		var allowed []string
		choice.each("tools", func(t object) {
			t.only("type", "name")
			t.oneOf("type", "function")
			allowed = append(allowed, string(openai.Decode(t.needText("name"))))
		})
		*tools = slices.DeleteFunc(*tools, func(t tool) bool { return !slices.Contains(allowed, string(openai.Decode(t.name))) })
		choice.oneOf("mode", "auto", "required")
		return choice.members["mode"]
	}
	return nil
}

// readInput reads a text of the user's, or the items of a conversation.
func readInput(o object, c *chat) {
	const key = "input"
	v := o.members[key]
	if inside, ok := openai.Text(v); ok {
		if len(inside) > 0 {
			c.addUser(textOnly(inside))
		}
		return
	}
	o.each(key, func(item object) { readItem(item, c) })
}

func readItem(item object, c *chat) {
	kind := item.word("type")
	if kind == "" && item.members["role"] != nil {
		kind = "message"
	}
	switch kind {
	case "message":
		readInputMessage(item, c)
	case "function_call":
		item.only("type", "id", "call_id", "name", "arguments", "status", "async", "caller", "namespace")
		item.need("arguments")
		item.text("arguments")
		c.addCall(item.needText("call_id"), item.needText("name"), item.members["arguments"])
	case "function_call_output":
		item.only("type", "id", "call_id", "output", "status", "caller", "name", "namespace")
		item.need("output")
		out := item.reader.parts(item.path("output"), item.members["output"], "input_text", "input_image")
		c.addResult(item.needText("call_id"), out.text())
		if images := out.images(); len(images) > 0 { // chat completions have none in a tool's answer
			c.addUser(images)
		}
	case "reasoning": // no engine takes it back
	case "item_reference":
		item.wrong(item.path("type"), notStored+`send the item itself instead of an "item_reference".`)
	default:
		item.wrong(item.path("type"), "%q is not supported; it may be message, function_call, function_call_output, reasoning.", clip(kind))
	}
}

func readInputMessage(item object, c *chat) {
	item.only("type", "id", "role", "content", "status", "phase")
	item.need("role")
	item.need("content")
	at, value := item.path("content"), item.members["content"]
	switch item.oneOf("role", "user", "assistant", "system", "developer") {
	case "user":
		c.addUser(item.reader.parts(at, value, "input_text", "input_image"))
	case "assistant":
		c.addAssistant(item.reader.parts(at, value, "output_text", "refusal", "input_text"))
	case "system", "developer": // few models' templates know the latter
		c.addSystem(item.reader.parts(at, value, "input_text").text())
	}
}

// parts reads a string, or a list of parts of the kinds that may stand there.
func (r *reader) parts(at string, value []byte, kinds ...string) content {
	if inside, ok := openai.Text(value); ok {
		return textOnly(inside)
	}
	var c content
	r.list(at, value, func(at string, value []byte) { r.addPart(&c, r.object(at, value), kinds...) })
	return c
}

func (r *reader) addPart(c *content, part object, kinds ...string) {
	part.need("type")
	switch part.oneOf("type", kinds...) {
	case "input_text", "output_text":
		part.only("type", "text", "annotations", "logprobs", "prompt_cache_breakpoint", "parsed")
		*c = append(*c, piece{text: part.needText("text")})
	case "refusal":
		part.only("type", "refusal")
		*c = append(*c, piece{text: part.needText("refusal")})
	case "input_image":
		part.only("type", "image_url", "detail", "file_id", "prompt_cache_breakpoint")
		part.refuse("file_id", "this server stores no files; send the image as a data: URL in image_url.")
		detail := part.oneOf("detail", "auto", "low", "high", "original")
		if detail == "original" {
			detail = "high"
		}
		p := part.image("image_url")
		p.detail = detail
		*c = append(*c, p)
	}
}
