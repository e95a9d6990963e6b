package edge

import (
	"bytes"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Guard is what stands before every handler of a server. Refuse is required.
type Guard struct {
	Methods []string                             // that any path takes
	Prepare func(*fasthttp.RequestCtx)           // readies every answer, a refusal too; nil = there is nothing to ready
	Refuse  func(*fasthttp.RequestCtx, *Refusal) // answers
	Log     *slog.Logger                         // nil = discard
}

// Handler gives the whole handler of a server. A panic ends one request only.
func (g Guard) Handler(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	if g.Log == nil {
		g.Log = slog.New(slog.DiscardHandler)
	}
	return func(ctx *fasthttp.RequestCtx) {
		c := Of(ctx)
		if c != nil && !c.begin() {
			ctx.SetConnectionClose() // it is closed already
			return
		}
		defer func() {
			if p := recover(); p != nil {
				g.Log.Error("handling a request panicked", "reason", p, "stack", string(debug.Stack()))
				g.Refuse(ctx, refuse(openai.CodeOverloaded, "The server failed at this request.").closing())
			}
		}()
		if g.Prepare != nil {
			g.Prepare(ctx)
		}
		switch {
		case !strict(ctx.Request.Header.RawHeaders()), c != nil && c.line.stage == lineBare, !bytes.HasPrefix(ctx.Request.Header.Protocol(), []byte("HTTP/1.")):
			g.Refuse(ctx, ProtocolRefusal(http.StatusBadRequest))
		case !ctx.IsPost() && !ctx.IsGet() && !slices.Contains(g.Methods, string(ctx.Method())):
			ctx.Response.Header.Set("Allow", "GET, HEAD, POST, OPTIONS")
			g.Refuse(ctx, ProtocolRefusal(http.StatusMethodNotAllowed))
		default:
			next(ctx)
			c.endChunked(ctx)
		}
	}
}
