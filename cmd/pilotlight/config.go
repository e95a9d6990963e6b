package main

import (
	"errors"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/config"
)

// configCmd holds the commands about config files.
type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Report every mistake in a config file."`
	Apply configApplyCmd `cmd:"" help:"Have a running server take a changed config file, all of it or nothing; the difference is printed first."`
}

// configCheckCmd validates a file as serve would, and starts nothing.
type configCheckCmd struct {
	File string `arg:"" help:"The config file, in HCL."`
}

// Run prints one line a mistake on stderr and exits 1, or says what the file would serve.
func (c configCheckCmd) Run(env *Env) error {
	cfg, err := config.Load(c.File)
	if err != nil {
		return listMistakes(env, err)
	}
	_, err = fmt.Fprintf(env.Stdout, "%s is valid: %d models, back end %s\n", c.File, len(cfg.Models), cfg.Backend.Kind)
	return err
}

// listMistakes prints a config's mistakes as they are, file:line first as editors want them, and sums them up.
func listMistakes(env *Env, err error) error {
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) {
		return err
	}
	for _, m := range mistakes {
		env.say("%s", m)
	}
	if len(mistakes) == 1 {
		return errors.New("1 mistake in the config")
	}
	return fmt.Errorf("%d mistakes in the config", len(mistakes))
}
