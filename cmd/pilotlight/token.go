package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// tokenCmd holds the commands about tokens.
type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token; its secret is shown this once."`
	Update tokenUpdateCmd `cmd:"" help:"Change a token's limits."`
	List   tokenListCmd   `cmd:"" help:"List tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"Make a token stop working for good."`
}

type tokenCreateCmd struct {
	Org       string         `required:"" placeholder:"NAME" complete:"org" help:"Whose token it is."`
	Name      string         `placeholder:"NAME" help:"For people, to tell tokens apart."`
	Scopes    []tenant.Scope `placeholder:"A,B" values:"inference,models:read,usage:read,tokens:manage" help:"Rights: inference, models:read, usage:read, tokens:manage; the first two if not given."`
	Models    []string       `placeholder:"A,B" complete:"model" help:"Models that it may use; all of the organisation's if not given."`
	Expires   string         `placeholder:"90d" help:"When it stops working: a time span from now, a day (its end, in UTC), or a moment in RFC 3339; never if not given."`
	Keepalive string         `placeholder:"MODE" values:"off,comment,chunk" help:"What a waiting stream gets: off, comment or chunk; the config's default if not given."`
	limitFlags
	serverFlags
	jsonFlag
}

// Run makes the token and prints nothing but its secret, so that a script can take it as it is.
func (c tokenCreateCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	issued, err := client.CreateToken(env.ctx, admin.NewToken{
		Org: c.Org, Name: c.Name, Scopes: c.Scopes, Models: c.Models, Keepalive: c.Keepalive, Expires: c.Expires,
		LimitsChange: c.change(),
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, issued)
	}
	env.say("token %s of org %s; its secret is shown this once:", issued.ID, issued.Org)
	_, err = fmt.Fprintln(env.Stdout, issued.Secret)
	return err
}

type tokenUpdateCmd struct {
	ID string `arg:"" complete:"token" help:"Its id, as token list shows it."`
	limitFlags
	raiseFlags
	serverFlags
	jsonFlag
}

// Run changes the token and prints it.
func (c tokenUpdateCmd) Run(env *Env) error {
	change := admin.TokenChange{LimitsChange: c.change()}
	if err := c.raise(&change.LimitsChange); err != nil {
		return err
	}
	return c.printToken(env, c.jsonFlag, func(ctx context.Context, client *admin.Client) (*admin.Token, error) {
		return client.UpdateToken(ctx, c.ID, change)
	})
}

type tokenListCmd struct {
	Org string `placeholder:"NAME" complete:"org" help:"Only this organisation's."`
	serverFlags
	jsonFlag
}

// Run lists tokens, revoked ones included.
func (c tokenListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	tokens, err := client.Tokens(env.ctx, c.Org)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, tokens)
	}
	return tokenTable(tokens...).write(env.Stdout)
}

type tokenRevokeCmd struct {
	ID string `arg:"" complete:"token" help:"Its id, as token list shows it."`
	serverFlags
	jsonFlag
}

// Run revokes the token and prints it.
func (c tokenRevokeCmd) Run(env *Env) error {
	return c.printToken(env, c.jsonFlag, func(ctx context.Context, client *admin.Client) (*admin.Token, error) {
		return client.RevokeToken(ctx, c.ID)
	})
}

// printToken prints the token that ask gives.
func (f serverFlags) printToken(env *Env, j jsonFlag, ask func(context.Context, *admin.Client) (*admin.Token, error)) error {
	client, err := f.client(env)
	if err != nil {
		return err
	}
	token, err := ask(env.ctx, client)
	if err != nil {
		return err
	}
	if j.JSON {
		return writeJSON(env.Stdout, token)
	}
	return tokenTable(*token).write(env.Stdout)
}

func tokenTable(tokens ...admin.Token) *table {
	t := newTable(slices.Concat([]string{"ID", "ORG", "NAME", "SCOPES", "MODELS"}, limitColumns, []string{"CREATED", "LAST USED", "EXPIRES", "REVOKED"})...)
	for _, k := range tokens {
		t.row(slices.Concat([]any{k.ID, k.Org, k.Name, listOr(k.Scopes, ""), listOr(k.Models, "all")}, limitCells(k.Limits),
			[]any{shortTime(&k.CreatedAt), shortTime(k.LastUsedAt), shortTime(k.ExpiresAt), shortTime(k.RevokedAt)})...)
	}
	return t
}
