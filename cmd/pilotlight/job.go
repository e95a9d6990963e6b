package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
	"github.com/pilotlight-io/pilotlight/internal/secret"
)

// jobCmd holds the commands about Nomad jobs.
type jobCmd struct {
	Render jobRenderCmd `cmd:"" help:"Print the Nomad job of a model's instance, as serve would submit it."`
}

// jobRenderCmd prints a job that an operator can run by hand. It asks no server.
type jobRenderCmd struct {
	ID     string `arg:"" name:"model" complete:"model" help:"The model's id."`
	Config string `placeholder:"FILE" complete:"file" help:"The config file of serve; without it, a model of the catalogue with every default."`
}

// Run prints the job's text.
func (c jobRenderCmd) Run(env *Env) error {
	cfg, err := c.config()
	if err != nil {
		return listMistakes(env, err)
	}
	if !slices.ContainsFunc(cfg.Models, func(m *fleet.Model) bool { return m.ID == c.ID }) {
		return c.unknown(cfg.Models)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding our own program, which is also the simulated engine: %w", err)
	}
	n, err := nomad.New(nomadConfig(cfg, secret.Fixed(""), self, nil))
	if err != nil {
		return err
	}
	defer n.Close()
	text, err := n.Render(c.ID)
	if err != nil {
		return err
	}
	_, err = io.WriteString(env.Stdout, text)
	return err
}

// config is the file's, or one that says nothing but that the catalogue is served on Nomad.
func (c jobRenderCmd) config() (*config.Config, error) {
	if c.Config == "" {
		cfg, err := config.Parse("", []byte(`backend "nomad" {}`))
		if err != nil {
			return nil, err
		}
		cfg.Models = config.Catalogue()
		return cfg, nil
	}
	cfg, err := config.Load(c.Config)
	if err != nil {
		return nil, err
	}
	if cfg.Backend.Kind != config.BackendNomad {
		return nil, fmt.Errorf("%s has backend %q, which has no jobs; give a config with backend \"nomad\", or none for a model of the catalogue", c.Config, cfg.Backend.Kind)
	}
	return cfg, nil
}

func (c jobRenderCmd) unknown(models []*fleet.Model) error {
	ids := make([]string, len(models))
	for i, m := range models {
		ids[i] = m.ID
	}
	where, hint := "the built-in catalogue", "; for one of your own give --config"
	if c.Config != "" {
		where, hint = c.Config, ""
	}
	return fmt.Errorf("%s has no model %q, only %s%s", where, c.ID, listOr(ids, "none"), hint)
}
