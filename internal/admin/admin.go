// Package admin is the admin API: what operators and the command line ask of a running server, over HTTP with one admin
// token, and the typed client of it.
//
// It promises that every answer fits the OpenAPI document that it serves, that a body with an unknown field changes
// nothing, and that a caller without the token learns nothing but whether the server is alive and ready. It never decides
// about instances, orgs or money: it asks the fleet, the tenants and the ledger, and shows what they say.
package admin

import (
	"context"
	_ "embed"
	"log/slog"
	"net"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// OpenAPI is the OpenAPI 3.1 document of the public API and of the admin API, served at /openapi.json by both.
//
//go:embed openapi.json
var OpenAPI []byte

// MinToken is the least length of an admin token, in characters.
const MinToken = 24

// Fleet is what the admin API asks of the activator.
type Fleet interface {
	Snapshot() *fleet.Snapshot
	Explain(model string) (fleet.Explanation, error)
	Hold(model string, d time.Duration) error
	StopModel(model string) error
	Follow(ctx context.Context, after uint64, f func(fleet.Notice) error) error
}

// Config is what New needs.
type Config struct {
	Fleet     Fleet
	Tenants   *tenant.Tenants
	Ledger    *ledger.Ledger
	Token     string         // the admin token; at least MinToken characters
	Metrics   []*metrics.Set // shown at /metrics after the process's own; may be empty
	Ready     func() error   // why /readyz must not say 200 yet; nil = always ready
	Heartbeat time.Duration  // between comments on a silent event stream; 0 = 15 s
	Log       *slog.Logger   // nil = discard
}

// Server is the admin API. It is safe for concurrent use.
type Server struct{ c Config }

// New checks the config. It starts nothing.
func New(c Config) (*Server, error) { panic("unfinished") }

// Serve answers on ln until ctx is done, then ends event streams, lets other requests finish for a few seconds, and
// returns nil. On a loopback listener it answers only requests whose Host is a loopback name or address.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { panic("unfinished") }
