package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const cookieName = "pilotlight_session"

// visit is one request of a visitor who is signed in.
type visit struct {
	*side
	*fiber.Ctx
	session session
	admin   access.Admin  // the zero value = it is a caller
	grant   *tenant.Grant // of a caller, or of who pays for an operator's chats; nil = there is none
	act     *audit.Act    // what the request does; nil = it changes nothing
	wrong   string        // why a form that is shown again has done nothing
}

// isOperator says that the visitor has an admin token, and sees everybody's. Every other one sees what belongs to the grant's organisation.
func (v *visit) isOperator() bool { return v.session.Operator != "" }

// org gives whose data the visitor may see; "" = everybody's.
func (v *visit) org() string {
	if v.isOperator() {
		return ""
	}
	return v.grant.Org
}

func (v *visit) may(s tenant.Scope) bool { return v.isOperator() || s == "" || v.grant.Has(s) }

// sees reports whether a model is there for the visitor.
func (v *visit) sees(model string) bool { return v.isOperator() || v.grant.Allows(model) }

// seesOnly is sees; nil for operators, who see everything.
func (v *visit) seesOnly() func(model string) bool {
	if v.isOperator() {
		return nil
	}
	return v.sees
}

// visited lets through who is signed in and may see the page.
func (s *side) visited(p page) fiber.Handler {
	return func(c *fiber.Ctx) error {
		v, err := s.visitor(c)
		if err != nil {
			return s.toSignIn(c)
		}
		switch {
		case p.operator && !v.isOperator() || !v.may(p.scope):
			return noRights(p)
		case v.admin.Role == access.Billing && p.path == "/":
			return c.Redirect(s.base+"/usage", http.StatusSeeOther) // its first page
		}
		return v.audited(p)
	}
}

// visitor finds who asks.
func (s *side) visitor(c *fiber.Ctx) (*visit, error) {
	opened, err := s.seal.open(c.Cookies(cookieName), s.c.Now())
	if err != nil {
		return nil, err
	}
	v := &visit{side: s, Ctx: c, session: opened}
	if opened.Operator != "" {
		known := false
		if v.admin, known = s.c.Admins.ByMark(opened.Operator); !known || !s.operator {
			return nil, errNoSession
		}
	}
	if opened.Secret != "" {
		v.grant, err = s.c.Tenants.Authenticate(opened.Secret)
	}
	if !v.isOperator() && (err != nil || v.grant == nil) {
		return nil, errNoSession
	}
	return v, nil
}

// signedIn gives what tells, after the request, too, whether its visitor still is.
func (v *visit) signedIn() func() bool {
	tenants, admins, of, operator, now := v.c.Tenants, v.c.Admins, v.session, v.isOperator(), v.c.Now
	return func() bool {
		if operator {
			_, known := admins.ByMark(of.Operator)
			return known && now().Before(of.Until)
		}
		_, err := tenants.Authenticate(of.Secret)
		return err == nil && now().Before(of.Until)
	}
}

// toSignIn sends a browser to where it can sign in, and back afterwards. What is no page is told that it may not.
func (s *side) toSignIn(c *fiber.Ctx) error {
	if c.Method() != http.MethodGet || c.Get("HX-Request") != "" || strings.HasPrefix(c.Path(), s.base+"/live") {
		return &problem{http.StatusUnauthorized, "Sign in first", "This page needs a sign-in; the former one has ended."}
	}
	to := s.base + "/signin"
	if back := strings.TrimPrefix(c.OriginalURL(), s.base); back != "" && back != "/" {
		to += "?to=" + url.QueryEscape(back)
	}
	return c.Redirect(to, http.StatusSeeOther)
}

// signInView is the page's.
type signInView struct {
	To, Wrong string
	Operator  bool
}

func (s *side) showSignIn(c *fiber.Ctx) error {
	if code := c.Query("code"); code != "" && s.operator {
		of, ok := s.codes.use(code, s.c.Now())
		if !ok {
			return s.render(c, nil, http.StatusForbidden, "signin", "Sign in", signInView{Operator: true, Wrong: "This link has been used already, or is too old. Sign in with a token."})
		}
		return s.welcome(c, of, c.Query("to"))
	}
	return s.render(c, nil, http.StatusOK, "signin", "Sign in", signInView{To: c.Query("to"), Operator: s.operator})
}

func (s *side) signIn(c *fiber.Ctx) error {
	secret, to := strings.TrimSpace(c.FormValue("token")), c.FormValue("to")
	of := session{Until: s.c.Now().Add(sessionLasts)}
	wrong := ""
	_, admin := s.c.Admins.Find([]byte(secret))
	switch {
	case s.operator && admin:
		of.Operator = access.Mark(secret)
	case secret == "":
		wrong = "Enter a token."
	default:
		_, err := s.c.Tenants.Authenticate(secret)
		of.Secret, wrong = secret, signInTrouble(secret, err)
	}
	if wrong != "" {
		return s.render(c, nil, http.StatusForbidden, "signin", "Sign in", signInView{To: to, Operator: s.operator, Wrong: wrong})
	}
	return s.welcome(c, of, to)
}

// signInTrouble says why a token signs nobody in; "" = it does.
func signInTrouble(secret string, err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, tenant.ErrRevoked):
		return "This token was revoked."
	case errors.Is(err, tenant.ErrExpired):
		return "This token has expired."
	case errors.Is(err, tenant.ErrOrgSuspended):
		return "The organisation of this token is suspended."
	case strings.HasPrefix(secret, "pl_") && !tenant.CheckSecret(secret):
		return "This token has a typing error in it: its checksum does not fit."
	}
	return "There is no such token."
}

// welcome signs a browser in.
func (s *side) welcome(c *fiber.Ctx, of session, to string) error {
	if err := s.keep(c, of); err != nil {
		return err
	}
	return c.Redirect(s.base+local(to), http.StatusSeeOther)
}

func (s *side) keep(c *fiber.Ctx, of session) error {
	text, err := s.seal.seal(of)
	if err != nil {
		return err
	}
	c.Cookie(&fiber.Cookie{
		Name: cookieName, Value: text, Path: s.base + "/", Expires: of.Until, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode,
		Secure: edge.Secure(c.Context()),
	})
	return nil
}

// local gives a path of ours to go to, whatever a link says.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	return u.RequestURI()
}

func (s *side) signOut(c *fiber.Ctx) error {
	c.Cookie(&fiber.Cookie{
		Name: cookieName, Path: s.base + "/", Expires: time.Unix(1, 0), HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode, Secure: edge.Secure(c.Context()),
	})
	return c.Redirect(s.base+"/signin", http.StatusSeeOther)
}

// setPayer names the token whose organisation pays for an operator's chats.
func (v *visit) setPayer() error {
	secret, to := strings.TrimSpace(v.FormValue("token")), v.FormValue("to")
	if _, err := v.c.Tenants.Authenticate(secret); err != nil {
		return &problem{http.StatusBadRequest, "This token cannot pay", signInTrouble(secret, err)}
	}
	of := v.session
	of.Secret = secret
	return v.welcome(v.Ctx, of, to)
}
