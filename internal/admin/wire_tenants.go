package admin

import "github.com/pilotlight-io/pilotlight/internal/tenant"

// Org is an organisation: who pays.
type Org struct {
	Name      string          `json:"name"`
	State     tenant.OrgState `json:"state"`
	Models    []string        `json:"models"` // that its tokens may use; empty = all
	Limits                    // of all its tokens together
	CreatedAt Time            `json:"created_at"`
}

// NewOrg is the body of POST /api/orgs.
type NewOrg struct {
	Name   string   `json:"name"`
	Models []string `json:"models,omitempty"`
	LimitsChange
}

// OrgChange is the body of PATCH /api/orgs/{name}. Nil fields stay as they are.
type OrgChange struct {
	State  *tenant.OrgState `json:"state,omitempty"`
	Now    bool             `json:"now,omitempty"` // with state suspended: cuts what engines work on, too
	Models *[]string        `json:"models,omitempty"`
	LimitsChange
}

// Token is what is kept of a token; its secret is not.
type Token struct {
	ID         string         `json:"id"`
	Org        string         `json:"org"`
	Name       string         `json:"name"`
	Scopes     []tenant.Scope `json:"scopes"`
	Models     []string       `json:"models"`    // empty = all of the org's
	Keepalive  *string        `json:"keepalive"` // nil = the config's default
	Limits                    // inside the organisation's
	CreatedAt  Time           `json:"created_at"`
	ExpiresAt  *Time          `json:"expires_at"`
	RevokedAt  *Time          `json:"revoked_at"`
	LastUsedAt *Time          `json:"last_used_at"` // to the minute; nil = never
}

// IssuedToken is a token just created, with the secret that is shown this once.
type IssuedToken struct {
	Secret string `json:"token"`
	Token
}

// NewToken is the body of POST /api/tokens. Expires is a time span from now ("90d") or a moment in RFC 3339.
type NewToken struct {
	Org       string         `json:"org"`
	Name      string         `json:"name,omitempty"`
	Scopes    []tenant.Scope `json:"scopes,omitempty"`
	Models    []string       `json:"models,omitempty"`
	Keepalive string         `json:"keepalive,omitempty"`
	Expires   string         `json:"expires,omitempty"`
	LimitsChange
}

// TokenChange is the body of PATCH /api/tokens/{id}. Nil fields stay as they are.
type TokenChange struct {
	LimitsChange
}

// Limits are those of an organisation or a token. Nil = none.
type Limits struct {
	RPM          *int          `json:"rpm"`         // requests a minute
	Concurrency  *int          `json:"concurrency"` // requests at once
	BudgetUSD    *string       `json:"budget_usd"`  // of one period, a decimal
	BudgetPeriod tenant.Period `json:"budget_period"`
	BudgetSoft   bool          `json:"budget_soft"`  // going over it is told, and refuses nobody
	BudgetRaise  *Raise        `json:"budget_raise"` // while it stands
}

// Raise is the limit that stands in a budget's place for a while.
type Raise struct {
	BudgetUSD string `json:"budget_usd"`
	Until     Time   `json:"until"`
	Why       string `json:"why"`
}

// LimitsChange says what of Limits changes. Nil fields stay as they are; 0, an empty text and null take a limit away.
type LimitsChange struct {
	RPM          *int           `json:"rpm,omitempty"`
	Concurrency  *int           `json:"concurrency,omitempty"`
	BudgetUSD    *string        `json:"budget_usd,omitempty"`
	BudgetPeriod *tenant.Period `json:"budget_period,omitempty"` // empty = monthly
	BudgetSoft   *bool          `json:"budget_soft,omitempty"`
	BudgetRaise  *NewRaise      `json:"budget_raise,omitempty"` // its zero value ends the one that stands
}

// NewRaise is a raise as it is asked for.
type NewRaise struct {
	BudgetUSD string `json:"budget_usd"`
	Until     string `json:"until"` // a day, YYYY-MM-DD, to whose end in UTC it lasts, or a moment in RFC 3339
	Why       string `json:"why"`
}
