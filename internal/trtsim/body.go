package trtsim

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
)

// writeBody answers a complete request.
func (e *Engine) writeBody(w http.ResponseWriter, rep *reply) {
	pooled := e.buffer.Get().(*[]byte)
	b := rep.appendHead((*pooled)[:0])
	for i := range rep.answers {
		if i > 0 {
			b = append(b, ',')
		}
		if rep.chat {
			b = rep.appendMessage(b, i)
		} else {
			b = rep.appendChoice(b, i)
		}
	}
	b = append(b, `],"usage":`...)
	b = rep.appendUsage(b, rep.total())
	if rep.chat {
		b = append(b, `,"prompt_token_ids":null`...)
	}
	b = append(b, '}')
	writeJSON(w, http.StatusOK, b)
	*pooled = b[:0]
	e.buffer.Put(pooled)
}

func (rep *reply) appendHead(b []byte) []byte {
	object := "text_completion"
	if rep.chat {
		b = append(b, `{"id":"chatcmpl-`...)
		object = "chat.completion"
	} else {
		b = append(b, `{"id":"cmpl-`...)
	}
	for range 2 {
		for x, i := rand.Uint64(), 0; i < 16; i++ {
			b = append(b, hexDigits[x&15])
			x >>= 4
		}
	}
	b = append(b, `","object":"`...)
	b = append(b, object...)
	b = append(b, `","created":`...)
	b = strconv.AppendInt(b, rep.created, 10)
	b = append(b, `,"model":`...)
	b = appendString(b, rep.model)
	return append(b, `,"choices":[`...)
}

func (rep *reply) appendMessage(b []byte, i int) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"message":{"role":"assistant","content":`...)
	if rep.script.calls() {
		b = append(b, `"","reasoning_content":"","reasoning":null,"tool_calls":[{`...)
		b = rep.appendCall(b, i)
		b = rep.appendText(b, i)
		b = append(b, `}}]},"logprobs":null`...)
	} else {
		b = rep.appendText(b, i)
		b = append(b, `,"reasoning_content":"","reasoning":null,"tool_calls":[]},"logprobs":null`...)
	}
	b = rep.answers[i].appendEnd(b, true)
	return append(b, '}')
}

func (rep *reply) appendChoice(b []byte, i int) []byte {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"text":`...)
	b = rep.appendText(b, i)
	b = append(b, `,"token_ids":null,"logprobs":null,"context_logits":null`...)
	b = rep.answers[i].appendEnd(b, true)
	return append(b, '}')
}

// appendCall appends what opens a call, up to the value of its arguments.
func (rep *reply) appendCall(b []byte, i int) []byte {
	b = append(b, `"id":"chatcmpl-tool-`...)
	b = strconv.AppendUint(b, mix(uint64(rep.created)^mix(uint64(rep.id)^mix(uint64(i)))), 16)
	b = append(b, `","type":"function","function":{"name":`...)
	b = appendString(b, rep.script.tool)
	return append(b, `,"arguments":`...)
}

// appendText appends the whole text of one answer as a JSON string.
func (rep *reply) appendText(b []byte, i int) []byte {
	a := &rep.answers[i]
	b = appendString(b, rep.prompts[i/rep.n].echo)
	b = b[:len(b)-1]
	if a.script != nil {
		said := a.script.tokens[:min(a.limit, len(a.script.tokens))]
		return append(appendEscaped(b, strings.Join(said, "")), '"')
	}
	from := len(b)
	t := newText(a.key, a.open)
	tokens := a.limit
	if a.ended {
		tokens--
	}
	for range tokens {
		b = t.next(b)
	}
	if a.keep >= 0 {
		b = b[:from+a.keep]
	}
	return append(b, '"')
}

// appendEnd appends the fields that say how an answer ended, null while it goes on.
func (a *answer) appendEnd(b []byte, last bool) []byte {
	b = append(b, `,"finish_reason":`...)
	if last {
		b = append(b, '"')
		b = append(b, a.finish...)
		b = append(b, '"')
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"stop_reason":`...)
	if last && a.stop != "" {
		b = appendString(b, a.stop)
	} else {
		b = append(b, "null"...)
	}
	return append(b, `,"disaggregated_params":null,"avg_decoded_tokens_per_iter":null`...)
}

// appendUsage appends the usage object. No prompt is ever found in the cache.
func (rep *reply) appendUsage(b []byte, made int) []byte {
	read := 0
	for i := range rep.prompts {
		read += rep.prompts[i].tokens
	}
	b = append(b, `{"prompt_tokens":`...)
	b = strconv.AppendInt(b, int64(read), 10)
	b = append(b, `,"total_tokens":`...)
	b = strconv.AppendInt(b, int64(read+made), 10)
	b = append(b, `,"completion_tokens":`...)
	b = strconv.AppendInt(b, int64(made), 10)
	return append(b, `,"prompt_tokens_details":{"cached_tokens":0}}`...)
}
