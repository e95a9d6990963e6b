package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/tenant/wire"
)

// tokenRow is one token in the list.
type tokenRow struct {
	tenant.Token
	State string // active, expired or revoked
}

func stateOfToken(t *tenant.Token, now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked"
	case t.ExpiresAt != nil && !now.Before(*t.ExpiresAt):
		return "expired"
	}
	return "active"
}

// tokenForm is what a visitor has filled in, so that a mistake costs nobody the rest.
type tokenForm struct {
	Org, Name, Expires, RPM, Concurrency, Budget string
	Scopes, Models                               []string
	Wrong, WrongField                            string
}

// tokensView is the page's.
type tokensView struct {
	Rows                  []tokenRow
	Orgs                  []string // that a token may be made for
	Org                   string   // whose are shown; "" = all
	Scopes                []tenant.Scope
	Models                []string
	Form                  tokenForm
	Secret, SecretOf, API string // of the token that was made just now
	All                   bool   // revoked and expired ones too
	Q                     string // what is looked for
	Sort                  sorting
}

func (v *visit) tokens() error {
	return v.showTokens(http.StatusOK, tokensView{Org: v.Query("org"), All: v.Query("all") != "", Form: tokenForm{Scopes: []string{"inference", "models:read"}}})
}

func (v *visit) showTokens(status int, view tokensView) error {
	ctx, cancel := v.asking()
	defer cancel()
	if !v.isOperator() {
		view.Org = v.org()
		view.Orgs = []string{v.org()}
	} else {
		orgs, err := v.c.Tenants.Orgs(ctx)
		if err != nil {
			return err
		}
		for _, o := range orgs {
			view.Orgs = append(view.Orgs, o.Name)
		}
	}
	all, err := v.c.Tenants.Tokens(ctx, view.Org)
	if err != nil {
		return err
	}
	view.Q, view.Sort = v.find().q, v.sorting("-created")
	view.Rows = v.tokenRows(all, &view)
	for _, m := range v.hub.look(fresh).Models {
		if v.sees(m.Model.ID) {
			view.Models = append(view.Models, m.Model.ID)
		}
	}
	view.Scopes, view.API = v.scopes(), v.c.API
	return v.show(status, "tokens", "Tokens", view)
}

// tokenRows gives the tokens that are looked for, sorted.
func (v *visit) tokenRows(all []tenant.Token, view *tokensView) (rows []tokenRow) {
	now, find := v.c.Now(), v.find()
	for _, t := range slices.Backward(all) {
		row := tokenRow{t, stateOfToken(&t, now)}
		if (row.State == "active" || view.All) && find.has(append([]string{t.Name, t.ID, t.Org, row.State, fmt.Sprint(t.Scopes)}, t.Models...)...) {
			rows = append(rows, row)
		}
	}
	used := func(r *tokenRow) time.Time {
		if r.LastUsedAt == nil {
			return time.Time{}
		}
		return *r.LastUsedAt
	}
	sortBy(rows, view.Sort.Now, map[string]func(a, b *tokenRow) int{
		"name":    func(a, b *tokenRow) int { return strings.Compare(a.Name, b.Name) },
		"org":     func(a, b *tokenRow) int { return strings.Compare(a.Org, b.Org) },
		"state":   func(a, b *tokenRow) int { return strings.Compare(a.State, b.State) },
		"created": func(a, b *tokenRow) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"used":    func(a, b *tokenRow) int { return used(a).Compare(used(b)) },
	})
	return rows
}

// scopes are those that the visitor may give: an operator all, a caller those of the token that is used.
func (v *visit) scopes() []tenant.Scope {
	return slices.DeleteFunc(tenant.Scopes(), func(s tenant.Scope) bool { return !v.may(s) })
}

