package admin

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// codeInternal is for what should not happen: a store that fails, a fault of ours. What happened is in the log only.
const codeInternal = "internal_error"

// answerError turns every error of a handler, of fiber and of fasthttp into an answer of the OpenAI shape.
func (s *Server) answerError(c *fiber.Ctx, err error) error {
	refusal := &edge.Refusal{Answer: s.answer(err)}
	var ofEdge *edge.Refusal
	if errors.As(err, &ofEdge) {
		refusal = ofEdge
	}
	answer := refusal.Answer
	if answer.Status >= fiber.StatusInternalServerError && answer.Code == codeInternal {
		s.c.Log.Error("an admin request failed", "method", c.Method(), "path", c.Path(), "reason", err)
	}
	s.refuse(c.Context(), refusal)
	return nil
}

// refuse answers with an error.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, why *edge.Refusal) {
	closing := edge.EndRefused(ctx, why.Close)
	h := &ctx.Response.Header
	h.SetContentType(fiber.MIMEApplicationJSON)
	if why.Answer.Code == openai.CodeInvalidAPIKey {
		h.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="pilotlight admin"`)
	}
	ctx.Response.ResetBody()
	ctx.Response.AppendBody(why.Answer.JSON())
	ctx.SetStatusCode(why.Answer.Status)
	if closing {
		ctx.SetConnectionClose()
	}
}

func (s *Server) answer(err error) *openai.Error {
	var (
		ready       *openai.Error
		badTenant   *tenant.InvalidError
		badQuery    *ledger.InvalidError
		badAudit    *audit.InvalidError
		damaged     *ledger.DamagedError
		jumped      *ledger.ClockError
		ofTransport *fiber.Error
	)
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &badTenant):
		return edge.Invalid(badTenant.Field, "%s", badTenant.Message)
	case errors.As(err, &badAudit):
		return edge.Invalid(badAudit.Field, "%s", badAudit.Message)
	case errors.As(err, &badQuery):
		return edge.Invalid(badQuery.Field, "%s", badQuery.Message)
	case errors.Is(err, tenant.ErrNotFound), errors.Is(err, ledger.ErrNotFound), errors.Is(err, ledger.ErrNoInvoice):
		return openai.NewError(openai.CodeNotFound, err.Error())
	case errors.Is(err, tenant.ErrExists):
		return edge.Invalid("name", "%s", err)
	case errors.Is(err, tenant.ErrRevoked):
		return edge.Invalid("id", "%s; it stays so", err)
	case errors.As(err, &jumped):
		return edge.Invalid("confirm", "%s", jumped)
	case errors.As(err, &damaged):
		return openai.NewError(codeInternal, damaged.Error()+"; sums of whole days do not need it, and /api/usage/records lists the rest")
	case errors.Is(err, context.DeadlineExceeded):
		return openai.NewError(openai.CodeOverloaded, "the store took too long to answer; try again")
	case errors.As(err, &ofTransport):
		return edge.ProtocolRefusal(ofTransport.Code).Answer
	}
	if s.c.Errors != nil {
		if answer := s.c.Errors(err); answer != nil {
			return answer
		}
	}
	return openai.NewError(codeInternal, "something failed inside; the server's log says what")
}
