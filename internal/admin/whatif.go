package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

// Foreteller is what the admin API asks about settings that are not in force.
type Foreteller interface {
	// WhatIf simulates the last day with other settings of a pool. An empty text means the config's own.
	WhatIf(ctx context.Context, pool string, changes map[string]string) (*whatif.Answer, error)
}

// WhatIf is the answer of POST /api/pools/{name}/what-if.
type WhatIf struct {
	whatif.Answer

	Began Time `json:"simulated_from"`
	From  Time `json:"from"`
	To    Time `json:"to"`
}

const whatIfPath = "/api/pools/{name}/what-if"

// whatIf simulates a pool with other settings. A client that leaves ends that.
func (s *Server) whatIf(c *fiber.Ctx) error {
	name, err := param(c)
	if err != nil {
		return err
	}
	if s.c.WhatIf == nil || !s.hasPool(name) {
		return s.answerPool(c)
	}
	changes, err := readSettings(c.Request().Body())
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		return openai.NewError(openai.CodeInvalidRequest, "the body names no setting; send at least one, as PATCH takes them, or policy or idle_after")
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	if conn := edge.Of(c.Context()); conn != nil {
		conn.Arm(leaver(cancel))
		defer conn.Disarm()
	}
	answer, err := s.c.WhatIf.WhatIf(ctx, name, changes)
	if err != nil {
		return whatIfError(err)
	}
	return c.JSON(WhatIf{*answer, Time{Time: answer.Began}, Time{Time: answer.From}, Time{Time: answer.To}})
}

// leaver ends something when its client leaves.
type leaver context.CancelCauseFunc

// Leave ends it.
func (l leaver) Leave(cause error) { l(cause) }

func whatIfError(err error) error {
	switch {
	case errors.Is(err, whatif.ErrBusy), errors.Is(err, whatif.ErrTooLong):
		return openai.NewError(openai.CodeOverloaded, err.Error())
	case errors.Is(err, whatif.ErrNothing):
		return openai.NewError(openai.CodeNotFound, err.Error())
	}
	return err
}

// WhatIf simulates the last day of a pool with other settings: key -> value as TunePool takes them, and policy and idle_after.
func (c *Client) WhatIf(ctx context.Context, name string, changes map[string]string) (*WhatIf, error) {
	body, err := nested(changes)
	if err != nil {
		return nil, err
	}
	return one(ask[WhatIf](ctx, c, http.MethodPost, "/api/pools/"+url.PathEscape(name)+"/what-if", body))
}

// nested gives settings as an object: those of a block, such as slots.min, are an object of their own.
func nested(changes map[string]string) (map[string]any, error) {
	body := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		block, inner, is := strings.Cut(key, ".")
		if !is {
			body[key] = changes[key]
			continue
		}
		if body[block] == nil {
			body[block] = map[string]string{}
		}
		of, ok := body[block].(map[string]string)
		if !ok {
			return nil, fmt.Errorf("%s and %s are given; leave one of them", block, key)
		}
		of[inner] = changes[key]
	}
	return body, nil
}
