package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// chat hands a chat of the playground to the public API, with the token of the visitor, and its answer back as it comes.
func (v *visit) chat() error {
	if v.grant == nil {
		return v.chatRefused(http.StatusForbidden, "No token pays for this chat. Give one first.")
	}
	body := v.Body()
	if !json.Valid(body) {
		return v.chatRefused(http.StatusBadRequest, "The chat is no JSON.")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	call := &chat{conn: edge.Of(v.Context()), cancel: cancel}
	if call.conn != nil {
		call.conn.Arm(call)
	}
	answer, err := v.c.Chat(ctx, v.session.Secret, bytes.Clone(body))
	if err != nil {
		_ = call.Close()
		v.c.Log.Warn("the public API could not be asked", "reason", err)
		return v.chatRefused(http.StatusBadGateway, "The public API cannot be reached.")
	}
	call.body = answer.Body
	v.Set(fiber.HeaderContentType, answer.ContentType)
	v.Set("X-Accel-Buffering", "no")
	v.Status(answer.Status)
	v.Context().SetBodyStream(call, -1)
	return nil
}

func (v *visit) chatRefused(status int, why string) error {
	return v.Status(status).JSON(map[string]any{"error": map[string]any{"message": why}})
}

// chat is the answer to one chat on its way to the browser.
type chat struct {
	conn   *edge.Conn
	cancel context.CancelCauseFunc
	body   io.ReadCloser
}

var errChatLeft = errors.New("the visitor has left the chat")

// Leave ends the chat of a visitor who has left.
func (c *chat) Leave(error) { c.cancel(errChatLeft) }

func (c *chat) Read(b []byte) (int, error) { return c.body.Read(b) }

func (c *chat) Close() error {
	if c.conn != nil {
		c.conn.Disarm()
	}
	c.cancel(errChatLeft)
	if c.body == nil {
		return nil
	}
	return c.body.Close()
}
