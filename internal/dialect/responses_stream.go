package dialect

import (
	"slices"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// responsesStream makes
//
//	response.created response.in_progress
//	(response.output_item.added (response.content_part.added …delta* …done response.content_part.done) response.output_item.done)*
//	response.completed
//
// each with the next sequence number. A function call has no content part. One item is open at a time.
type responsesStream struct {
	r *responsesRequest
	h *Head
	d delta

	sequence int
	begun    bool
	out      outputs
	open     bool // the last item is
	calls    assembly

	finish []byte
	usage  *usage
}

func (r *responsesRequest) Stream(h *Head) Stream { return &responsesStream{r: r, h: h} }

// AppendKeepalive begins the response, and then repeats that it is in progress.
func (s *responsesStream) AppendKeepalive(b []byte) []byte {
	if !s.begun {
		return s.begin(b)
	}
	return s.appendState(b, "response.in_progress", inProgress)
}

func (s *responsesStream) begin(b []byte) []byte {
	if s.begun {
		return b
	}
	s.begun = true
	b = s.appendState(b, "response.created", inProgress)
	return s.appendState(b, "response.in_progress", inProgress)
}

// appendHead begins an event, up to the members that follow its type and number.
func (s *responsesStream) appendHead(b []byte, kind string) []byte {
	b = append(appendEvent(b, kind), `,"sequence_number":`...)
	b = strconv.AppendInt(b, int64(s.sequence), 10)
	s.sequence++
	return b
}

// appendState appends an event that holds the response. Items are in it once it has ended.
func (s *responsesStream) appendState(b []byte, kind string, now status) []byte {
	b = append(s.appendHead(b, kind), `,"response":`...)
	out := &s.out
	if now == inProgress {
		out = &outputs{}
	}
	return endEvent(s.r.appendResponse(b, s.h, out, now, s.usage, nil))
}

func (s *responsesStream) AppendChunk(b, data []byte) ([]byte, error) {
	if err := readDelta(&s.d, data); err != nil {
		return b, err
	}
	d := &s.d
	if d.usage != nil {
		s.usage = d.usage
	}
	if !d.choice {
		return b, nil
	}
	b = s.begin(b)
	b = s.say(b, itemReasoning, d.reasoning)
	b = s.say(b, itemText, d.text)
	b = s.say(b, itemRefusal, d.refusal)
	for i := range d.calls {
		var err error
		if b, err = s.call(b, &d.calls[i]); err != nil {
			return b, err
		}
	}
	if d.finish != nil {
		s.finish = append(s.finish[:0], d.finish...)
	}
	return b, nil
}

func (s *responsesStream) last() *item { return &s.out.items[len(s.out.items)-1] }

// say adds text to the open item, or begins one of the kind.
func (s *responsesStream) say(b []byte, kind itemKind, text []byte) []byte {
	if len(text) == 0 {
		return b
	}
	if !s.open || s.last().kind != kind {
		b = s.openItem(b, item{kind: kind})
	}
	i := s.last()
	i.text = append(i.text, text...)
	b = s.appendPlace(b, i.event("delta"))
	b = append(append(append(b, `,"delta":"`...), text...), '"')
	if kind == itemText {
		b = append(b, `,"logprobs":[]`...)
	}
	return endEvent(b)
}

// event gives the type of the events that tell an item's text.
func (i *item) event(what string) string {
	switch i.kind {
	case itemReasoning:
		return "response.reasoning_text." + what
	case itemRefusal:
		return "response.refusal." + what
	case itemCall:
		return "response.function_call_arguments." + what
	}
	return "response.output_text." + what
}

// appendPlace begins an event about the text of the last item.
func (s *responsesStream) appendPlace(b []byte, kind string) []byte {
	n := len(s.out.items) - 1
	b = s.last().appendID(append(s.appendHead(b, kind), `,"item_id":`...), s.h, n)
	b = strconv.AppendInt(append(b, `,"output_index":`...), int64(n), 10)
	if s.last().kind != itemCall {
		b = append(b, `,"content_index":0`...)
	}
	return b
}

// openItem ends the open item and begins another.
func (s *responsesStream) openItem(b []byte, i item) []byte {
	b = s.closeItem(b, "completed")
	s.out.add(i)
	s.open = true
	n := len(s.out.items) - 1
	b = strconv.AppendInt(append(s.appendHead(b, "response.output_item.added"), `,"output_index":`...), int64(n), 10)
	bare := i
	bare.text = nil
	b = endEvent(bare.appendTo(append(b, `,"item":`...), s.h, n, inProgress.word))
	if i.kind == itemCall {
		return b
	}
	b = append(s.appendPlace(b, "response.content_part.added"), `,"part":`...)
	return endEvent(i.appendPart(b, nil))
}

func (s *responsesStream) closeItem(b []byte, status string) []byte {
	if !s.open {
		return b
	}
	s.open = false
	i, n := s.last(), len(s.out.items)-1
	b = s.appendPlace(b, i.event("done"))
	field := `,"text":"`
	switch i.kind {
	case itemRefusal:
		field = `,"refusal":"`
	case itemCall:
		b = append(append(append(b, `,"name":"`...), i.call.name...), '"')
		field = `,"arguments":"`
	}
	b = append(append(append(b, field...), i.text...), '"')
	if i.kind == itemText {
		b = append(b, `,"logprobs":[]`...)
	}
	b = endEvent(b)
	if i.kind != itemCall {
		b = append(s.appendPlace(b, "response.content_part.done"), `,"part":`...)
		b = endEvent(i.appendPart(b, i.text))
	}
	b = strconv.AppendInt(append(s.appendHead(b, "response.output_item.done"), `,"output_index":`...), int64(n), 10)
	return endEvent(i.appendTo(append(b, `,"item":`...), s.h, n, status))
}

func (s *responsesStream) call(b []byte, c *call) ([]byte, error) {
	news, err := s.calls.take(c, s.open && s.last().kind == itemCall)
	if err != nil || news == callUnknown {
		return b, err
	}
	if news == callBegun {
		known := call{index: c.index, id: slices.Clone(s.calls.id), name: slices.Clone(s.calls.name)}
		b = s.openItem(b, item{kind: itemCall, call: known})
	}
	more := s.calls.arguments
	if len(more) == 0 {
		return b, nil
	}
	i := s.last()
	i.text = append(i.text, more...)
	b = s.appendPlace(b, i.event("delta"))
	return endEvent(append(append(append(b, `,"delta":"`...), more...), '"')), nil
}

func (s *responsesStream) AppendEnd(b []byte) ([]byte, error) {
	if err := s.calls.end(); err != nil {
		return b, err
	}
	b = s.begin(b)
	if len(s.out.items) == 0 {
		b = s.openItem(b, item{kind: itemText})
	}
	now := statusOf(s.finish)
	b = s.closeItem(b, itemStatus(now, true))
	return s.appendState(b, "response."+now.word, now), nil
}

// AppendFailure says it twice, as OpenAI's server does: SDKs raise the first event, and agents read the response of the second.
func (s *responsesStream) AppendFailure(b []byte, e *openai.Error) []byte {
	b = s.begin(b)
	b = append(s.appendHead(b, "error"), ',')
	b = appendFlatError(b, e)
	b = endEvent(b)
	b = append(s.appendHead(b, "response.failed"), `,"response":`...)
	return endEvent(s.r.appendResponse(b, s.h, &s.out, status{word: "failed"}, s.usage, e))
}
