package edge

import "github.com/valyala/fasthttp"

// HeaderRequestID is the canonical name of the header by which callers name their requests.
var HeaderRequestID = []byte("X-Request-Id")

// RequestID keeps the caller's word where it is visible, else makes one.
func RequestID(ctx *fasthttp.RequestCtx, make func() string) string {
	if id := ctx.Request.Header.PeekCanonical(HeaderRequestID); Visible(id) {
		return string(id)
	}
	return make()
}

// Visible reports whether a word is 1 to 128 visible ASCII characters.
func Visible(id []byte) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
