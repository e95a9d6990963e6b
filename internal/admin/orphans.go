package admin

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Orphans is what the admin API asks about what runs and is in nobody's care.
type Orphans interface {
	Orphans(ctx context.Context) ([]fleet.Orphan, error)
	StopOrphan(ctx context.Context, id, cluster string) (fleet.Orphan, error) // cluster: of one that is of another cluster
}

func (s *Server) listOrphans(c *fiber.Ctx) error {
	if s.c.Orphans == nil {
		return c.JSON(orphanList{Orphans: []Orphan{}})
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	orphans, err := s.c.Orphans.Orphans(ctx)
	if err != nil {
		return orphanError(err)
	}
	return c.JSON(orphanList{each(orphans, orphanView)})
}

func (s *Server) stopOrphan(c *fiber.Ctx) error {
	id, err := param(c)
	if err != nil {
		return err
	}
	values := query(c)
	if s.c.Orphans == nil {
		return openai.NewError(openai.CodeNotFound, fleet.ErrNoOrphan.Error())
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	o, err := s.c.Orphans.StopOrphan(ctx, id, values["cluster"])
	if err != nil {
		return orphanError(err)
	}
	act(c).Changes(map[string]any{"cluster": o.Cluster, "model": o.Model, "node": o.Node, "why": o.Why}, nil)
	s.c.Log.Info("orphan stopped", "job", o.ID, "cluster", o.Cluster)
	return c.JSON(orphanView(o))
}

// orphanError answers what a back end says about orphans.
func orphanError(err error) error {
	switch {
	case errors.Is(err, fleet.ErrNoOrphan):
		return openai.NewError(openai.CodeNotFound, err.Error())
	case errors.Is(err, fleet.ErrOtherCluster):
		return edge.Invalid("cluster", "%s", err)
	case errors.Is(err, fleet.ErrCared):
		return edge.Invalid("id", "%s", err)
	case errors.Is(err, fleet.ErrUnreachable), errors.Is(err, fleet.ErrDenied):
		return openai.NewError(openai.CodeOverloaded, err.Error())
	}
	return err
}

func orphanView(o fleet.Orphan) Orphan {
	return Orphan{
		ID: o.ID, Kind: o.Kind, Why: o.Why, Cluster: o.Cluster, Model: o.Model, Pool: o.Pool, Node: o.Node, GPUs: o.GPUs, Since: Time{Time: o.Since},
	}
}
