package router

import (
	"slices"

	"github.com/valyala/fasthttp"
)

// What pages of a listed origin may read of an answer, beside its body. X-Stainless and the like need no place: they are of requests.
const exposedHeaders = "X-Request-Id, Server-Timing, Retry-After, X-Should-Retry, X-Pilotlight-Start, X-Pilotlight-Instance, X-Pilotlight-Billed-Ms, " +
	"X-Pilotlight-Cost-Usd, X-Pilotlight-Budget-Left-Usd, X-Ratelimit-Limit-Requests, X-Ratelimit-Remaining-Requests, X-Ratelimit-Reset-Requests, " +
	"Request-Id, Anthropic-Ratelimit-Requests-Limit, Anthropic-Ratelimit-Requests-Remaining, Anthropic-Ratelimit-Requests-Reset"

// preflightAge is for how many seconds a browser may keep the answer to a preflight: the longest that any of them does.
const preflightAge = "7200"

// share lets pages of the listed origins read the answer: errors too, so that a page learns why. Tokens are sent in a header, never
// as cookies, so credentials are not allowed, and "*" gives a page nothing that it has no token for.
func (r *Router) share(ctx *fasthttp.RequestCtx) {
	origins := r.c.CORSOrigins
	if len(origins) == 0 {
		return
	}
	h := &ctx.Response.Header
	allowed := "*"
	if !slices.Contains(origins, "*") {
		h.Set("Vary", "Origin")
		allowed = string(ctx.Request.Header.Peek("Origin"))
		if !slices.Contains(origins, allowed) {
			return
		}
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	if !ctx.IsOptions() {
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
		return
	}
	h.Set("Access-Control-Max-Age", preflightAge)
	if asked := ctx.Request.Header.Peek("Access-Control-Request-Headers"); len(asked) > 0 {
		h.SetBytesV("Access-Control-Allow-Headers", asked) // SDKs bring some of their own
	}
}
