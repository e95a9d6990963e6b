package admin

import (
	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// query gives the parameters of a request's query.
func query(c *fiber.Ctx) map[string]string { return edge.Query(c.Request().URI().QueryArgs()) }

// most is how many rows one page may have.
const most = 1000
