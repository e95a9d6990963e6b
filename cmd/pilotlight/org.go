package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// orgCmd holds the commands about organisations.
type orgCmd struct {
	Create  orgCreateCmd  `cmd:"" help:"Add an organisation."`
	Update  orgUpdateCmd  `cmd:"" help:"Change what an organisation may use."`
	Suspend orgSuspendCmd `cmd:"" help:"Make its tokens stop working, and end what it has waiting."`
	Resume  orgResumeCmd  `cmd:"" help:"Undo suspend."`
	List    orgListCmd    `cmd:"" help:"List organisations."`
	Show    orgShowCmd    `cmd:"" help:"Show one organisation."`
	Import  orgImportCmd  `cmd:"" help:"Make organisations, their limits and tokens what a file says."`
}

type orgCreateCmd struct {
	Name   string   `arg:"" help:"Its name."`
	Models []string `placeholder:"A,B" complete:"model" help:"Models that its tokens may use; all if not given."`
	limitFlags
	serverFlags
	jsonFlag
}

// Run adds the organisation and prints it.
func (c orgCreateCmd) Run(env *Env) error {
	return c.printOrg(env, c.jsonFlag, func(ctx context.Context, client *admin.Client) (*admin.Org, error) {
		return client.CreateOrg(ctx, admin.NewOrg{Name: c.Name, Models: c.Models, LimitsChange: c.change()})
	})
}

type orgUpdateCmd struct {
	Name   string  `arg:"" complete:"org" help:"Its name."`
	Models *string `placeholder:"A,B" complete:"model" help:"Models that its tokens may use; --models= for all."`
	limitFlags
	raiseFlags
	serverFlags
	jsonFlag
}

// Run changes the organisation and prints it.
func (c orgUpdateCmd) Run(env *Env) error {
	change := admin.OrgChange{LimitsChange: c.change()}
	if err := c.raise(&change.LimitsChange); err != nil {
		return err
	}
	if c.Models != nil {
		models := splitList(*c.Models)
		change.Models = &models
	}
	return c.printOrg(env, c.jsonFlag, func(ctx context.Context, client *admin.Client) (*admin.Org, error) {
		return client.UpdateOrg(ctx, c.Name, change)
	})
}

type orgSuspendCmd struct {
	Name string `arg:"" complete:"org" help:"Its name."`
	Now  bool   `help:"Cut what engines are working on, too; it is billed until then."`
	serverFlags
	jsonFlag
}

// Run suspends the organisation and prints it.
func (c orgSuspendCmd) Run(env *Env) error {
	return c.setState(env, c.jsonFlag, c.Name, tenant.Suspended, c.Now)
}

type orgResumeCmd struct {
	Name string `arg:"" complete:"org" help:"Its name."`
	serverFlags
	jsonFlag
}

// Run undoes suspend and prints the organisation.
func (c orgResumeCmd) Run(env *Env) error {
	return c.setState(env, c.jsonFlag, c.Name, tenant.Active, false)
}

type orgListCmd struct {
	serverFlags
	jsonFlag
}

// Run lists all organisations.
func (c orgListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	orgs, err := client.Orgs(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, orgs)
	}
	return orgTable(orgs...).write(env.Stdout)
}

type orgShowCmd struct {
	Name string `arg:"" complete:"org" help:"Its name."`
	serverFlags
	jsonFlag
}

// Run shows one organisation.
func (c orgShowCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	org, err := client.Org(env.ctx, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, org)
	}
	t := newTable("FIELD", "VALUE")
	t.row("name", org.Name)
	t.row("state", org.State)
	t.row("models", listOr(org.Models, "all"))
	limitRows(t, org.Limits)
	t.row("created_at", shortTime(&org.CreatedAt))
	return t.write(env.Stdout)
}

func (f serverFlags) setState(env *Env, j jsonFlag, name string, state tenant.OrgState, now bool) error {
	return f.printOrg(env, j, func(ctx context.Context, client *admin.Client) (*admin.Org, error) {
		return client.UpdateOrg(ctx, name, admin.OrgChange{State: &state, Now: now})
	})
}

// printOrg prints the organisation that ask gives.
func (f serverFlags) printOrg(env *Env, j jsonFlag, ask func(context.Context, *admin.Client) (*admin.Org, error)) error {
	client, err := f.client(env)
	if err != nil {
		return err
	}
	org, err := ask(env.ctx, client)
	if err != nil {
		return err
	}
	if j.JSON {
		return writeJSON(env.Stdout, org)
	}
	return orgTable(*org).write(env.Stdout)
}

func orgTable(orgs ...admin.Org) *table {
	t := newTable(slices.Concat([]string{"NAME", "STATE", "MODELS"}, limitColumns, []string{"CREATED"})...)
	for _, o := range orgs {
		t.row(slices.Concat([]any{o.Name, o.State, listOr(o.Models, "all")}, limitCells(o.Limits), []any{shortTime(&o.CreatedAt)})...)
	}
	return t
}

// splitList splits a list written with commas; an empty text is an empty list.
func splitList(s string) []string {
	list := []string{}
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// listOr joins a list for a table's cell.
func listOr[T ~string](list []T, empty string) string {
	if len(list) == 0 {
		return empty
	}
	items := make([]string, len(list))
	for i, item := range list {
		items[i] = string(item)
	}
	return strings.Join(items, ",")
}

// shortTime writes a moment for a table's cell, to the second.
func shortTime(t *admin.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
