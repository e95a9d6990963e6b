package admin

import (
	"context"
	"net/http"
	"net/url"
)

// Orgs lists all organisations by name.
func (c *Client) Orgs(ctx context.Context) ([]Org, error) {
	list, err := ask[orgList](ctx, c, http.MethodGet, "/api/orgs", nil)
	return list.Orgs, err
}

// Org shows one organisation.
func (c *Client) Org(ctx context.Context, name string) (*Org, error) {
	return one(ask[Org](ctx, c, http.MethodGet, "/api/orgs/"+url.PathEscape(name), nil))
}

// CreateOrg adds an organisation.
func (c *Client) CreateOrg(ctx context.Context, n NewOrg) (*Org, error) {
	return one(ask[Org](ctx, c, http.MethodPost, "/api/orgs", n))
}

// UpdateOrg changes an organisation: its models, its limits, or its state (suspend and resume).
func (c *Client) UpdateOrg(ctx context.Context, name string, change OrgChange) (*Org, error) {
	return one(ask[Org](ctx, c, http.MethodPatch, "/api/orgs/"+url.PathEscape(name), change))
}

// Tokens lists the tokens of an organisation, "" = of all, oldest first, revoked ones too.
func (c *Client) Tokens(ctx context.Context, org string) ([]Token, error) {
	list, err := ask[tokenList](ctx, c, http.MethodGet, "/api/tokens"+search("org", org), nil)
	return list.Tokens, err
}

// CreateToken adds a token; its secret can never be had again.
func (c *Client) CreateToken(ctx context.Context, n NewToken) (*IssuedToken, error) {
	return one(ask[IssuedToken](ctx, c, http.MethodPost, "/api/tokens", n))
}

// UpdateToken changes the limits of a token.
func (c *Client) UpdateToken(ctx context.Context, id string, change TokenChange) (*Token, error) {
	return one(ask[Token](ctx, c, http.MethodPatch, "/api/tokens/"+url.PathEscape(id), change))
}

// RevokeToken makes a token stop working for good.
func (c *Client) RevokeToken(ctx context.Context, id string) (*Token, error) {
	return one(ask[Token](ctx, c, http.MethodDelete, "/api/tokens/"+url.PathEscape(id), nil))
}

// Import makes organisations and tokens what a file says, all of it or nothing; dry = only say what would change. Mistakes in the file are an
// *openai.Error whose Param is "content", one a line.
func (c *Client) Import(ctx context.Context, file ImportFile, dry bool) (*Imported, error) {
	asked := ""
	if dry {
		asked = "true"
	}
	return one(ask[Imported](ctx, c, http.MethodPost, importPath+search("dry_run", asked), file))
}
