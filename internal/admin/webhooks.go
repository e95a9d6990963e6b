package admin

import (
	"bytes"
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

// Webhooks is what the admin API asks about webhooks.
type Webhooks interface {
	List() []webhook.Status
	Resume(ctx context.Context, name, from string) (webhook.Status, error)
}

func (s *Server) listWebhooks(c *fiber.Ctx) error {
	list := webhookList{Webhooks: []Webhook{}}
	if s.c.Webhooks != nil {
		list.Webhooks = each(s.c.Webhooks.List(), webhookView)
	}
	return c.JSON(list)
}

func (s *Server) resumeWebhook(c *fiber.Ctx) error {
	name, err := param(c)
	if err != nil {
		return err
	}
	var order resumeOrder
	if len(bytes.TrimSpace(c.Request().Body())) > 0 {
		if err := read(c, &order); err != nil {
			return err
		}
	}
	if s.c.Webhooks == nil {
		return openai.NewError(openai.CodeNotFound, webhook.ErrUnknown.Error())
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	status, err := s.c.Webhooks.Resume(ctx, name, order.From)
	if errors.Is(err, webhook.ErrUnknown) {
		return openai.NewError(openai.CodeNotFound, err.Error())
	}
	if err != nil {
		return err
	}
	s.c.Log.Info("a webhook is resumed", "webhook", name, "from", order.From)
	return c.JSON(webhookView(status))
}

func webhookView(s webhook.Status) Webhook {
	return Webhook{
		Name: s.Name, URL: s.URL, Format: s.Format, Events: s.Events, State: s.State, Reason: s.Reason, Since: at(s.Since), Failures: s.Failures,
	}
}
