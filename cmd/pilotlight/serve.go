package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/config"
)

// serveCmd runs a server from a config file.
type serveCmd struct {
	Config   string     `required:"" placeholder:"FILE" help:"The config file, in HCL."`
	LogLevel slog.Level `name:"log-level" default:"info" help:"Least level of log lines on stderr: debug, info, warn, error."`
}

// Run serves until a signal.
func (c serveCmd) Run(env *Env) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return listMistakes(env, err)
	}
	token := env.Getenv(cfg.Admin.TokenEnv)
	switch {
	case token == "":
		return fmt.Errorf("%s is not set; it must hold the admin token, of %d characters or more", cfg.Admin.TokenEnv, admin.MinToken)
	case len(token) < admin.MinToken:
		return fmt.Errorf("%s holds an admin token of %d characters; it must have %d or more", cfg.Admin.TokenEnv, len(token), admin.MinToken)
	}
	hangups, unwatch := env.Hangups()
	defer unwatch()
	dir := filepath.Dir(cfg.Store.Path)
	if cfg.Backend.Kind == config.BackendLocal { // whose engines keep their files beside the store
		locked, err := openDataDir(dir, "store.path in "+c.Config)
		if err != nil {
			return err
		}
		defer locked.close()
	}
	api, adminLn, err := listenBoth(cfg, "api.addr in "+c.Config, "admin.addr in "+c.Config)
	if err != nil {
		return err
	}
	s, err := openServer(env.ctx, serverConfig{
		Config: cfg, Dir: dir, AdminToken: token, Getenv: env.Getenv, Hangups: hangups,
		Source: configSource{path: c.Config, parse: config.Options{BaseDir: filepath.Dir(c.Config)}.Parse},
		API:    api, Admin: adminLn, Log: env.logger(c.LogLevel),
	})
	if err != nil {
		return errors.Join(err, api.Close(), adminLn.Close())
	}
	env.say("serving %d models at http://%s/v1, admin at http://%s", len(cfg.Models), callable(api), callable(adminLn))
	return serveUntilSignalled(env, s)
}

// listenBoth binds both listeners before anything else happens.
func listenBoth(cfg *config.Config, apiSetting, adminSetting string) (api, adminLn net.Listener, err error) {
	if api, err = listen(cfg.API.Addr, apiSetting); err != nil {
		return nil, nil, err
	}
	if adminLn, err = listen(cfg.Admin.Addr, adminSetting); err != nil {
		return nil, nil, errors.Join(err, api.Close())
	}
	return api, adminLn, nil
}

// logger writes log lines to stderr.
func (e *Env) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{Level: level}))
}
