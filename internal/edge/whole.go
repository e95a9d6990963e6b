package edge

import "github.com/valyala/fasthttp"

// Whole gives a handler whose requests have their body in memory, of at most u.Limit bytes, until next returns.
func (u Upload) Whole(next fasthttp.RequestHandler, refuse func(*fasthttp.RequestCtx, *Refusal)) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if ctx.IsGet() || ctx.IsHead() {
			next(ctx)
			return
		}
		var body Body
		if refusal := u.Read(ctx, &body); refusal != nil {
			refuse(ctx, refusal)
			return
		}
		defer body.Free()
		defer ctx.Request.ResetBody() // before its memory is given back
		ctx.Request.SetBodyRaw(body.B)
		next(ctx)
	}
}
