package admin

import (
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/tenant/wire"
)

// What both APIs have in common.
type (
	Time         = wire.Time
	Token        = wire.Token
	Limits       = wire.Limits
	LimitsChange = wire.LimitsChange
	Raise        = wire.Raise
	NewRaise     = wire.NewRaise
)

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

// IssuedToken is a token just created, with the secret that is shown this once.
type IssuedToken struct {
	Secret string `json:"token"`
	Token
}

// NewToken is the body of POST /api/tokens. Expires is what wire.ParseExpiry takes.
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