func (v *visit) createToken() error {
	form := v.tokenForm()
	n, wrong := v.newToken(&form)
	v.act.On("token of org/" + n.Org)
	if wrong == nil {
		ctx, cancel := v.asking()
		defer cancel()
		secret, t, err := v.makeToken(ctx, n)
		if err == nil {
			v.c.Log.Info("a token was made in the console", "token", t.ID, "org", t.Org, "operator", v.isOperator())
			return v.showTokens(http.StatusOK, tokensView{Secret: secret, SecretOf: t.Name, Form: tokenForm{Scopes: []string{"inference", "models:read"}}})
		}
		var beyond *tenant.RightError
		if errors.As(err, &beyond) {
			err = &tenant.InvalidError{Field: beyond.Field, Message: beyond.Message}
		}
		if !errors.As(err, &wrong) {
			return err
		}
	}
	form.Wrong, form.WrongField, v.wrong = wrong.Message, wrong.Field, wrong.Error()
	return v.showTokens(http.StatusBadRequest, tokensView{Form: form})
}

// makeToken makes a token; that of a caller has no more rights than the caller's own.
func (v *visit) makeToken(ctx context.Context, n tenant.NewToken) (secret string, t *tenant.Token, err error) {
	if v.isOperator() {
		return v.c.Tenants.CreateToken(ctx, n)
	}
	return v.c.Tenants.Delegate(ctx, v.grant, n)
}

func (v *visit) tokenForm() tokenForm {
	args := v.Context().PostArgs()
	all := func(name string) (values []string) {
		for _, b := range args.PeekMulti(name) {
			if len(b) > 0 {
				values = append(values, string(b))
			}
		}
		return values
	}
	one := func(name string) string { return strings.TrimSpace(string(args.Peek(name))) }
	return tokenForm{
		Org: one("org"), Name: one("name"), Expires: one("expires"), RPM: one("rpm"), Concurrency: one("concurrency"), Budget: one("budget_usd"),
		Scopes: all("scopes"), Models: all("models"),
	}
}

// newToken reads a form. Who is no operator makes tokens of the own organisation, with no more rights than the own token has.
func (v *visit) newToken(f *tokenForm) (tenant.NewToken, *tenant.InvalidError) {
	n := tenant.NewToken{Org: f.Org, Name: f.Name, Models: f.Models}
	if !v.isOperator() {
		n.Org = v.org()
	}
	if n.Org == "" {
		return n, &tenant.InvalidError{Field: "org", Message: "choose the organisation that the token acts for"}
	}
	for _, s := range f.Scopes {
		if !v.may(tenant.Scope(s)) {
			return n, &tenant.InvalidError{Field: "scopes", Message: "your own token has no " + s}
		}
		n.Scopes = append(n.Scopes, tenant.Scope(s))
	}
	if len(n.Scopes) == 0 {
		return n, &tenant.InvalidError{Field: "scopes", Message: "a token without any scope may do nothing; choose one"}
	}
	var err error
	if n.ExpiresAt, err = wire.ParseExpiry(f.Expires, v.c.Now()); err == nil {
		n.Limits, err = f.limits()
	}
	var wrong *tenant.InvalidError
	if err != nil && !errors.As(err, &wrong) {
		wrong = &tenant.InvalidError{Message: err.Error()}
	}
	return n, wrong
}

// limits reads what the form says of limits, as the APIs do; an empty field is no limit.
func (f *tokenForm) limits() (tenant.LimitsChange, error) {
	var c wire.LimitsChange
	for _, limit := range []struct {
		field, text string
		into        **int
	}{{"rpm", f.RPM, &c.RPM}, {"concurrency", f.Concurrency, &c.Concurrency}} {
		if limit.text == "" {
			continue
		}
		count, err := strconv.Atoi(limit.text)
		if err != nil {
			return tenant.LimitsChange{}, &tenant.InvalidError{Field: limit.field, Message: "write a whole number, or nothing"}
		}
		*limit.into = &count
	}
	if f.Budget != "" {
		c.BudgetUSD = &f.Budget
	}
	return c.Read()
}

func (v *visit) revokeToken() error {
	ctx, cancel := v.asking()
	defer cancel()
	id := v.Params("id")
	v.act.On("token/" + id)
	if _, err := v.c.Tenants.RevokeTokenOf(ctx, v.org(), id); errors.Is(err, tenant.ErrNotFound) {
		return errNoPage // another organisation's is not there
	} else if err != nil {
		return err
	}
	v.c.Log.Info("a token was revoked in the console", "token", id, "operator", v.isOperator())
	return v.Redirect(v.base+"/tokens", http.StatusSeeOther)
}
