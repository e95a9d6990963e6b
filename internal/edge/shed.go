package edge

import (
	"slices"

	"github.com/valyala/fasthttp"
)

// noteTaken notes how many bytes a request has that was read whole, where its body's length was said: its head has at least so many.
func (c *Conn) noteTaken(ctx *fasthttp.RequestCtx, body int) {
	if c == nil || body < 0 {
		return
	}
	h := &ctx.Request.Header
	c.taken = len(h.Method()) + len(" ") + len(h.RequestURI()) + len(" HTTP/1.1\r\n") + len(h.RawHeaders()) + body
}

// Shed gives the memory of the reader's buffer back to the system, for a request that is going to wait, and reports whether it has done so: it is
// not done where the buffer may hold bytes of another request. fasthttp keeps nothing in it of a request that was read, and the next read gets memory
// anew. It is for the connection's own goroutine, once the body was read.
func (c *Conn) Shed() bool {
	l := &c.line
	// The line began an empty buffer, and no byte was read but the request's.
	if c.taken == 0 || l.stage != lineWhole || l.got != c.taken || c.peek != nil {
		return false
	}
	return giveBackPages(slices.Clip(l.buffer))
}
