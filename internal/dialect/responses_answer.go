package dialect

import (
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func (r *responsesRequest) AppendAnswer(dst, chat []byte, h *Head) ([]byte, error) {
	var d delta
	if err := readDelta(&d, chat); err != nil {
		return dst, err
	}
	if !d.choice {
		return dst, errNoAnswer
	}
	var out outputs
	if len(d.reasoning) > 0 {
		out.add(item{kind: itemReasoning, text: d.reasoning})
	}
	if len(d.text) > 0 || len(d.refusal) == 0 && len(d.calls) == 0 {
		out.add(item{kind: itemText, text: d.text})
	}
	if len(d.refusal) > 0 {
		out.add(item{kind: itemRefusal, text: d.refusal})
	}
	for i := range d.calls {
		out.add(item{kind: itemCall, text: d.calls[i].arguments, call: d.calls[i]})
	}
	return r.appendResponse(dst, h, &out, statusOf(d.finish), d.usage, nil), nil
}

// status is how a response stands.
type status struct {
	word   string
	reason string // why it is incomplete
}

var inProgress = status{word: "in_progress"}

func statusOf(finish []byte) status {
	switch why(finish, false) {
	case endedLength:
		return status{"incomplete", "max_output_tokens"}
	case endedFilter:
		return status{"incomplete", "content_filter"}
	}
	return status{word: "completed"}
}

// appendResponse appends the whole response object.
func (r *responsesRequest) appendResponse(b []byte, h *Head, out *outputs, s status, u *usage, e *openai.Error) []byte {
	b = openai.AppendString(append(b, `{"id":`...), "resp_"+h.Request)
	b = strconv.AppendInt(append(b, `,"object":"response","created_at":`...), h.Created.Unix(), 10)
	b = openai.AppendString(append(b, `,"model":`...), h.Model)
	b = openai.AppendString(append(b, `,"status":`...), s.word)
	b = append(b, `,"error":`...)
	if e == nil {
		b = append(b, "null"...)
	} else {
		b = openai.AppendString(append(b, `{"code":`...), responseErrorCode(e))
		b = append(openai.AppendString(append(b, `,"message":`...), e.Message), '}')
	}
	b = append(b, `,"incomplete_details":`...)
	if s.reason == "" {
		b = append(b, "null,"...)
	} else {
		b = append(openai.AppendString(append(b, `{"reason":`...), s.reason), `},`...)
	}
	b = append(b, r.echo...)
	b = append(b, `"output":[`...)
	for i := range out.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = out.items[i].appendTo(b, h, i, itemStatus(s, i == len(out.items)-1))
	}
	b = appendResponsesUsage(append(b, `],"usage":`...), u)
	return append(b, '}')
}

// itemStatus gives the status of an item of a response that has ended: only the last one can have been cut.
func itemStatus(s status, last bool) string {
	if last && s.word != "completed" {
		return "incomplete"
	}
	return "completed"
}

// responseErrorCode gives one of the few codes that openai-python's ResponseError knows.
func responseErrorCode(e *openai.Error) string {
	switch {
	case e.Status == 429:
		return "rate_limit_exceeded"
	case e.Status < 500:
		return "invalid_prompt"
	}
	return "server_error"
}

// appendResponsesUsage appends the usage object, null where the engine has told none.
func appendResponsesUsage(b []byte, u *usage) []byte {
	if u == nil {
		return append(b, "null"...)
	}
	b = strconv.AppendInt(append(b, `{"input_tokens":`...), u.input, 10)
	b = strconv.AppendInt(append(b, `,"input_tokens_details":{"cached_tokens":`...), u.cached, 10)
	b = strconv.AppendInt(append(b, `,"cache_write_tokens":0},"output_tokens":`...), u.output, 10)
	b = strconv.AppendInt(append(b, `,"output_tokens_details":{"reasoning_tokens":`...), u.reasoning, 10)
	b = strconv.AppendInt(append(b, `},"total_tokens":`...), u.input+u.output, 10)
	return append(b, '}')
}

// itemKind is what an output item is. A refusal is a message whose part is one.
type itemKind uint8

const (
	itemReasoning itemKind = iota
	itemText
	itemRefusal
	itemCall
)

// item is an output item. Text is the inside of a string: what the item says, or a call's arguments.
type item struct {
	kind itemKind
	text []byte
	call call
}

// outputs are the items of a response.
type outputs struct{ items []item }

func (o *outputs) add(i item) { o.items = append(o.items, i) }

// appendID appends the ID of the nth item, a string.
func (i *item) appendID(b []byte, h *Head, n int) []byte {
	prefix := "msg_"
	switch i.kind {
	case itemReasoning:
		prefix = "rs_"
	case itemCall:
		prefix = "fc_"
	}
	return openai.AppendString(b, prefix+h.Request+"_"+strconv.Itoa(n))
}

func (i *item) appendTo(b []byte, h *Head, n int, status string) []byte {
	b = i.appendID(append(b, `{"id":`...), h, n)
	b = append(append(append(b, `,"status":"`...), status...), '"')
	switch i.kind {
	case itemReasoning:
		b = append(b, `,"type":"reasoning","summary":[],"content":[`...)
	case itemCall:
		id := i.call.id
		if len(id) == 0 {
			id = callID(h, i.call.index)
		}
		b = append(append(b, `,"type":"function_call","call_id":"`...), id...)
		b = append(append(b, `","name":"`...), i.call.name...)
		b = append(append(b, `","arguments":"`...), i.text...)
		return append(b, `"}`...)
	default:
		b = append(b, `,"type":"message","role":"assistant","content":[`...)
	}
	if status != inProgress.word {
		b = i.appendPart(b, i.text)
	}
	return append(b, `]}`...)
}

// appendPart appends the one content part of an item, with a text.
func (i *item) appendPart(b, text []byte) []byte {
	switch i.kind {
	case itemReasoning:
		b = append(append(b, `{"type":"reasoning_text","text":"`...), text...)
		return append(b, `"}`...)
	case itemRefusal:
		b = append(append(b, `{"type":"refusal","refusal":"`...), text...)
		return append(b, `"}`...)
	}
	b = append(append(b, `{"type":"output_text","text":"`...), text...)
	return append(b, `","annotations":[],"logprobs":[]}`...)
}
