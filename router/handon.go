package router

import (
	"net"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// HandOn gives this server's place to another process, which accepts from the same listener by now: it accepts no more, and gives each connection to pass when
// its request has been answered, those without one at once. Requests go on until Serve is told to end. pass is called from many goroutines, and reports whether it
// has taken the connection. A connection with TLS cannot be handed on: its next answer closes it.
func (r *Router) HandOn(pass func(net.Conn) bool) {
	r.handed.Store(true)
	r.leaving.Store(true)
	r.accepting.end()
	r.conns.Retire(pass)
}

// Adopt serves a connection that another process has accepted. It may be called until Serve returns, and does not block.
func (r *Router) Adopt(c net.Conn) {
	r.adopted.Go(func() {
		if ours := r.conns.Accept(c); ours != nil {
			_ = r.app.Server().ServeConn(ours) // its errors are the caller's
		}
	})
}

// closing tells callers where an answer is the last of its connection.
func (r *Router) closing(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		if r.leaving.Load() && (r.draining.Load() || edge.Secure(ctx)) {
			ctx.SetConnectionClose()
		}
	}
}
