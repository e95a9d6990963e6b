package router

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// code is one row of the error map: what a caller's program may branch on. Status and type belong to the name and are
// openai's, so that the admin API says the same.
type code struct {
	name   string
	status int
	retry  retry
}

func row(name string, r retry) *code {
	return &code{name: name, status: openai.NewError(name, "").Status, retry: r}
}

// retry says whether sending the request again can help. It decides Retry-After and x-should-retry.
type retry uint8

const (
	retrySilent   retry = iota // stock clients know by the status what to do
	retryLater                 // with Retry-After: the estimate, at most 120 s, above which stock clients give up
	retryHopeless              // with x-should-retry: false
)

// The error map.
var (
	codeInvalidRequest      = row(openai.CodeInvalidRequest, retrySilent)
	codeContextLength       = row(openai.CodeContextLength, retrySilent)
	codeMethodNotAllowed    = row(openai.CodeMethodNotAllowed, retrySilent)
	codeRequestTimeout      = row(openai.CodeRequestTimeout, retrySilent)
	codeRequestTooLarge     = row(openai.CodeRequestTooLarge, retrySilent)
	codeUnsupportedEncoding = row(openai.CodeUnsupportedEncoding, retrySilent)
	codeHeadersTooLarge     = row(openai.CodeHeadersTooLarge, retrySilent)
	codeHTTPVersion         = row(openai.CodeHTTPVersion, retryHopeless)

	codeInvalidAPIKey       = row(openai.CodeInvalidAPIKey, retrySilent)
	codePermissionDenied    = row(openai.CodePermissionDenied, retrySilent)
	codeModelNotFound       = row(openai.CodeModelNotFound, retrySilent)
	codeUnsupportedEndpoint = row(openai.CodeUnsupportedEndpoint, retrySilent)
	codeNotFound            = row(openai.CodeNotFound, retrySilent)

	codeRateLimit        = row(openai.CodeRateLimit, retryLater)
	codeConcurrencyLimit = row(openai.CodeConcurrencyLimit, retryLater)
	codeQueueFull        = row(openai.CodeQueueFull, retryLater)
	codeBudgetExceeded   = row(openai.CodeBudgetExceeded, retryHopeless)

	codeEngineError       = row(openai.CodeEngineError, retrySilent)
	codeUpstreamTimeout   = row(openai.CodeUpstreamTimeout, retrySilent)
	codeNoCapacity        = row(openai.CodeNoCapacity, retryLater)
	codeActivationFailed  = row(openai.CodeActivationFailed, retryLater)
	codeActivationTimeout = row(openai.CodeActivationTimeout, retryLater)
	codeNotHot            = row(openai.CodeNotHot, retryLater)
	codeOverloaded        = row(openai.CodeOverloaded, retryLater)
	codeShuttingDown      = row(openai.CodeShuttingDown, retryLater)
)

// codes is the whole map.
var codes = []*code{
	codeInvalidRequest, codeContextLength, codeMethodNotAllowed, codeRequestTimeout, codeRequestTooLarge, codeUnsupportedEncoding,
	codeHeadersTooLarge, codeHTTPVersion, codeInvalidAPIKey, codePermissionDenied, codeModelNotFound,
	codeUnsupportedEndpoint, codeNotFound, codeRateLimit, codeConcurrencyLimit, codeQueueFull, codeBudgetExceeded,
	codeEngineError, codeUpstreamTimeout, codeNoCapacity, codeActivationFailed, codeActivationTimeout, codeNotHot,
	codeOverloaded, codeShuttingDown,
}

// statusClientGone counts requests whose caller left before the end of an answer, as nginx does. Nobody is there to see it.
const statusClientGone = 499

// codeClientGone is no row of the map: it is never said.
var codeClientGone = &code{name: "client_gone", status: statusClientGone}

// Causes with which a request is ended from another goroutine.
var (
	errClientGone = edge.ErrGone
	errReclaimed  = errors.New("the memory of the request was needed for an organisation that is within its share")
	errDrained    = errors.New("the server has shut down before the request was done")
)

// failure is an answer that is an error. It is not shared between requests.
type failure struct {
	code     *code
	message  string
	param    string // the field or header at fault
	wait     time.Duration
	hopeless bool  // a retry cannot help, whatever the code says
	close    bool  // what is left on the connection cannot be the next request
	cause    error // for the log
}

// waits for codes that are to name one although none is known.
const (
	shortWait = time.Second
	longWait  = 120 * time.Second
)

func failf(c *code, format string, args ...any) *failure {
	f := &failure{code: c, message: fmt.Sprintf(format, args...), wait: shortWait}
	if c == codeShuttingDown {
		f.wait = 5 * time.Second // until another server has taken over
	}
	return f
}

