package dialect

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// messages is Anthropic's Messages API.
type messages struct{}

// messagesRequest is what an answer needs to know of a request.
type messagesRequest struct {
	translated
	stops    []string // the caller's stop sequences
	thinking bool     // the caller wants to see what the model thinks
}

const notHere = "this server does not have it; leave it out."

func (messages) Translate(body []byte, f *openai.Fields) (Request, error) {
	r := &reader{}
	o := r.object("", body)
	o.refuse("container", notHere)
	o.refuse("mcp_servers", "this server runs no MCP servers; call the tools yourself.")
	o.refuse("context_management", notHere)
	o.only("model", "messages", "max_tokens", "stream", "system", "stop_sequences", "temperature", "top_p", "top_k", "tools", "tool_choice", "thinking",
		"output_config", "metadata", "service_tier", "cache_control", "speed", "diagnostics", // the last five have no effect here
		"container", "mcp_servers", "context_management")
	m := &messagesRequest{}
	c := newChat(len(body), f, usageInEachChunk) // for message_start, where some clients look for the prompt's
	o.need("max_tokens")
	c.set("max_tokens", o.count("max_tokens", 1))
	c.set("temperature", o.number("temperature"))
	c.set("top_p", o.number("top_p"))
	c.set("top_k", o.count("top_k", 0))
	m.readStops(o, c)
	m.readThinking(o)
	readMessagesTools(o, c)
	readOutputConfig(o, c)
	c.messages()
	if o.members["system"] != nil {
		if text := o.reader.content("system", o.members["system"], "text").text(); len(text) > 0 {
			c.addSystem(text)
		}
	}
	o.need("messages")
	last := ""
	o.each("messages", func(turn object) { last = readTurn(turn, c) })
	if last == "assistant" {
		o.wrong("messages", "the last message is the assistant's; this server cannot go on with one that has begun. End with a message of the user.")
	}
	if last == "" {
		o.wrong("messages", "at least one message is needed.")
	}
	m.translated = translated{c.end(), r.remote}
	return m, r.result()
}

func (m *messagesRequest) readStops(o object, c *chat) {
	o.elements("stop_sequences", func(at string, value []byte) {
		inside, ok := openai.Text(value)
		if !ok || len(inside) == 0 {
			o.wrong(at, "a string was expected that is not empty.")
		}
		m.stops = append(m.stops, string(openai.Decode(inside)))
	})
	if len(m.stops) > 0 {
		c.set("stop", o.members["stop_sequences"])
	}
}

// readThinking notes whether the caller wants to see what the model thinks. Whether it does is the model's own business.
func (m *messagesRequest) readThinking(o object) {
	thinking, given := o.object("thinking")
	if !given {
		return
	}
	thinking.only("type", "budget_tokens", "display")
	kind := thinking.oneOf("type", "enabled", "adaptive", "between_tools", "disabled")
	m.thinking = kind != "disabled" && thinking.word("display") != "omitted"
}

func readOutputConfig(o object, c *chat) {
	config, given := o.object("output_config")
	if !given {
		return
	}
	config.only("effort", "format", "task_budget")
	config.refuse("task_budget", notHere)
	if effort := config.oneOf("effort", efforts...); effort != "" {
		c.setString("reasoning_effort", chatEffort(effort))
	}
	format, given := config.object("format")
	if !given {
		return
	}
	format.only("type", "schema")
	format.oneOf("type", "json_schema")
	format.need("schema")
	c.set("response_format", jsonFormat([]byte("output"), format.schema("schema"), true))
}

// efforts are how hard a model may be asked to think.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// chatEffort gives the nearest of what engines know.
func chatEffort(effort string) string {
	switch effort {
	case "none", "minimal":
		return "low"
	case "xhigh", "max":
		return "high"
	}
	return effort
}

// readMessagesTools reads tools and tool_choice.
func readMessagesTools(o object, c *chat) {
	var tools []byte
	o.each("tools", func(tool object) {
		if kind := tool.word("type"); kind != "" && kind != "custom" {
			tool.wrong(tool.path("type"), "%q is a tool of the provider's; this server has tools of type custom only.", clip(kind))
		}
		tool.only("type", "name", "description", "input_schema", "strict",
			"cache_control", "allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")
		tool.need("input_schema")
		strict, _ := tool.flag("strict")
		tools = appendTool(tools, tool.needText("name"), tool.text("description"), tool.schema("input_schema"), strict)
	})
	c.set("tools", tools)
	choice, given := o.object("tool_choice")
	if !given {
		return
	}
	choice.only("type", "name", "disable_parallel_tool_use")
	choice.need("type")
	switch choice.oneOf("type", "auto", "any", "tool", "none") {
	case "auto":
		c.set("tool_choice", []byte(`"auto"`))
	case "any":
		c.set("tool_choice", []byte(`"required"`))
	case "none":
		c.set("tool_choice", []byte(`"none"`))
	case "tool":
		c.set("tool_choice", namedTool(choice.needText("name")))
	}
	if tools == nil {
		o.wrong("tool_choice", "there are no tools to choose from.")
	}
	if one, _ := choice.flag("disable_parallel_tool_use"); one {
		c.set("parallel_tool_calls", []byte("false"))
	}
}

