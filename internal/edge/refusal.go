package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Refusal is why the edge refuses a request. It is not shared between requests.
type Refusal struct {
	Answer *openai.Error
	Close  bool          // what is left on the connection cannot be the next request
	After  time.Duration // after which another try may help; 0 = nothing is known
	Cause  error         // for the log; nil = the answer says all
}

func (r *Refusal) Error() string { return r.Answer.Error() }

func (r *Refusal) Unwrap() error { return r.Cause }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Answer: openai.NewError(code, fmt.Sprintf(format, args...))}
}

func (r *Refusal) closing() *Refusal {
	r.Close = true
	return r
}

// ProtocolRefusal words the errors of fiber and fasthttp by their status: their own words name our internals.
func ProtocolRefusal(status int) *Refusal {
	switch status {
	case http.StatusNotFound:
		return refuse(openai.CodeNotFound, "There is nothing at this path.")
	case http.StatusMethodNotAllowed:
		return refuse(openai.CodeMethodNotAllowed, "This path does not take this method.")
	case http.StatusRequestTimeout:
		return refuse(openai.CodeRequestTimeout, "The request did not arrive in time.").closing()
	case http.StatusRequestEntityTooLarge:
		return refuse(openai.CodeRequestTooLarge, "The request body is too large.").closing()
	case http.StatusRequestHeaderFieldsTooLarge:
		return refuse(openai.CodeHeadersTooLarge, "The request's headers have more than %d bytes.", HeadLimit).closing()
	}
	return refuse(openai.CodeInvalidRequest, "The request is not valid HTTP/1.1.").closing()
}

// Broken gives the refusal of a request that fasthttp could not take: what cannot be parsed, is too large or too slow.
func Broken(err error) *Refusal {
	status := http.StatusBadRequest
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.As(err, &small):
		status = http.StatusRequestHeaderFieldsTooLarge
	case isTimeout(err):
		status = http.StatusRequestTimeout
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status = http.StatusRequestEntityTooLarge
	}
	return ProtocolRefusal(status)
}

const (
	discardLimit    = 64 << 20
	discardPatience = 10 * time.Second
)

// EndRefused readies a connection for the answer of a refused request, and reports whether it has to be closed behind it. What is left of
// the body is read first, within bounds, because a caller that is still sending would see a reset instead of the answer.
func EndRefused(ctx *fasthttp.RequestCtx, closing bool) bool {
	c := Of(ctx)
	if c == nil {
		return closing
	}
	if !closing && !discard(ctx, c) {
		closing = true
	}
	if closing {
		c.Linger()
	}
	return closing
}

// discard reads what is left of a body, and reports whether the connection is at the start of the next request.
func discard(ctx *fasthttp.RequestCtx, c *Conn) bool {
	stream := ctx.Request.BodyStream()
	if stream == nil {
		return true
	}
	if ctx.Request.Header.ContentLength() > discardLimit {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(discardPatience))
	n, err := io.Copy(io.Discard, io.LimitReader(stream, discardLimit))
	if err != nil || n == discardLimit {
		return false
	}
	c.noteEnd(ctx)
	return true
}
