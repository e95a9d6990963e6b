package dialect

import (
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// block is what kind of content block is open.
type block uint8

const (
	blockNone block = iota
	blockThinking
	blockText
	blockTool
)

// messagesStream makes
//
//	message_start (content_block_start content_block_delta* content_block_stop)* message_delta message_stop
//
// with pings in between. One block is open at a time.
type messagesStream struct {
	m *messagesRequest
	h *Head
	d delta

	begun bool
	open  block
	index int // of the open block, or of the next one
	calls assembly

	finish, stop []byte
	refused      bool
	usage        *usage
}

func (m *messagesRequest) Stream(h *Head) Stream { return &messagesStream{m: m, h: h} }

// Ping is the event of Anthropic's that says nothing.
const Ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"

// AppendKeepalive may stand before message_start: SDKs leave pings out before they look at the order.
func (s *messagesStream) AppendKeepalive(dst []byte) []byte {
	return append(dst, Ping...)
}

// appendEvent begins an event, up to the members that follow its type.
func appendEvent(b []byte, kind string) []byte {
	b = append(append(b, "event: "...), kind...)
	b = append(append(b, "\ndata: {\"type\":\""...), kind...)
	return append(b, '"')
}

func endEvent(b []byte) []byte { return append(b, "}\n\n"...) }

func (s *messagesStream) AppendChunk(b, data []byte) ([]byte, error) {
	if err := readDelta(&s.d, data); err != nil {
		return b, err
	}
	d := &s.d
	if d.usage != nil {
		s.usage = d.usage
	}
	if !d.says() { // such as one that tells the role only, before usage is known
		return b, nil
	}
	b = s.begin(b)
	if s.m.thinking && len(d.reasoning) > 0 {
		b = s.turn(b, blockThinking, `{"type":"thinking","thinking":"","signature":""}`)
		b = s.appendDelta(b, `thinking_delta","thinking":"`, d.reasoning)
	}
	for i, text := range [][]byte{d.text, d.refusal} {
		if len(text) > 0 {
			b = s.turn(b, blockText, `{"type":"text","text":""}`)
			b = s.appendDelta(b, `text_delta","text":"`, text)
			s.refused = s.refused || i == 1
		}
	}
	for i := range d.calls {
		var err error
		if b, err = s.call(b, &d.calls[i]); err != nil {
			return b, err
		}
	}
	if d.finish != nil {
		s.finish = append(s.finish[:0], d.finish...)
		s.stop = append(s.stop[:0], d.stop...)
	}
	return b, nil
}

func (s *messagesStream) begin(b []byte) []byte {
	if s.begun {
		return b
	}
	s.begun = true
	b = append(appendEvent(b, "message_start"), `,"message":`...)
	b = appendMessageHead(b, s.h)
	b = append(b, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
	read := usage{}
	if s.usage != nil {
		read.input, read.cached = s.usage.input, s.usage.cached // what was made is told at the end: some clients add both up
	}
	b = appendMessagesUsage(b, &read)
	return endEvent(append(b, '}'))
}

// turn makes the open block one of a kind, written as start.
func (s *messagesStream) turn(b []byte, kind block, start string) []byte {
	if s.open == kind {
		return b
	}
	b = s.closeBlock(b)
	s.open = kind
	b = s.appendIndex(b, "content_block_start")
	b = append(append(b, `,"content_block":`...), start...)
	return endEvent(b)
}

func (s *messagesStream) appendIndex(b []byte, kind string) []byte {
	return strconv.AppendInt(append(appendEvent(b, kind), `,"index":`...), int64(s.index), 10)
}

// appendDelta appends what a block gains; kind is its type and the beginning of the string that holds it.
func (s *messagesStream) appendDelta(b []byte, kind string, inside []byte) []byte {
	b = append(s.appendIndex(b, "content_block_delta"), `,"delta":{"type":"`...)
	b = append(append(b, kind...), inside...)
	return endEvent(append(b, `"}`...))
}

func (s *messagesStream) closeBlock(b []byte) []byte {
	if s.open == blockNone {
		return b
	}
	b = endEvent(s.appendIndex(b, "content_block_stop"))
	s.open = blockNone
	s.index++
	return b
}

func (s *messagesStream) call(b []byte, c *call) ([]byte, error) {
	news, err := s.calls.take(c, s.open == blockTool)
	if err != nil || news == callUnknown {
		return b, err
	}
	if news == callBegun {
		b = s.closeBlock(b)
		s.open = blockTool
		b = append(s.appendIndex(b, "content_block_start"), `,"content_block":`...)
		b = endEvent(append(appendToolUse(b, &s.calls.call, s.h), `,"input":{}}`...))
	}
	if len(s.calls.arguments) > 0 {
		b = s.appendDelta(b, `input_json_delta","partial_json":"`, s.calls.arguments)
	}
	return b, nil
}

func (s *messagesStream) AppendEnd(b []byte) ([]byte, error) {
	if err := s.calls.end(); err != nil {
		return b, err
	}
	b = s.begin(b)
	b = s.closeBlock(b)
	b = append(appendEvent(b, "message_delta"), `,"delta":{`...)
	b = s.m.appendStop(b, s.finish, s.stop, s.calls.begun, s.refused)
	b = appendMessagesUsage(append(b, `},"usage":`...), s.usage)
	return append(endEvent(b), "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...), nil
}

func (s *messagesStream) AppendFailure(b []byte, e *openai.Error) []byte {
	return Messages.AppendEvent(b, e, s.h.Request)
}
