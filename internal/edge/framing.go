package edge

import (
	"errors"

	"github.com/valyala/fasthttp"
)

// What a chunked body may bring along that is no body, its sizes, extensions and trailers, in bytes: so many in any case, and so many for each byte of the
// body. fasthttp reads over an extension of any length, which no limit of bodies counts.
const (
	framingSpare = 64 << 10
	framingRatio = 16
)

var errFraming = errors.New("a chunked body is framed by far more than it has")

// framing counts what is read for a body whose length was not said.
type framing struct {
	counts    bool
	raw, body int  // bytes, as they come and of the body in them
	ended     bool // the body was read to its end, behind which no fields came
}

func (f *framing) excessive() bool { return f.counts && f.raw > framingSpare+(1+framingRatio)*f.body }

// noteBody says how many bytes of a body have come.
func (c *Conn) noteBody(n int) {
	if c != nil {
		c.framing.body = n
	}
}

// noteEnd says that a request's body was read to its end. Fields behind it are dropped, as RFC 9112 has it (section 7.1.2), but fasthttp takes lines there that it
// does not take in a head, such as those that end in a bare LF: who reads them otherwise sees the request's end elsewhere. Behind such a request none is read.
func (c *Conn) noteEnd(ctx *fasthttp.RequestCtx) {
	if c != nil {
		c.framing.ended = len(ctx.Request.Header.TrailerHeader()) <= len("\r\n")
	}
}

// endChunked sees that a connection ends with a request whose chunks were not read to an end that can be read in one way only.
func (c *Conn) endChunked(ctx *fasthttp.RequestCtx) {
	if c != nil && ctx.Request.Header.ContentLength() == -1 && !c.framing.ended {
		c.Linger()
		ctx.SetConnectionClose()
	}
}
