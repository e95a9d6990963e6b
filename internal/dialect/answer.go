package dialect

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// What is wrong with an engine's answer. The words are for operators, and repeat nothing of it.
var (
	errNotChat   = errors.New("the engine's answer is no chat completion")
	errArguments = errors.New("the arguments of a tool call in the engine's answer are no JSON object")
	errMixed     = errors.New("the engine goes on with a tool call after it has begun another")
	errNoAnswer  = errors.New("the engine's answer has no choice")
)

// delta is what an answer, or one chunk of a stream, says. The values are parts of it; strings are the insides of their quotes.
type delta struct {
	reasoning, text, refusal []byte
	calls                    []call
	finish                   []byte // why it ended; nil = it goes on
	stop                     []byte // the stop sequence that ended it
	usage                    *usage // nil = not told
	choice                   bool   // there is one
	bad                      bool   // something has the wrong type
}

// says reports whether there is anything for a caller.
func (d *delta) says() bool {
	return len(d.reasoning)+len(d.text)+len(d.refusal)+len(d.calls) > 0 || d.finish != nil
}

// call is a tool call, or a part of one.
type call struct {
	index     int
	id, name  []byte
	arguments []byte
}

// usage counts tokens as the engine did.
type usage struct{ input, cached, output, reasoning int64 }

// readDelta reads an answer or a chunk of chat completions into d, whose memory it uses again.
func readDelta(d *delta, data []byte) error {
	*d = delta{calls: d.calls[:0]}
	ok := openai.Members(data, func(key, value []byte) bool {
		switch string(key) {
		case "choices":
			return isNull(value) || openai.Elements(value, d.readChoice)
		case "usage":
			d.usage = readUsage(value)
		}
		return true
	})
	if !ok || d.bad {
		return errNotChat
	}
	return nil
}

func (d *delta) readChoice(value []byte) bool {
	index, said := 0, []byte(nil)
	var finish, stop []byte
	ok := openai.Members(value, func(key, value []byte) bool {
		switch string(key) {
		case "index":
			index = number(value)
		case "message", "delta":
			said = value
		case "finish_reason":
			finish, _ = openai.Text(value)
		case "stop_reason":
			stop, _ = openai.Text(value) // engines give the number of a token too
		}
		return true
	})
	if !ok || index != 0 { // one was asked for
		return ok
	}
	d.choice = true
	d.finish, d.stop = finish, stop
	return isNull(said) || openai.Members(said, d.readMember)
}

// number gives a small whole number, -1 for anything else.
func number(value []byte) int {
	n, err := strconv.Atoi(string(value))
	if err != nil {
		return -1
	}
	return n
}

func (d *delta) readMember(key, value []byte) bool {
	if isNull(value) {
		return true
	}
	switch string(key) {
	case "content":
		d.text = d.string(value)
	case "refusal":
		d.refusal = d.string(value)
	case "reasoning_content", "reasoning":
		if t := d.string(value); len(t) > 0 {
			d.reasoning = t
		}
	case "tool_calls":
		return openai.Elements(value, d.readCall)
	}
	return true
}

func (d *delta) string(value []byte) []byte {
	inside, ok := openai.Text(value)
	if !ok {
		d.bad = true
	}
	return inside
}

func (d *delta) readCall(value []byte) bool {
	c := call{index: len(d.calls)} // whole answers number them by their order only
	ok := openai.Members(value, func(key, value []byte) bool {
		switch {
		case isNull(value):
		case string(key) == "index":
			c.index = number(value)
		case string(key) == "id":
			c.id = d.string(value)
		case string(key) == "function":
			return openai.Members(value, func(key, value []byte) bool {
				switch {
				case isNull(value):
				case string(key) == "name":
					c.name = d.string(value)
				case string(key) == "arguments":
					c.arguments = d.string(value)
				}
				return true
			})
		}
		return true
	})
	d.calls = append(d.calls, c)
	return ok
}

// readUsage reads the usage object; nil if it tells nothing.
func readUsage(value []byte) *usage {
	var said struct {
		Prompt     *int64 `json:"prompt_tokens"`
		Completion *int64 `json:"completion_tokens"`
		Read       *struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		Made *struct {
			Reasoning int64 `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	}
	if json.Unmarshal(value, &said) != nil || said.Prompt == nil && said.Completion == nil {
		return nil
	}
	u := &usage{}
	if said.Prompt != nil {
		u.input = max(*said.Prompt, 0)
	}
	if said.Completion != nil {
		u.output = max(*said.Completion, 0)
	}
	if said.Read != nil {
		u.cached = min(max(said.Read.Cached, 0), u.input)
	}
	if said.Made != nil {
		u.reasoning = min(max(said.Made.Reasoning, 0), u.output)
	}
	return u
}

// ended are the reasons of chat completions for which an answer ends, as far as dialects tell them apart.
type ended uint8

const (
	endedTurn   ended = iota // the model had no more to say, or stopped for what the dialect has no word for
	endedStop                // a stop sequence of the caller
	endedLength              // max_tokens, or the context
	endedCalls               // it calls tools
	endedFilter              // a filter
)

// why gives the reason. Engines differ in what they say of an answer that calls tools: that it has called some is enough.
func why(finish []byte, called bool) ended {
	switch string(finish) {
	case "length":
		return endedLength
	case "content_filter":
		return endedFilter
	}
	if called {
		return endedCalls
	}
	return endedTurn
}

// arguments turns the inside of a string into the JSON object that it stands for. Nothing stands for an empty one.
func arguments(inside []byte) ([]byte, error) {
	if blank(inside) {
		return []byte("{}"), nil
	}
	value := openai.Decode(inside)
	if !json.Valid(value) || !openai.Members(value, func(_, _ []byte) bool { return true }) {
		return nil, errArguments
	}
	return value, nil
}

// callID is the ID of a tool call to which the engine has given none.
func callID(h *Head, index int) []byte {
	id := openai.AppendString(nil, "call_"+h.Request+"_"+strconv.Itoa(index))
	return id[1 : len(id)-1]
}

// assembly puts together the parts in which a stream tells its tool calls, one call after the other.
type assembly struct {
	call       // the latest; arguments are those that were told last
	begun bool // there is one
	named bool // it is known by its name
}

// callNews is what a part tells.
type callNews uint8

const (
	callUnknown callNews = iota // nothing that could be said yet
	callBegun                   // a call with its ID and name, and the arguments so far
	callMore                    // more arguments
)

// take takes in a part; open says whether the latest call can still get more.
func (a *assembly) take(c *call, open bool) (callNews, error) {
	if !a.begun || c.index != a.index {
		if a.begun && (c.index < a.index || !a.named) {
			return callUnknown, errMixed
		}
		*a = assembly{call: call{index: c.index}, begun: true}
	} else if a.named && !open {
		return callUnknown, errMixed
	}
	if a.named {
		a.arguments = c.arguments
		return callMore, nil
	}
	a.id, a.name, a.arguments = append(a.id, c.id...), append(a.name, c.name...), append(a.arguments, c.arguments...)
	if len(a.name) == 0 {
		return callUnknown, nil
	}
	a.named = true
	return callBegun, nil
}

// end says whether a call was left without a name.
func (a *assembly) end() error {
	if a.begun && !a.named {
		return errNotChat
	}
	return nil
}
