// Package admin is the admin API: what operators and the command line ask of a running server, over HTTP with an admin
// token, and the typed client of it.
//
// It promises that every answer fits the OpenAPI document that it serves, that a body with an unknown field changes
// nothing, and that a caller without the token learns nothing but whether the server is alive and ready. It never decides
// about instances, orgs or money: it asks the fleet, the tenants and the ledger, and shows what they say.
package admin

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Tuner is what the admin API asks about the settings of pools.
type Tuner interface {
	Tuned(pool string) []Tuned                                              // what of a pool beats the config
	Tune(ctx context.Context, pool string, changes map[string]string) error // all of them or none; an empty text resets
}

// Config is what New needs.
type Config struct {
	Fleet    fleet.Control
	Tuner    Tuner
	WhatIf   Foreteller // nil = nothing is foretold
	Config   Configurer
	Orphans  Orphans // nil = the back end has none
	Tenants  *tenant.Tenants
	Ledger   *ledger.Ledger
	Audit    *audit.Log          // of what operators change
	Webhooks Webhooks            // nil = there are none
	Servers  func() []ServerInfo // the servers of the cluster; nil = none are known
	// Leader has the server that leads answer what only that one can. It gives nil where this server leads. nil = this server answers all.
	Leader   func(ctx context.Context, c Call) (*Reply, error)
	Accounts *account.Accounts // that bodies are charged to, as callers' are; nil = none
	Admins   *access.Admins    // who may ask, and for what
	// MaxConnections bounds the connections of operators; 0 = 512.
	MaxConnections int
	Metrics        []*metrics.Set                      // shown at /metrics before the process's own; may be empty
	JobName        func(model, instance string) string // the back end's job of a dedicated instance; nil = the back end has none
	Ready          func() error                        // why /readyz must not say 200 yet; nil = always ready
	Degraded       func() []string                     // what is lacking of a server that is ready, for anybody to read; nil = nothing ever is
	Console        fasthttp.RequestHandler             // answers what is not the API's; it signs its visitors in by itself. nil = there is none
	Errors         func(error) *openai.Error           // how an error of Fleet, Tuner or Config is answered; nil, or a nil answer = internal_error
	TLS            *tls.Config                         // that callers have to speak; nil = none
	Heartbeat      time.Duration                       // between comments on a silent event stream; 0 = 15 s
	Log            *slog.Logger                        // nil = discard
}

// Server is the admin API. It is safe for concurrent use.
type Server struct {
	c       Config
	life    string // tells the event IDs of this server's life from those of others
	app     *fiber.App
	conns   *edge.Connections
	meters  *metrics.Set   // of the listener
	streams sync.WaitGroup // what event streams have running

	// Set once, by Serve.
	ctx      context.Context // done = end event streams
	loopback bool            // answer only to loopback names
}

const (
	bodyLimit   = 1 << 20
	configLimit = 16 << 20 // of a config file, which may name thousands of models, or an import of as many organisations
	headTimeout = 15 * time.Second
	askTimeout  = 30 * time.Second // of what a request asks of the store
	lastWords   = 5 * time.Second  // that requests have to finish once Serve is to end
)

// New checks the config. It starts nothing.
func New(c Config) (*Server, error) {
	if c.Fleet == nil || c.Tuner == nil || c.Config == nil || c.Tenants == nil || c.Ledger == nil || c.Audit == nil || c.Admins == nil {
		return nil, errors.New("admin: Fleet, Tuner, Config, Tenants, Ledger, Audit and Admins are required")
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return newServer(c, routes), nil
}

// newServer makes a server with these of the routes.
func newServer(c Config, routes []route) *Server {
	if c.MaxConnections == 0 {
		c.MaxConnections = 512
	}
	s := &Server{c: c, life: rand.Text()[:8], meters: metrics.NewSet(), ctx: context.Background()}
	s.conns = edge.New(edge.Config{Listener: "admin", Max: c.MaxConnections, TLS: c.TLS, Metrics: s.meters, Log: c.Log})
	s.app = s.newApp(routes)
	return s
}

// Serve answers on ln, which it closes, until ctx is done; it then ends event streams, lets other requests finish for a
// few seconds, and returns nil. On a loopback listener it answers only requests whose Host is a loopback name or address.
// It may be called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.ctx = ctx
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
		s.loopback = tcp.IP.IsLoopback()
	}
	var g errgroup.Group
	g.Go(func() error {
		defer cancel(errServeEnded)
		err := s.app.Listener(s.conns.Listen(ctx, ln))
		if ctx.Err() != nil {
			return nil // closed by us
		}
		return fmt.Errorf("serving the admin API: %w", err)
	})
	g.Go(func() error {
		<-ctx.Done()
		if err := s.app.ShutdownWithTimeout(lastWords); err != nil {
			s.c.Log.Warn("admin requests were cut off at shutdown", "reason", err)
			s.conns.Each(func(c *edge.Conn) { c.Cut() })
		}
		_ = ln.Close() // Shutdown closes no listener that the app has not begun to serve
		s.streams.Wait()
		s.conns.Stop()
		return nil
	})
	return g.Wait()
}

var errServeEnded = errors.New("the admin listener has ended")
