package openai

import (
	"bytes"
	"strconv"
	"time"
)

// Head is what all chunks of one stream have in common.
type Head struct {
	ID       string
	Model    string
	Endpoint string // "completions"; any other is written as chat
	Created  int64  // unix seconds
}

// Receipt is what a request cost, as told in the pilotlight object of the usage chunk.
type Receipt struct {
	Start    string // hot, parked or cold
	Queue    time.Duration
	Activate time.Duration
	TTFT     time.Duration // dispatch to first token
	Wake     time.Duration // dispatch to the moment from which the engine had proven itself; left out where it is less than a microsecond
	Upstream time.Duration // dispatch to the engine's end
	Billed   time.Duration
	CostUSD  string // a decimal
}

// AppendEmptyChunk appends an event that says nothing, well formed, to keep a connection alive for clients that cannot
// read comments.
func AppendEmptyChunk(dst []byte, h *Head) []byte {
	dst = appendHead(append(dst, "data: "...), h)
	if h.Endpoint == "completions" {
		dst = append(dst, `[{"index":0,"text":"","logprobs":null,"finish_reason":null}]`...)
	} else {
		dst = append(dst, `[{"index":0,"delta":{"content":""},"finish_reason":null}]`...)
	}
	return append(dst, "}\n\n"...)
}

// AppendUsageEvent appends the usage chunk for a caller who asked for it: data, which is the engine's own chunk (Data of
// the event of KindUsage), with the receipt in it as the object pilotlight.
func AppendUsageEvent(dst, data []byte, r *Receipt) []byte {
	dst = append(dst, "data: "...)
	dst = appendLine(dst, data[:max(bytes.LastIndexByte(data, '}'), 0)])
	dst = append(dst, `,"pilotlight":`...)
	return append(AppendReceipt(dst, r), "}\n\n"...)
}

// AppendUsageChunk appends a usage chunk of our own making, for engines that were asked for one and sent none. What the engine never told is null.
func AppendUsageChunk(dst []byte, h *Head, u Usage, r *Receipt) []byte {
	dst = appendHead(append(dst, "data: "...), h)
	if !u.Known {
		dst = append(dst, `[],"usage":null,"pilotlight":`...)
		return append(AppendReceipt(dst, r), "}\n\n"...)
	}
	dst = append(dst, `[],"usage":{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, u.PromptTokens, 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, u.CompletionTokens, 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, u.PromptTokens+u.CompletionTokens, 10)
	dst = append(dst, `},"pilotlight":`...)
	return append(AppendReceipt(dst, r), "}\n\n"...)
}

// AppendReceipt appends the pilotlight object, with times in whole microseconds.
func AppendReceipt(dst []byte, r *Receipt) []byte {
	dst = AppendString(append(dst, `{"start":`...), r.Start)
	dst = strconv.AppendInt(append(dst, `,"queue_us":`...), r.Queue.Microseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"activate_us":`...), r.Activate.Microseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"ttft_us":`...), r.TTFT.Microseconds(), 10)
	if us := r.Wake.Microseconds(); us > 0 {
		dst = strconv.AppendInt(append(dst, `,"wake_us":`...), us, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"upstream_us":`...), r.Upstream.Microseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"billed_us":`...), r.Billed.Microseconds(), 10)
	dst = AppendString(append(dst, `,"cost_usd":`...), r.CostUSD)
	return append(dst, '}')
}

// appendHead appends the members before the value of choices.
func appendHead(dst []byte, h *Head) []byte {
	object := "chat.completion.chunk"
	if h.Endpoint == "completions" {
		object = "text_completion"
	}
	dst = AppendString(append(dst, `{"id":`...), h.ID)
	dst = append(append(append(dst, `,"object":"`...), object...), `","created":`...)
	dst = strconv.AppendInt(dst, h.Created, 10)
	dst = AppendString(append(dst, `,"model":`...), h.Model)
	return append(dst, `,"choices":`...)
}
