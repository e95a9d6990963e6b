package admin

import (
	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Queue is who waits, model by model in the order in which they would be served.
type Queue struct {
	Waiting []Waiting `json:"waiting"`
	Total   int       `json:"total"` // those that are not listed included
}

// Waiting is one request that waits for its model.
type Waiting struct {
	Model     string `json:"model"`
	Org       string `json:"org"`
	RequestID string `json:"request_id"`
	Retry     bool   `json:"retry"` // an engine has failed it; it goes before all others
	Place     int    `json:"place"` // in its model's queue, from 1
	Since     Time   `json:"since"`
	Until     *Time  `json:"until"` // it gives up then; nil = never
}

// QueueChange is what an operator wants of those who wait.
type QueueChange struct {
	Action    string `json:"action"` // first or end
	Model     string `json:"model"`
	Org       string `json:"org"`
	RequestID string `json:"request_id,omitempty"` // empty = all of the organisation
}

// QueueChanged says what has become of a change.
type QueueChanged struct {
	Ended int `json:"ended"` // requests
}

// Actions of a QueueChange.
const (
	actionFirst = "first"
	actionEnd   = "end"
)

func (s *Server) queue(c *fiber.Ctx) error {
	values := query(c)
	limit, err := edge.PageSize(values, most)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = most
	}
	list, all := s.c.Fleet.Waiting(values["model"], limit)
	return c.JSON(Queue{Total: all, Waiting: each(list, func(w fleet.Waiting) Waiting {
		return Waiting{Model: w.Model, Org: w.Org, RequestID: w.Request, Retry: w.Retry, Place: w.Place, Since: Time{Time: w.Since}, Until: at(w.Until)}
	})})
}

func (s *Server) changeQueue(c *fiber.Ctx) error {
	var change QueueChange
	if err := read(c, &change); err != nil {
		return err
	}
	act(c).On("model/" + change.Model)
	none := openai.NewError(openai.CodeNotFound, "no such request of this organisation waits for this model; /api/queue lists who does")
	switch change.Action {
	case actionFirst:
		act(c).Is("queue.first")
		act(c).Changes(nil, map[string]any{"org": change.Org, "request_id": change.RequestID})
		if !s.c.Fleet.ServeFirst(change.Model, change.Org, change.RequestID) {
			return none
		}
		return c.JSON(QueueChanged{})
	case actionEnd:
		act(c).Is("queue.end")
		ended := s.c.Fleet.EndWaiting(change.Model, change.Org, change.RequestID)
		act(c).Changes(nil, map[string]any{"org": change.Org, "request_id": change.RequestID, "ended": ended})
		if ended == 0 {
			return none
		}
		return c.JSON(QueueChanged{Ended: ended})
	}
	return edge.Invalid("action", "%q is unknown; possible are %s, %s", change.Action, actionFirst, actionEnd)
}
