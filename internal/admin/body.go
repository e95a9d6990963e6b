package admin

import (
	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// read decodes a request's JSON object strictly.
func read(c *fiber.Ctx, into any) error {
	return edge.Decode(c.Request().Body(), into) // never c.Body(): it decompresses without a limit
}