// readTurn reads a message and gives its role.
func readTurn(turn object, c *chat) string {
	turn.only("role", "content")
	turn.need("content")
	turn.need("role")
	role := turn.oneOf("role", "user", "assistant", "system")
	at, value := turn.path("content"), turn.members["content"]
	switch role {
	case "user":
		readUserTurn(turn, at, value, c)
	case "assistant":
		readAssistantTurn(turn, at, value, c)
	case "system":
		c.addSystem(turn.reader.content(at, value, "text").text())
	}
	return role
}

// readUserTurn reads what a user says, and what tools have answered: that comes first, for it belongs to the calls before it. Chat completions have no
// images in a tool's answer, so these go to the user's message.
func readUserTurn(turn object, at string, value []byte, c *chat) {
	if isString(value) {
		c.addUser(turn.reader.content(at, value))
		return
	}
	var said content
	results := false
	turn.each("content", func(block object) {
		if block.word("type") != "tool_result" {
			block.reader.addBlock(&said, block, "text", "image", "document")
			return
		}
		results = true
		block.only("type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name")
		var answer content
		if v := block.members["content"]; v != nil {
			answer = block.reader.content(block.path("content"), v, "text", "image", "document")
		}
		text := answer.text()
		if bad, _ := block.flag("is_error"); bad {
			text = slices.Concat([]byte("Error: "), text) // there is no field that says it
		}
		c.addResult(block.needText("tool_use_id"), text)
		said = append(said, answer.images()...)
	})
	if len(said) > 0 || !results {
		c.addUser(said)
	}
}

func readAssistantTurn(turn object, at string, value []byte, c *chat) {
	if isString(value) {
		c.addAssistant(turn.reader.content(at, value))
		return
	}
	var said content
	var calls []object
	turn.each("content", func(block object) {
		switch block.word("type") {
		case "thinking", "redacted_thinking": // no engine takes it back
		case "tool_use":
			calls = append(calls, block)
		default:
			block.reader.addBlock(&said, block, "text")
		}
	})
	if len(said) > 0 {
		c.addAssistant(said)
	}
	for _, call := range calls {
		call.only("type", "id", "name", "input", "cache_control", "caller", "toolset_name")
		call.need("input")
		input := openai.AppendString(nil, string(call.schema("input")))
		c.addCall(call.needText("id"), call.needText("name"), input)
	}
}

// content reads a string, or a list of blocks of the kinds that may stand there.
func (r *reader) content(at string, value []byte, kinds ...string) content {
	if inside, ok := openai.Text(value); ok {
		return textOnly(inside)
	}
	var c content
	r.list(at, value, func(at string, value []byte) { r.addBlock(&c, r.object(at, value), kinds...) })
	return c
}

// addBlock reads a block of one of the kinds.
func (r *reader) addBlock(c *content, block object, kinds ...string) {
	block.need("type")
	switch block.oneOf("type", kinds...) {
	case "text":
		block.only("type", "text", "cache_control", "citations", "parsed_output")
		*c = append(*c, piece{text: block.needText("text")})
	case "image":
		block.only("type", "source", "cache_control", "transformations")
		block.need("source")
		source, _ := block.object("source")
		readImageSource(c, source)
	case "document":
		block.only("type", "source", "cache_control", "citations", "context", "title")
		block.need("source")
		source, _ := block.object("source")
		readDocument(r, c, block, source)
	}
}

func readImageSource(c *content, source object) {
	source.need("type")
	switch source.oneOf("type", "base64", "url") {
	case "base64":
		source.only("type", "media_type", "data")
		source.need("media_type")
		media := source.oneOf("media_type", "image/jpeg", "image/png", "image/gif", "image/webp")
		*c = append(*c, piece{scheme: "data:" + media + ";base64,", url: source.needText("data")})
	case "url":
		source.only("type", "url")
		*c = append(*c, source.image("url"))
	}
}

// readDocument reads a document of plain text, the only kind that every model can read.
func readDocument(r *reader, c *content, block, source object) {
	source.need("type")
	switch source.oneOf("type", "text", "content") {
	case "text":
		source.only("type", "media_type", "data")
		addDocumentHead(c, block)
		*c = append(*c, piece{text: source.needText("data")})
	case "content":
		source.only("type", "content")
		source.need("content")
		addDocumentHead(c, block)
		*c = append(*c, r.content(source.path("content"), source.members["content"], "text")...)
	}
}

func addDocumentHead(c *content, block object) {
	for _, key := range []string{"title", "context"} {
		if text := block.text(key); !blank(text) {
			*c = append(*c, piece{text: text})
		}
	}
}
