package dialect

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// chat is a request body for chat completions that is being written.
type chat struct {
	b       []byte
	inside  int    // where the first message begins
	system  []byte // the inside of the text of the system messages that come before all others
	begun   bool   // another message was written
	calling int    // 0 = the last message is not of the assistant; 1 = it has no tool calls; 2 = it has some
}

// newChat begins a body of about room bytes; options are those of a stream.
func newChat(room int, f *openai.Fields, options string) *chat {
	c := &chat{b: make([]byte, 0, room+512)}
	c.b = openai.AppendString(append(c.b, `{"model":`...), f.Model)
	if f.Stream {
		c.b = append(append(c.b, `,"stream":true,"stream_options":`...), options...)
	}
	return c
}

const (
	usageAtTheEnd    = `{"include_usage":true}`
	usageInEachChunk = `{"include_usage":true,"continuous_usage_stats":true}` // engines that do not know the second one pass over it
)

// set writes a member whose value is JSON; nil writes none.
func (c *chat) set(key string, value []byte) {
	if value == nil {
		return
	}
	c.b = append(append(c.b, `,"`...), key...)
	c.b = append(append(c.b, `":`...), value...)
}

func (c *chat) setString(key, value string) { c.set(key, openai.AppendString(nil, value)) }

// messages begins the list of messages: it comes after the other members.
func (c *chat) messages() {
	c.b = append(c.b, `,"messages":[`...)
	c.inside = len(c.b)
}

// addSystem takes in a system message, given as the inside of its text. Those before the first other message become one, since many models' templates take one only.
func (c *chat) addSystem(text []byte) {
	if c.begun {
		c.open("system", textOnly(text))
		c.close()
		return
	}
	if len(c.system) > 0 {
		c.system = append(c.system, `\n\n`...)
	}
	c.system = append(c.system, text...)
}

// flush writes the system messages that were kept.
func (c *chat) flush() {
	if c.begun {
		return
	}
	c.begun = true
	if len(c.system) > 0 {
		c.open("system", textOnly(c.system))
		c.close()
	}
}

// open begins a message.
func (c *chat) open(role string, content content) {
	c.begin()
	c.b = append(append(c.b, `{"role":"`...), role...)
	c.b = append(c.b, `","content":`...)
	c.b = content.appendTo(c.b)
}

// begin ends the assistant's message, if one is open, and writes what stands between two.
func (c *chat) begin() {
	c.settle()
	if len(c.b) > c.inside {
		c.b = append(c.b, ',')
	}
}

func (c *chat) close() { c.b = append(c.b, '}') }

// addUser writes a user's message.
func (c *chat) addUser(content content) {
	c.flush()
	c.open("user", content)
	c.close()
}

// addResult writes what a tool has answered, text being the inside of a string.
func (c *chat) addResult(call, text []byte) {
	c.flush()
	c.begin()
	c.b = append(append(c.b, `{"role":"tool","tool_call_id":"`...), call...)
	c.b = append(append(c.b, `","content":"`...), text...)
	c.b = append(c.b, `"}`...)
}

// addAssistant begins a message of the assistant, which addCall may extend.
func (c *chat) addAssistant(content content) {
	c.flush()
	c.open("assistant", content)
	c.calling = 1
}

// addCall writes a tool call. The first that follows no message of the assistant begins one. Call and name are insides of strings, arguments is a string.
func (c *chat) addCall(call, name, arguments []byte) {
	switch c.calling {
	case 0:
		c.flush()
		c.begin()
		c.b = append(c.b, `{"role":"assistant","content":null,"tool_calls":[`...)
	case 1:
		c.b = append(c.b, `,"tool_calls":[`...)
	default:
		c.b = append(c.b, ',')
	}
	c.calling = 2
	c.b = append(append(c.b, `{"id":"`...), call...)
	c.b = append(append(c.b, `","type":"function","function":{"name":"`...), name...)
	c.b = append(append(c.b, `","arguments":`...), arguments...)
	c.b = append(c.b, `}}`...)
}

// settle ends the assistant's message, if one is open.
func (c *chat) settle() {
	switch c.calling {
	case 1:
		c.close()
	case 2:
		c.b = append(c.b, `]}`...)
	}
	c.calling = 0
}

// end ends the body.
func (c *chat) end() []byte {
	c.flush()
	c.settle()
	return append(c.b, `]}`...)
}

// empty says whether no message was written.
func (c *chat) empty() bool { return len(c.b) == c.inside && len(c.system) == 0 }

// content is what a message holds: texts and images, in their order. It refers to the body that it was read from.
type content []piece

// piece is a text, or an image where it has a URL.
type piece struct {
	text   []byte // the inside of a string, as is url
	scheme string // stands before url
	url    []byte
	detail string // of an image: how closely to look, "" = not said
}

func (p *piece) image() bool { return p.url != nil }

func textOnly(inside []byte) content { return content{{text: inside}} }

// text gives the texts, joined by line breaks as engines do it themselves.
func (c content) text() []byte {
	var all []byte
	first := true
	for i := range c {
		if c[i].image() {
			continue
		}
		if !first {
			all = append(all, `\n`...)
		}
		all, first = append(all, c[i].text...), false
	}
	return all
}

// images gives the images alone.
func (c content) images() content {
	return slices.DeleteFunc(slices.Clone(c), func(p piece) bool { return !p.image() })
}

// appendTo appends a string, or a list of parts where there are images: many models' templates know no lists.
func (c content) appendTo(b []byte) []byte {
	if !slices.ContainsFunc(c, func(p piece) bool { return p.image() }) {
		return append(append(append(b, '"'), c.text()...), '"')
	}
	for i := range c {
		b = append(b, "[,"[min(i, 1)])
		b = c[i].appendTo(b)
	}
	return append(b, ']')
}

func (p *piece) appendTo(b []byte) []byte {
	if !p.image() {
		return append(append(append(b, `{"type":"text","text":"`...), p.text...), `"}`...)
	}
	b = append(append(b, `{"type":"image_url","image_url":{"url":"`...), p.scheme...)
	b = append(append(b, p.url...), '"')
	if p.detail != "" {
		b = append(append(append(b, `,"detail":"`...), p.detail...), '"')
	}
	return append(b, `}}`...)
}

// appendTool appends a tool as chat completions have it; name and description are the insides of strings.
func appendTool(b, name, description, parameters []byte, strict bool) []byte {
	if len(b) == 0 {
		b = append(b, '[')
	} else {
		b = append(b[:len(b)-1], ',')
	}
	b = append(append(b, `{"type":"function","function":{"name":"`...), name...)
	b = append(b, '"')
	if description != nil {
		b = append(append(append(b, `,"description":"`...), description...), '"')
	}
	if parameters != nil {
		b = append(append(b, `,"parameters":`...), parameters...)
	}
	if strict {
		b = append(b, `,"strict":true`...)
	}
	return append(b, `}}]`...)
}

// namedTool is the tool_choice that asks for one tool.
func namedTool(name []byte) []byte {
	return append(append([]byte(`{"type":"function","function":{"name":"`), name...), `"}}`...)
}

// jsonFormat is the response_format of an answer that is to follow a schema; name is the inside of a string.
func jsonFormat(name, schema []byte, strict bool) []byte {
	b := append(append([]byte(`{"type":"json_schema","json_schema":{"name":"`), name...), `","schema":`...)
	b = append(b, schema...)
	if strict {
		b = append(b, `,"strict":true`...)
	}
	return append(b, `}}`...)
}
