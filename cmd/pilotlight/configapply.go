package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// configApplyCmd has a running server take a config file.
type configApplyCmd struct {
	File   string `arg:"" complete:"file" help:"The config file, in HCL, as it is to stand in the place of the server's own."`
	DryRun bool   `name:"dry-run" help:"Only print the difference."`
	serverFlags
	jsonFlag
}

// Run prints what would change, then has it changed.
func (c configApplyCmd) Run(env *Env) error {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	file := admin.ConfigFile{Name: c.File, Content: string(content)}
	ahead, err := client.Configure(env.ctx, file, true)
	if err != nil {
		return listRefused(env, "config", err)
	}
	fixed := fixedOf(ahead.Changes)
	if c.DryRun || len(fixed) > 0 {
		err := c.print(env, ahead)
		warn(env, ahead)
		return errors.Join(err, fixedError(fixed))
	}
	if !c.JSON {
		if err := c.print(env, ahead); err != nil {
			return err
		}
	}
	return c.apply(env.ctx, env, client, file, ahead)
}

// apply has the file taken, and prints what has changed where that is not what was printed ahead: another was applied in between.
func (c configApplyCmd) apply(ctx context.Context, env *Env, client *admin.Client, file admin.ConfigFile, ahead *admin.Configured) error {
	done, err := client.Configure(ctx, file, false)
	if err != nil {
		return listRefused(env, "config", err)
	}
	if c.JSON {
		err = writeJSON(env.Stdout, done)
	} else if !slices.Equal(done.Changes, ahead.Changes) {
		env.say("meanwhile another config was applied; these were the changes:")
		err = c.print(env, done)
	}
	warn(env, done)
	sayApplied(env, len(done.Changes))
	return err
}

func sayApplied(env *Env, changes int) {
	switch changes {
	case 0:
	case 1:
		env.say("1 change applied")
	default:
		env.say("%d changes applied", changes)
	}
}

func warn(env *Env, c *admin.Configured) {
	for _, w := range c.Warnings {
		env.say("warning: %s", w)
	}
}

func (c configApplyCmd) print(env *Env, changes *admin.Configured) error {
	if c.JSON {
		return writeJSON(env.Stdout, changes)
	}
	if len(changes.Changes) == 0 {
		env.say("nothing to change")
	}
	for _, one := range changes.Changes {
		if _, err := fmt.Fprintln(env.Stdout, one.Text); err != nil {
			return err
		}
	}
	return nil
}

// fixedOf names what needs a restart.
func fixedOf(changes []admin.ConfigChange) (names []string) {
	for _, c := range changes {
		if c.Restart {
			names = append(names, strings.Trim(c.Block+"."+c.Attribute, "."))
		}
	}
	return names
}

func fixedError(names []string) error {
	switch len(names) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s needs a restart; nothing was changed", names[0])
	}
	return fmt.Errorf("%s need a restart; nothing was changed", strings.Join(names, ", "))
}

// listRefused prints the mistakes of a file that the server has refused as listMistakes does. what is the kind of file.
func listRefused(env *Env, what string, err error) error {
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.Param == nil || *refused.Param != "content" {
		return err
	}
	mistakes := strings.Split(refused.Message, "\n")
	for _, m := range mistakes {
		env.say("%s", m)
	}
	if len(mistakes) == 1 {
		return fmt.Errorf("1 mistake in the %s; nothing was changed", what)
	}
	return fmt.Errorf("%d mistakes in the %s; nothing was changed", len(mistakes), what)
}
