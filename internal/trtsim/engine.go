package trtsim

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// ErrDied is returned by Run and Serve after an injected death of the engine.
var ErrDied = errors.New("the simulated engine died")

// ErrLoad is wrapped by the errors of Load.
var ErrLoad = errors.New("loading the simulated engine failed")

// Engine is one simulated engine. Its methods may be called from any goroutine, Load and Run once each.
type Engine struct{ cfg Config }

// New checks the config and makes an engine that is not loaded. It starts nothing.
func New(c Config) (*Engine, error) {
	c, err := c.withDefaults()
	return &Engine{cfg: c}, err
}

// Load takes as long as loading the model does. Until it has returned nil, every request's connection is cut unanswered,
// as nearly as a handler can to the refused connections of the real server.
func (e *Engine) Load(ctx context.Context) error { panic("unfinished") }

// Run is the batching loop: without it, requests wait. It returns when ctx ends, cutting what is in flight, or ErrDied.
func (e *Engine) Run(ctx context.Context) error { panic("unfinished") }

// Serve loads the engine, then runs it behind ln until ctx ends; then it drains without limit and returns nil. Connections
// made before the load is over wait in ln. It closes ln.
func (e *Engine) Serve(ctx context.Context, ln net.Listener) error { panic("unfinished") }

// ServeHTTP answers one request as trtllm-serve would.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("unfinished") }
