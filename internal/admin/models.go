package admin

import (
	"bytes"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

func (s *Server) listModels(c *fiber.Ctx) error {
	return c.JSON(modelList{each(s.c.Fleet.Snapshot().Models, modelView)})
}

// model finds the model that the path names.
func (s *Server) model(c *fiber.Ctx) (*fleet.ModelStatus, error) {
	return s.modelIn(c, s.c.Fleet.Snapshot())
}

func (s *Server) modelIn(c *fiber.Ctx, now *fleet.Snapshot) (*fleet.ModelStatus, error) {
	id, err := param(c)
	if err != nil {
		return nil, err
	}
	for i := range now.Models {
		if now.Models[i].Model.ID == id {
			return &now.Models[i], nil
		}
	}
	return nil, openai.NewError(openai.CodeModelNotFound, "there is no model of this id; /api/models lists them all")
}

// showModel shows a model with its instances.
func (s *Server) showModel(c *fiber.Ctx) error {
	now := s.c.Fleet.Snapshot()
	m, err := s.modelIn(c, now)
	if err != nil {
		return err
	}
	view := modelView(*m)
	view.Live = s.instancesOf(now, m.Model)
	return c.JSON(view)
}

func (s *Server) explain(c *fiber.Ctx) error {
	m, err := s.model(c)
	if err != nil {
		return err
	}
	e, err := s.c.Fleet.Explain(m.Model.ID)
	if err != nil {
		return err
	}
	return c.JSON(explanationView(m.Model.ID, e, time.Now()))
}

// hold is the body of POST /api/models/{id}/start; it may be left out.
type hold struct {
	For string `json:"for,omitempty"`
}

func (s *Server) startModel(c *fiber.Ctx) error {
	m, err := s.model(c)
	if err != nil {
		return err
	}
	var h hold
	if len(bytes.TrimSpace(c.Request().Body())) > 0 {
		if err := read(c, &h); err != nil {
			return err
		}
	}
	span := m.Model.IdleAfter
	if h.For != "" {
		span, err = fleet.ParseDuration(h.For)
		switch {
		case err != nil:
			return edge.Invalid("for", "%s", err)
		case span == 0:
			return edge.Invalid("for", "must be longer than %s", h.For)
		}
	}
	act(c).Changes(nil, map[string]any{"held_hot_for": fleet.FormatDuration(span)})
	if err := s.c.Fleet.Hold(m.Model.ID, span); err != nil {
		return err
	}
	return s.accepted(c, "model held hot", "for", span)
}

func (s *Server) stopModel(c *fiber.Ctx) error {
	m, err := s.model(c)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(c.Request().Body())) > 0 {
		if err := read(c, &struct{}{}); err != nil {
			return err
		}
	}
	act(c).Changes(map[string]any{"state": m.State, "hot": m.Hot}, map[string]any{"state": "stopped", "hot": 0})
	if err := s.c.Fleet.StopModel(m.Model.ID); err != nil {
		return err
	}
	return s.accepted(c, "model stopped")
}

// accepted answers with the model as it stands now: what was asked for has begun, and is not finished.
func (s *Server) accepted(c *fiber.Ctx, what string, args ...any) error {
	m, err := s.model(c)
	if err != nil {
		return err
	}
	s.c.Log.Info(what, append([]any{"model", m.Model.ID}, args...)...)
	return c.Status(fiber.StatusAccepted).JSON(modelView(*m))
}

func (s *Server) listActivations(c *fiber.Ctx) error {
	return c.JSON(activationList{each(s.c.Fleet.Snapshot().Activations, activationView)})
}
