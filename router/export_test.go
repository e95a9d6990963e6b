package router

import (
	"encoding/json"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// CodeAnswer is how the map answers with one code.
type CodeAnswer struct {
	Code, Type string
	Status     int
	Header     map[string]string
}

// Codes answers once with every code of the map.
func Codes(wait time.Duration) (all []CodeAnswer) {
	for _, c := range codes {
		var ctx fasthttp.RequestCtx
		failf(c, "message").after(wait).writeTo(&ctx)
		a := CodeAnswer{Status: ctx.Response.StatusCode(), Header: map[string]string{}}
		for _, h := range []string{"Retry-After", "X-Should-Retry"} {
			a.Header[h] = string(ctx.Response.Header.Peek(h))
		}
		var body struct{ Error struct{ Code, Type string } }
		if err := json.Unmarshal(ctx.Response.Body(), &body); err != nil {
			panic(err)
		}
		a.Code, a.Type = body.Error.Code, body.Error.Type
		all = append(all, a)
	}
	return all
}

// AppendUSD gives an amount as headers show it.
func AppendUSD(n fleet.NanoUSD) string { return string(appendUSD(nil, n)) }

// ExchangeSize is the memory of one exchange, without what it points to.
const ExchangeSize = unsafe.Sizeof(exchange{})

// RetryAfter gives the header's value.
func RetryAfter(d time.Duration) string { return retryAfter(d) }

// Routes lists method and path of every route.
func (r *Router) Routes() (all []string) {
	for _, route := range r.app.GetRoutes(true) {
		all = append(all, route.Method+" "+route.Path)
	}
	return all
}

// Current gives the model that a request goes on with which was admitted for one model and has a lease for another of its ID.
func (r *Router) Current(was, leased *fleet.Model) *fleet.Model {
	return r.current(newModel(was, 0, r.metrics), leased).Model
}

// Reset gives a header's value.
func Reset(d time.Duration) string { return string(appendReset(nil, d)) }
