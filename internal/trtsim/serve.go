package trtsim

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// keepAlive is how long the real server keeps an idle connection. It is a protocol constant: the speed does not touch it.
const keepAlive = 5 * time.Second

// handlers counts requests being answered.
type handlers struct {
	mu   sync.Mutex // guards the rest
	n    int
	zero chan struct{} // closed when n falls to 0; nil = nobody waits
}

func (h *handlers) enter() {
	h.mu.Lock()
	h.n++
	h.mu.Unlock()
}

func (h *handlers) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n--; h.n == 0 && h.zero != nil {
		close(h.zero)
		h.zero = nil
	}
}

// none is closed once no request is being answered.
func (h *handlers) none() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.zero == nil {
		h.zero = make(chan struct{})
	}
	zero := h.zero
	if h.n == 0 {
		close(h.zero)
		h.zero = nil
	}
	return zero
}

// Serve loads the engine, unless it is loaded, then runs it behind ln until ctx ends; then it accepts nothing more, waits without a limit for
// the requests in flight, and returns nil. ErrDied and ErrInterrupted say that the engine ended by itself. Connections made before
// the load is over wait in ln: to refuse them, listen after Load. It closes ln.
func (e *Engine) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	if !e.loaded.Load() {
		if err := e.Load(ctx); err != nil {
			return err
		}
	}
	server := &http.Server{Handler: e, IdleTimeout: keepAlive, ErrorLog: log.New(io.Discard, "", 0)}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return e.Run(work) })
	g.Go(func() error {
		_ = server.Serve(ln) // ends by the closing of ln below
		return nil
	})
	g.Go(func() error {
		defer stop()
		return e.untilOver(ctx, server, ln)
	})
	return g.Wait()
}

// untilOver waits for the end and shuts the server down: at once where the engine has died, else when it has drained.
func (e *Engine) untilOver(ctx context.Context, server *http.Server, ln net.Listener) (cause error) {
	select {
	case <-ctx.Done():
	case <-e.interrupt:
		cause = ErrInterrupted
	case <-e.dead:
	}
	_ = ln.Close()
	server.SetKeepAlivesEnabled(false)
	select {
	case <-e.handlers.none():
	case <-e.dead:
		_ = server.Close()
		<-e.handlers.none()
		return cause
	}
	// What a handler wrote last may still be on its way out, and a connection may hold a request not yet read.
	brief, cancel := context.WithTimeout(context.Background(), 200*ms)
	defer cancel()
	if server.Shutdown(brief) != nil {
		_ = server.Close()
	}
	return cause
}
