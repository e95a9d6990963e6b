package dialect

import (
	"slices"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func (m *messagesRequest) AppendAnswer(dst, chat []byte, h *Head) ([]byte, error) {
	var d delta
	if err := readDelta(&d, chat); err != nil {
		return dst, err
	}
	if !d.choice {
		return dst, errNoAnswer
	}
	b := appendMessageHead(dst, h)
	b = append(b, `,"content":[`...)
	from := len(b)
	if m.thinking && len(d.reasoning) > 0 {
		b = append(append(append(b, `{"type":"thinking","thinking":"`...), d.reasoning...), `","signature":""},`...)
	}
	for _, text := range [][]byte{d.text, d.refusal} {
		if len(text) > 0 {
			b = append(append(append(b, `{"type":"text","text":"`...), text...), `"},`...)
		}
	}
	for i := range d.calls {
		input, err := arguments(d.calls[i].arguments)
		if err != nil {
			return dst, err
		}
		b = appendToolUse(b, &d.calls[i], h)
		b = append(append(append(b, `,"input":`...), input...), `},`...)
	}
	if len(b) > from {
		b = b[:len(b)-1]
	}
	b = append(b, `],`...)
	b = m.appendStop(b, d.finish, d.stop, len(d.calls) > 0, len(d.refusal) > 0)
	b = appendMessagesUsage(append(b, `,"usage":`...), d.usage)
	return append(b, '}'), nil
}

func appendMessageHead(b []byte, h *Head) []byte {
	b = openai.AppendString(append(b, `{"id":`...), "msg_"+h.Request)
	b = append(b, `,"type":"message","role":"assistant","model":`...)
	return openai.AppendString(b, h.Model)
}

// appendToolUse appends the beginning of a block, up to its input.
func appendToolUse(b []byte, c *call, h *Head) []byte {
	id := c.id
	if len(id) == 0 {
		id = callID(h, c.index)
	}
	b = append(append(b, `{"type":"tool_use","id":"`...), id...)
	b = append(append(b, `","name":"`...), c.name...)
	return append(b, '"')
}

// appendStop appends why the answer ended.
func (m *messagesRequest) appendStop(b, finish, stop []byte, called, refused bool) []byte {
	sequence := string(openai.Decode(stop))
	reason := why(finish, called)
	if reason == endedTurn && sequence != "" && slices.Contains(m.stops, sequence) {
		reason = endedStop
	}
	b = append(b, `"stop_reason":"`...)
	switch {
	case reason == endedStop:
		b = append(b, `stop_sequence","stop_sequence":`...)
		return openai.AppendString(b, sequence)
	case reason == endedLength:
		b = append(b, "max_tokens"...)
	case reason == endedCalls:
		b = append(b, "tool_use"...)
	case reason == endedFilter || refused:
		b = append(b, "refusal"...)
	default:
		b = append(b, "end_turn"...)
	}
	return append(b, `","stop_sequence":null`...)
}

// appendMessagesUsage appends the usage object. Its input_tokens are those that were not read from the cache. The SDKs' types have no null for tokens:
// what the engine has not told is 0.
func appendMessagesUsage(b []byte, u *usage) []byte {
	if u == nil {
		u = &usage{}
	}
	b = strconv.AppendInt(append(b, `{"input_tokens":`...), u.input-u.cached, 10)
	b = append(b, `,"cache_creation_input_tokens":0,"cache_read_input_tokens":`...)
	b = strconv.AppendInt(b, u.cached, 10)
	b = strconv.AppendInt(append(b, `,"output_tokens":`...), u.output, 10)
	return append(b, '}')
}
