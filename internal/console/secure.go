package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secure is what every answer has, and what every request has to be.
func (s *side) secure(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentSecurityPolicy, contentPolicy)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set(fiber.HeaderCacheControl, "no-store")
	if !sameSite(c) {
		return &problem{http.StatusForbidden, "Refused", "This request was made by another site."}
	}
	return c.Next()
}

// sameSite reports whether a request that may change something was made by a page of ours, or by no browser: the rule of net/http's
// CrossOriginProtection.
func sameSite(c *fiber.Ctx) bool {
	switch c.Method() {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	switch c.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
	default:
		return false
	}
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return true // no browser that can be misused leaves both away
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == string(c.Context().Host())
}

// problem is a page that says what is wrong.
type problem struct {
	status      int
	title, text string
}

// problemView is its page's.
type problemView struct{ Title, Text, Again string }

func (p *problem) Error() string { return p.title + ": " + p.text }

var errNoPage = &problem{http.StatusNotFound, "There is nothing here", "This page does not exist, or not any more."}

func noRights(p page) error {
	if p.operator {
		return &problem{http.StatusForbidden, "For operators only", "This page, " + p.name() + ", shows what belongs to all organisations. Sign in at the admin address with the admin token."}
	}
	return &problem{http.StatusForbidden, "Your token may not see " + p.name(), "This page needs a token with the scope " + string(p.scope) + "."}
}

// name is what the page is about, in the middle of a sentence.
func (p page) name() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(p.path, "/"), "/")
	return cmp.Or(strings.TrimSuffix(name, ".csv"), "models")
}

// failed answers errors with a page, or with a part of one where a part was asked for.
func (s *side) failed(c *fiber.Ctx, err error) error {
	p := s.explain(c, err)
	v, _ := s.visitor(c)
	view := problemView{Title: p.title, Text: p.text}
	if p.status >= http.StatusInternalServerError && c.Method() == http.MethodGet {
		view.Again = c.OriginalURL()
	}
	return s.render(c, v, p.status, "problem", p.title, view)
}

func (s *side) explain(c *fiber.Ctx, err error) *problem {
	var p *problem
	var wrong *tenant.InvalidError
	var asked *ledger.InvalidError
	var damaged *ledger.DamagedError
	var known *fiber.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &wrong):
		return &problem{http.StatusBadRequest, "That cannot be done", wrong.Error()}
	case errors.As(err, &asked):
		return &problem{http.StatusBadRequest, "That cannot be shown", asked.Error()}
	case errors.As(err, &damaged):
		return &problem{http.StatusInternalServerError, "A part of the ledger is damaged", damaged.Error()}
	case errors.Is(err, tenant.ErrNotFound), errors.Is(err, ledger.ErrNotFound):
		return errNoPage
	case errors.As(err, &known) && known.Code < http.StatusInternalServerError:
		return &problem{known.Code, http.StatusText(known.Code), "This page does not take such a request."}
	}
	s.c.Log.Error("a page of the console failed", "path", c.Path(), "reason", err)
	return &problem{http.StatusInternalServerError, upperFirst(page{path: strings.TrimPrefix(c.Path(), s.base)}.name()) + " cannot be shown now", "What went wrong is in the server's log."}
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
