package router

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

var (
	headerTraceparent = []byte("Traceparent")
	headerTracestate  = []byte("Tracestate")
)

// traceContext is the W3C trace context of a request as header lines for its engine, with which a caller finds what became of it there; nil = it has brought none.
// It is the only thing of a caller's head that reaches an engine, so it is read strictly, and what is not as it should be is dropped.
type traceContext []byte

const (
	traceparentSize  = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	traceparentStart = len("traceparent: ")
	tracestateMost   = 512
)

// read keeps the memory of c.
func (c *traceContext) read(h *fasthttp.RequestHeader) {
	*c = (*c)[:0]
	parent := h.PeekCanonical(headerTraceparent)
	if len(parent) == 0 || !validTraceparent(parent) {
		return
	}
	*c = append(append(append(*c, "traceparent: 00"...), parent[2:traceparentSize]...), "\r\n"...)
	state := h.PeekAll(string(headerTracestate))
	joined := bytes.Join(state, []byte{','})
	if len(joined) == 0 || len(joined) > tracestateMost || !printable(joined) {
		return
	}
	*c = append(append(append(*c, "tracestate: "...), joined...), "\r\n"...)
}

// id is the trace's, in hexadecimal; "" = there is none.
func (c traceContext) id() string {
	if len(c) == 0 {
		return ""
	}
	return string(c[traceparentStart+3 : traceparentStart+35])
}

// parent gives traceparent and tracestate; both are empty where there is none.
func (c traceContext) parent() (parent, state string) {
	if len(c) == 0 {
		return "", ""
	}
	rest := c[traceparentStart:]
	end := bytes.IndexByte(rest, '\r')
	parent = string(rest[:end])
	if rest = rest[end+2:]; len(rest) > 0 {
		state = string(rest[len("tracestate: ") : len(rest)-2])
	}
	return parent, state
}

// validTraceparent holds a value to the W3C's Trace Context: version, trace, parent and flags in lower-case hexadecimal, trace and parent not zero. A version
// above 00 may have more behind them, which nobody here knows.
func validTraceparent(v []byte) bool {
	if len(v) < traceparentSize || v[2] != '-' || v[35] != '-' || v[52] != '-' || string(v[:2]) == "ff" {
		return false
	}
	if len(v) > traceparentSize && (string(v[:2]) == "00" || v[traceparentSize] != '-') {
		return false
	}
	for i, c := range v[:traceparentSize] {
		if i != 2 && i != 35 && i != 52 && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return !zeros(v[3:35]) && !zeros(v[36:52])
}

func zeros(v []byte) bool { return len(bytes.Trim(v, "0")) == 0 }

func printable(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
