package router

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/tenant/wire"
)

const (
	tokensPath = "/organization/tokens"

	tokenBodyLimit = 64 << 10 // of what a new token is like
	tokenPageSize  = 20       // as OpenAI's API has it
	mostTokenPage  = 100
)

// tokenObject is a token of the caller's organisation, in the manner of OpenAI's API.
type tokenObject struct {
	Object string `json:"object"`
	Secret string `json:"token,omitempty"` // only where it has just been made
	wire.Token
}

func newTokenObject(secret string, t tenant.Token) tokenObject {
	return tokenObject{Object: "organization.token", Secret: secret, Token: wire.TokenOf(t, time.Now())}
}

type tokenList struct {
	Object  string        `json:"object"`
	Data    []tokenObject `json:"data"`
	FirstID *string       `json:"first_id"` // nil for none
	LastID  *string       `json:"last_id"`
	HasMore bool          `json:"has_more"`
}

// newToken is what a caller asks for.
type newToken struct {
	Name      string         `json:"name"`
	Scopes    []tenant.Scope `json:"scopes"`
	Models    []string       `json:"models"`
	Keepalive string         `json:"keepalive"`
	Expires   string         `json:"expires"`
	wire.LimitsChange
}

// mountTokens mounts what an organisation's own people do with its tokens.
func (r *Router) mountTokens(app *fiber.App, prefix string) {
	path := prefix + tokensPath
	app.Get(path, r.checked([]string{"after", "limit"}, r.answering(r.listTokens)))
	app.Post(path, r.checked(nil, r.answering(r.createToken)))
	app.Options(path, options(http.MethodGet, http.MethodHead, http.MethodPost))
	app.Delete(path+"/*", r.checked(nil, r.answering(r.revokeToken)))
	app.Options(path+"/*", options(http.MethodDelete))
}

// listTokens answers the tokens of the caller's organisation, oldest first.
func (r *Router) listTokens(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	g, f := r.reader(ctx, tenant.ScopeTokensManage)
	if f != nil {
		return f
	}
	values := edge.Query(ctx.QueryArgs())
	limit, err := edge.PageSize(values, mostTokenPage)
	if err != nil {
		return queryFailure(err)
	}
	if limit == 0 {
		limit = tokenPageSize
	}
	patient, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	tokens, more, err := r.c.Tenants.TokenPage(patient, g.Org, values["after"], limit)
	if err != nil {
		return r.tenantFailure(err)
	}
	list := tokenList{Object: "list", Data: make([]tokenObject, 0, len(tokens)), HasMore: more}
	for _, t := range tokens {
		list.Data = append(list.Data, newTokenObject("", t))
	}
	if n := len(tokens); n > 0 {
		list.FirstID, list.LastID = &tokens[0].ID, &tokens[n-1].ID
	}
	return writeJSON(ctx, list)
}

// createToken makes a token of the caller's organisation with no more rights than the caller's has, and shows its secret this once.
func (r *Router) createToken(ctx *fasthttp.RequestCtx, _ *fiber.Ctx) *failure {
	g, f := r.reader(ctx, tenant.ScopeTokensManage)
	if f != nil {
		return f
	}
	wanted, f := readNewToken(ctx)
	if f != nil {
		return f
	}
	patient, cancel := acting(ctx, g, "token.create")
	defer cancel()
	secret, token, err := r.c.Tenants.Delegate(patient, g, wanted)
	if err != nil {
		return r.tenantFailure(err)
	}
	r.c.Log.Info("token created", "org", token.Org, "token", token.ID, "by", g.TokenID)
	ctx.Response.Header.Set(fiber.HeaderCacheControl, "no-store")
	ctx.SetStatusCode(http.StatusCreated)
	return writeJSON(ctx, newTokenObject(secret, *token))
}

// acting bounds what is changed in the store, and says who changes it. What an organisation's people fail to do is in no audit log: they could fill it.
func acting(ctx *fasthttp.RequestCtx, g *tenant.Grant, action string) (context.Context, context.CancelFunc) {
	who := audit.Who{
		Actor: g.TokenID, Org: g.Org, Via: audit.API, From: ctx.RemoteIP().String(), Request: string(ctx.Response.Header.PeekCanonical(headerRequestID)),
	}
	return context.WithTimeout(audit.With(context.Background(), &audit.Act{Who: who, Action: action}), readPatience)
}

// readNewToken reads what the token is to be like; the organisation is left open.
func readNewToken(ctx *fasthttp.RequestCtx) (wanted tenant.NewToken, f *failure) {
	if f := checkEncoding(ctx); f != nil {
		return wanted, f
	}
	var body edge.Body
	if refusal := (edge.Upload{Limit: tokenBodyLimit}).Read(ctx, &body); refusal != nil {
		return wanted, refusalFailure(refusal)
	}
	defer body.Free()
	var n newToken
	if err := edge.Decode(body.B, &n); err != nil {
		return wanted, queryFailure(err)
	}
	expires, err := wire.ParseExpiry(n.Expires, time.Now())
	if err != nil {
		return wanted, invalidFailure(err)
	}
	limits, err := n.LimitsChange.Read()
	if err != nil {
		return wanted, invalidFailure(err)
	}
	return tenant.NewToken{Name: n.Name, Scopes: n.Scopes, Models: n.Models, Keepalive: n.Keepalive, Limits: limits, ExpiresAt: expires}, nil
}

// revokeToken ends a token of the caller's organisation for good, its own included. Another organisation's does not exist for it.
func (r *Router) revokeToken(ctx *fasthttp.RequestCtx, c *fiber.Ctx) *failure {
	g, f := r.reader(ctx, tenant.ScopeTokensManage)
	if f != nil {
		return f
	}
	patient, cancel := acting(ctx, g, "token.revoke")
	defer cancel()
	id := unescape(c.Params("*"))
	token, err := r.c.Tenants.RevokeTokenOf(patient, g.Org, id)
	if errors.Is(err, tenant.ErrNotFound) {
		return failf(codeNotFound, "The organisation has no token %q.", clip(id))
	}
	if err != nil {
		return r.tenantFailure(err)
	}
	r.c.Log.Info("token revoked", "org", token.Org, "token", token.ID, "by", g.TokenID)
	return writeJSON(ctx, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{token.ID, "organization.token.deleted", true})
}

// tenantFailure maps why tokens could not be read or changed.
func (r *Router) tenantFailure(err error) *failure {
	var beyond *tenant.RightError
	for _, lost := range []error{tenant.ErrInvalidToken, tenant.ErrExpired, tenant.ErrRevoked, tenant.ErrOrgSuspended} {
		if errors.Is(err, lost) { // since it was shown
			return tokenFailure(err)
		}
	}
	if f := invalidFailure(err); f != nil {
		return f
	}
	if errors.As(err, &beyond) {
		return failf(codePermissionDenied, "%s.", upperFirst(beyond.Message)).at(beyond.Field)
	}
	r.c.Log.Error("cannot read or change tokens", "reason", err)
	return failf(codeOverloaded, "The tokens cannot be read or changed now.").because(err)
}

// invalidFailure is what is wrong with a change; nil for another error.
func invalidFailure(err error) *failure {
	var invalid *tenant.InvalidError
	if !errors.As(err, &invalid) {
		return nil
	}
	wrong := edge.Invalid(invalid.Field, "%s", invalid.Message)
	return queryFailure(wrong)
}
