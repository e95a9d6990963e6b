package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// codeInternal is for what should not happen: a store that fails, a fault of ours. What happened is in the log only.
const codeInternal = "internal_error"

// answerError turns every error of a handler, of fiber and of fasthttp into an answer of the OpenAI shape.
func (s *Server) answerError(c *fiber.Ctx, err error) error {
	answer := s.answer(err)
	if answer.Status >= fiber.StatusInternalServerError && answer.Code == codeInternal {
		s.c.Log.Error("an admin request failed", "method", c.Method(), "path", c.Path(), "reason", err)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(answer.Status).Send(answer.JSON())
}

func (s *Server) answer(err error) *openai.Error {
	var (
		ready       *openai.Error
		badTenant   *tenant.InvalidError
		badQuery    *ledger.InvalidError
		damaged     *ledger.DamagedError
		jumped      *ledger.ClockError
		ofTransport *fiber.Error
	)
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &badTenant):
		return invalid(badTenant.Field, "%s", badTenant.Message)
	case errors.As(err, &badQuery):
		return invalid(badQuery.Field, "%s", badQuery.Message)
	case errors.Is(err, tenant.ErrNotFound), errors.Is(err, ledger.ErrNotFound):
		return openai.NewError(openai.CodeNotFound, err.Error())
	case errors.Is(err, tenant.ErrExists):
		return invalid("name", "%s", err)
	case errors.As(err, &jumped):
		return invalid("confirm", "%s", jumped)
	case errors.As(err, &damaged):
		return openai.NewError(codeInternal, damaged.Error()+"; sums of whole days do not need it, and /api/usage/records lists the rest")
	case errors.Is(err, context.DeadlineExceeded):
		return openai.NewError(openai.CodeOverloaded, "the store took too long to answer; try again")
	case errors.As(err, &ofTransport):
		return transport(ofTransport)
	}
	if s.c.Errors != nil {
		if answer := s.c.Errors(err); answer != nil {
			return answer
		}
	}
	return openai.NewError(codeInternal, "something failed inside; the server's log says what")
}

// transport maps what fiber and fasthttp refuse before a handler is asked.
func transport(e *fiber.Error) *openai.Error {
	code := openai.CodeInvalidRequest
	switch e.Code {
	case fiber.StatusNotFound:
		code = openai.CodeNotFound
	case fiber.StatusMethodNotAllowed:
		code = openai.CodeMethodNotAllowed
	case fiber.StatusRequestTimeout:
		code = openai.CodeRequestTimeout
	case fiber.StatusRequestEntityTooLarge:
		code = openai.CodeRequestTooLarge
	case fiber.StatusRequestHeaderFieldsTooLarge:
		code = openai.CodeHeadersTooLarge
	case fiber.StatusInternalServerError:
		code = codeInternal
	}
	return openai.NewError(code, e.Message)
}

// invalid refuses one field of a body or one parameter of a query.
func invalid(field, format string, args ...any) *openai.Error {
	e := openai.NewError(openai.CodeInvalidRequest, fmt.Sprintf(format, args...))
	if field != "" {
		e.Param = &field
		e.Message = field + ": " + e.Message
	}
	return e
}
