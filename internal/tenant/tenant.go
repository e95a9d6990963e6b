package tenant

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/store"
)

// Errors of this package. Authenticate gives the first four.
var (
	ErrInvalidToken = errors.New("the token is not valid")
	ErrExpired      = errors.New("the token has expired")
	ErrRevoked      = errors.New("the token was revoked")
	ErrOrgSuspended = errors.New("the organisation is suspended")
	ErrNotFound     = errors.New("not found")
	ErrExists       = errors.New("exists already")
)

// InvalidError says which field of a request is wrong, and what would be right.
type InvalidError struct {
	Field, Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

// Scope is a right of a token.
type Scope string

// The scopes. A token has the first two unless it is created with others.
const (
	ScopeInference    Scope = "inference"
	ScopeModelsRead   Scope = "models:read"
	ScopeUsageRead    Scope = "usage:read"
	ScopeTokensManage Scope = "tokens:manage"
)

// OrgState says whether an organisation's tokens work.
type OrgState string

// The states of an organisation.
const (
	Active    OrgState = "active"
	Suspended OrgState = "suspended"
)

// Org is an organisation: who pays.
type Org struct {
	Name      string    `json:"name"`
	Models    []string  `json:"models"` // that its tokens may use; empty = all
	State     OrgState  `json:"state"`
	CreatedAt time.Time `json:"created_at"`
}

// Token is what is kept of a token. Its secret is not: only the secret's SHA-256 is stored.
type Token struct {
	ID        string     `json:"id"`
	Org       string     `json:"org"`
	Name      string     `json:"name"`
	Scopes    []Scope    `json:"scopes"`
	Models    []string   `json:"models"`    // empty = all that the org may use
	Keepalive string     `json:"keepalive"` // off, comment or chunk; empty = the config's default
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"` // nil = never
	RevokedAt *time.Time `json:"revoked_at"` // nil = not revoked
}

// NewToken says what a token to be created is like.
type NewToken struct {
	Org       string
	Name      string
	Scopes    []Scope   // empty = inference and models:read
	Models    []string  // empty = all that the org may use
	Keepalive string    // empty = the config's default
	ExpiresAt time.Time // zero = never
}

// OrgChange says what UpdateOrg changes; nil fields stay.
type OrgChange struct {
	Models *[]string
}

// Grant is what a valid token allows. It is immutable.
type Grant struct {
	Org       string
	TokenID   string
	Keepalive string // off, comment or chunk; empty = the config's default
}

// Has reports whether the token has the scope.
func (g *Grant) Has(s Scope) bool { panic("unfinished") }

// Allows reports whether both the org and the token may use the model.
func (g *Grant) Allows(model string) bool { panic("unfinished") }

// Config is what New needs.
type Config struct {
	Models []string     // IDs that allow-lists may name; nil = not checked
	Log    *slog.Logger // nil = discard
}

// Tenants knows every organisation and token of one store.
type Tenants struct{}

// New reads the organisations and tokens of the store.
func New(ctx context.Context, s *store.Store, c Config) (*Tenants, error) { panic("unfinished") }

// Run follows changes that other servers make in the same store.
func (t *Tenants) Run(ctx context.Context) error { panic("unfinished") }

// Authenticate finds the grant of a secret.
func (t *Tenants) Authenticate(secret string) (*Grant, error) { panic("unfinished") }

// CreateOrg adds an organisation.
func (t *Tenants) CreateOrg(ctx context.Context, name string, models []string) (*Org, error) {
	panic("unfinished")
}

// UpdateOrg changes an organisation.
func (t *Tenants) UpdateOrg(ctx context.Context, name string, c OrgChange) (*Org, error) {
	panic("unfinished")
}

// SuspendOrg makes an organisation's tokens stop working at once.
func (t *Tenants) SuspendOrg(ctx context.Context, name string) (*Org, error) { panic("unfinished") }

// ResumeOrg undoes SuspendOrg.
func (t *Tenants) ResumeOrg(ctx context.Context, name string) (*Org, error) { panic("unfinished") }

// EnsureOrg gives the organisation, creating it where it does not exist.
func (t *Tenants) EnsureOrg(ctx context.Context, name string) (*Org, error) { panic("unfinished") }

// Org gives one organisation, or ErrNotFound.
func (t *Tenants) Org(ctx context.Context, name string) (*Org, error) { panic("unfinished") }

// Orgs gives all organisations by name.
func (t *Tenants) Orgs(ctx context.Context) ([]Org, error) { panic("unfinished") }

// CreateToken adds a token and gives its secret, which can never be had again.
func (t *Tenants) CreateToken(ctx context.Context, n NewToken) (secret string, token *Token, err error) {
	panic("unfinished")
}

// ImportToken adds a token with a given secret, or finds the one that has it already.
func (t *Tenants) ImportToken(ctx context.Context, secret string, n NewToken) (*Token, error) {
	panic("unfinished")
}

// Tokens gives the tokens of an organisation ("" = of all), oldest first, revoked ones included.
func (t *Tenants) Tokens(ctx context.Context, org string) ([]Token, error) { panic("unfinished") }

// Token gives one token by its ID, or ErrNotFound.
func (t *Tenants) Token(ctx context.Context, id string) (*Token, error) { panic("unfinished") }

// RevokeToken makes a token stop working for good, at once. Revoking it again changes nothing.
func (t *Tenants) RevokeToken(ctx context.Context, id string) (*Token, error) { panic("unfinished") }

// NewSecret makes the secret of a new token.
func NewSecret() string { panic("unfinished") }

// CheckSecret reports whether a secret has the form of one and its checksum fits.
func CheckSecret(secret string) bool { panic("unfinished") }