// after says when a retry may help.
func (f *failure) after(d time.Duration) *failure {
	f.wait = d
	return f
}

// at names the field or header at fault.
func (f *failure) at(param string) *failure {
	f.param = param
	return f
}

// closing ends the connection after the answer.
func (f *failure) closing() *failure {
	f.close = true
	return f
}

// because keeps what happened, for operators only.
func (f *failure) because(err error) *failure {
	f.cause = err
	return f
}

func (f *failure) wire() *openai.Error {
	e := openai.NewError(f.code.name, f.message)
	if f.param != "" {
		e.Param = &f.param
	}
	return e
}

// writeTo makes the failure the whole response.
func (f *failure) writeTo(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	ctx.Response.ResetBody()
	ctx.SetStatusCode(f.code.status)
	h.SetContentType("application/json")
	ctx.Response.AppendBody(endpointOf(ctx).appendError(nil, f.wire(), string(h.PeekCanonical(headerRequestID))))
	if f.hopeless || f.code.retry == retryHopeless || f.code.retry == retryLater && f.wait == 0 {
		h.Set("X-Should-Retry", "false")
	}
	if f.code.retry == retryLater {
		h.Set("Retry-After", retryAfter(f.wait))
	}
	if f.code == codeInvalidAPIKey {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if f.close {
		ctx.SetConnectionClose()
	}
}

// retryAfter gives whole seconds from 1 to 120. Where a retry cannot help, the longest.
func retryAfter(d time.Duration) string {
	if d <= 0 || d > longWait {
		d = longWait
	}
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// admissionFailure maps why the activator gave no lease.
func admissionFailure(err error, modelID string) *failure {
	f := &failure{message: err.Error(), wait: shortWait, cause: err}
	var refusal *activator.Refusal
	if errors.As(err, &refusal) {
		f.wait = refusal.RetryAfter
		// Who takes only a hot model starts none: unless one is on its way, the same request fares no better later, and a
		// stock client would keep its caller waiting for that.
		f.hopeless = errors.Is(err, activator.ErrEnded) ||
			errors.Is(err, activator.ErrNotHot) && (refusal.Outlook.Answer == "" || refusal.Outlook.Answer == fleet.NeverFits)
	}
	for _, row := range admissionCodes {
		if errors.Is(err, row.err) {
			f.code = row.code
			f.message = fmt.Sprintf("%s (model %q).", upperFirst(err.Error()), modelID)
			return f
		}
	}
	f.code, f.message = codeOverloaded, "The request could not be admitted."
	return f
}

var admissionCodes = []struct {
	err  error
	code *code
}{
	{activator.ErrUnknownModel, codeModelNotFound},
	{activator.ErrQueueFull, codeQueueFull},
	{activator.ErrOrgQueueFull, codeQueueFull},
	{activator.ErrNotHot, codeNotHot},
	{activator.ErrNoCapacity, codeNoCapacity},
	{activator.ErrActivationFailed, codeActivationFailed},
	{activator.ErrActivationTimeout, codeActivationTimeout},
	{activator.ErrEnded, codeOverloaded},
	{activator.ErrShuttingDown, codeShuttingDown},
}

// tokenFailure maps why a token gave no grant. A caller learns that its token does not work, and why only where that is
// no help to a guesser.
func tokenFailure(err error) *failure {
	switch {
	case errors.Is(err, tenant.ErrOrgSuspended):
		return failf(codePermissionDenied, "The organisation of this token is suspended.").because(err)
	case errors.Is(err, tenant.ErrExpired):
		return failf(codeInvalidAPIKey, "The token has expired.").because(err)
	case errors.Is(err, tenant.ErrRevoked):
		return failf(codeInvalidAPIKey, "The token was revoked.").because(err)
	case errors.Is(err, tenant.ErrUnheard):
		return failf(codeOverloaded, "Tokens cannot be checked at the moment. Please retry.").because(err)
	}
	return failf(codeInvalidAPIKey, "The token is not valid. Send it as \"Authorization: Bearer pl_…\".").because(err)
}

// refusalFailure is what the edge has refused.
func refusalFailure(r *edge.Refusal) *failure {
	f := &failure{code: codeOf(r.Answer.Code), message: r.Answer.Message, wait: r.After, close: r.Close, cause: r.Cause}
	if r.Answer.Param != nil {
		f.param = *r.Answer.Param
	}
	if f.wait == 0 {
		f.wait = shortWait
	}
	return f
}

func codeOf(name string) *code {
	for _, c := range codes {
		if c.name == name {
			return c
		}
	}
	return codeOverloaded
}

func upperFirst(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
