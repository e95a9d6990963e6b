package admin

import (
	"crypto/tls"
	"errors"
	"log/slog"

	"github.com/VictoriaMetrics/metrics"
	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// StandbyConfig is what NewStandby needs.
type StandbyConfig struct {
	Admins  *access.Admins // who may ask
	Reason  func() error   // what the server waits for, for anybody to read
	Metrics []*metrics.Set // shown at /metrics before the process's own
	TLS     *tls.Config    // that callers have to speak; nil = none
	Log     *slog.Logger   // nil = discard
}

// NewStandby makes the admin API of a server that waits to lead: it answers that it lives, that it is not ready and why, and with its metrics.
// Everything else is overloaded, for the same reason. It starts nothing.
func NewStandby(c StandbyConfig) (*Server, error) {
	if c.Admins == nil {
		return nil, errors.New("admin: Admins is required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var answered []route
	for _, r := range routes {
		if r.roles != nil && r.path != "/metrics" {
			r.handle = (*Server).waits
		}
		answered = append(answered, r)
	}
	return newServer(Config{Admins: c.Admins, Ready: c.Reason, Metrics: c.Metrics, TLS: c.TLS, Log: c.Log}, answered), nil
}

func (s *Server) waits(*fiber.Ctx) error {
	return openai.NewError(openai.CodeOverloaded, "this server waits to lead: "+s.c.Ready().Error())
}
