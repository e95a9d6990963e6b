package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/pilotlight-io/pilotlight/internal/config"
)

// configCmd holds the commands about config files.
type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Report every mistake in a config file, and warn of what is not on this machine."`
	Apply configApplyCmd `cmd:"" help:"Have a running server take a changed config file, all of it or nothing; the difference is printed first."`
}

// configCheckCmd validates a file as serve would, and starts nothing.
type configCheckCmd struct {
	File string `arg:"" complete:"file" help:"The config file, in HCL."`
	jsonFlag
}

// checked is what the check of a file has come to.
type checked struct {
	File     string  `json:"file"`
	Valid    bool    `json:"valid"`
	Models   int     `json:"models"`
	Backend  string  `json:"backend"`
	Mistakes []place `json:"mistakes"`
	Warnings []place `json:"warnings"`
}

// place is something about a line of a file.
type place struct {
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// Run prints one line a mistake on stderr and exits 1, or says what the file would serve. A warning is no mistake: the file may be for another machine.
func (c configCheckCmd) Run(env *Env) error {
	cfg, uses, err := config.Check(c.File)
	if c.JSON {
		return c.print(env, cfg, absences(uses), err)
	}
	if err != nil {
		return listMistakes(env, err)
	}
	for _, w := range absences(uses) {
		env.say("%s:%d: warning: %s", c.File, w.Line, w.Message)
	}
	_, err = fmt.Fprintf(env.Stdout, "%s is valid: %s, back end %s\n", c.File, plural(len(cfg.Models), "model"), cfg.Backend.Kind)
	return err
}

func (c configCheckCmd) print(env *Env, cfg *config.Config, warnings []place, err error) error {
	found := checked{File: c.File, Valid: err == nil, Mistakes: []place{}, Warnings: []place{}}
	var mistakes config.Mistakes
	if err != nil && !errors.As(err, &mistakes) {
		return err
	}
	for _, m := range mistakes {
		found.Mistakes = append(found.Mistakes, place{m.Line, m.Message})
	}
	if err == nil {
		found.Models, found.Backend, found.Warnings = len(cfg.Models), cfg.Backend.Kind, append(found.Warnings, warnings...)
	}
	return errors.Join(writeJSON(env.Stdout, found), mistaken(len(mistakes)))
}

// absences are what a server would need and this machine does not have.
func absences(uses []config.Use) []place {
	var all []place
	for _, u := range uses {
		if u.Program {
			if _, err := exec.LookPath(u.Path); err != nil {
				all = append(all, place{u.Line, fmt.Sprintf("%s: there is no program %q here, on PATH or at that path", u.For, u.Path)})
			}
			continue
		}
		if _, err := os.Stat(u.Path); err != nil {
			all = append(all, place{u.Line, fmt.Sprintf("%s: there is no %s here", u.For, u.Path)})
		}
	}
	return all
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
	return mistaken(len(mistakes))
}

// mistaken sums up mistakes; nil where there are none.
func mistaken(mistakes int) error {
	if mistakes == 0 {
		return nil
	}
	return fmt.Errorf("%s in the config", plural(mistakes, "mistake"))
}
