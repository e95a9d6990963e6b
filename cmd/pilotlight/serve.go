package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/consul"
)

// serveCmd runs a server from a config file.
type serveCmd struct {
	Config   string     `required:"" placeholder:"FILE" complete:"file" help:"The config file, in HCL."`
	LogLevel slog.Level `name:"log-level" values:"debug,info,warn,error" default:"info" help:"Least level of log lines on stderr: debug, info, warn, error."`
}

// Run waits until this server may act for its cluster, and serves until a signal.
func (c serveCmd) Run(env *Env) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return listMistakes(env, err)
	}
	hangups, unwatch := env.Hangups()
	defer unwatch()
	log := env.logger(c.LogLevel)
	admins, err := openAdmins(cfg, env.Getenv, log.With("component", "admin"))
	if err != nil {
		return err
	}
	certs, err := openCerts(cfg, log)
	if err != nil {
		return err
	}
	lock, err := leadershipLock(cfg, env.Getenv)
	if err != nil {
		return err
	}
	l := &leader{
		env: env, log: log, hangups: hangups,
		candidate: candidate{cfg: cfg, file: c.Config, admins: admins, certs: certs, getenv: env.Getenv, lead: newLead(lock, log.With("component", "lead")), log: log.With("component", "lead")},
	}
	ballast := newBallast(env.Getenv)
	err = untilSignalled(env, l.ending, l.run)
	runtime.KeepAlive(ballast)
	return err
}

// leadershipLock is the lock of the config's cluster; nil = its back end has none.
func leadershipLock(cfg *config.Config, getenv func(string) string) (*consul.Lock, error) {
	if cfg.Backend.Kind != config.BackendNomad {
		return nil, nil
	}
	_, token, err := secretsOf(getenv, cfg)
	if err != nil {
		return nil, err
	}
	return consul.NewLock(consul.LockConfig{Addr: cfg.Backend.Consul.Addr, Token: token, Cluster: cfg.Cluster})
}

// leader is a candidate, and a server once it leads.
type leader struct {
	candidate
	env     *Env
	log     *slog.Logger
	hangups <-chan os.Signal // one that comes while it waits is answered once it serves
	serves  atomic.Bool
}

func (l *leader) ending() string {
	if l.serves.Load() {
		return finishing
	}
	return "no longer waiting to lead"
}

// run waits, and serves while it leads.
func (l *leader) run(ctx context.Context, hurry <-chan struct{}) error {
	defer l.close()
	for {
		locked, err := l.await(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		err = l.serve(ctx, hurry)
		if !errors.Is(err, errHurry) { // else what was left behind still uses the store
			err = errors.Join(err, locked.Close())
		}
		if !errors.Is(err, errNotOurs) {
			return err
		}
		l.candidate.log.Warn("waiting again", "reason", err)
	}
}

func (l *leader) serve(ctx context.Context, hurry <-chan struct{}) error {
	api, adminLn, err := l.listen()
	if err != nil {
		return err
	}
	opened := l.store
	l.store = nil
	s, err := openServer(ctx, serverConfig{
		Config: l.cfg, Dir: serverDir(l.cfg), Store: opened, Admins: l.admins, Certs: l.certs, Getenv: l.env.Getenv, Stdout: l.env.Stdout, Now: l.env.Now,
		Source:  configSource{path: l.file, parse: config.Options{BaseDir: filepath.Dir(l.file)}.Parse},
		Hangups: l.hangups, Lead: l.lead, API: api, Admin: adminLn, Log: l.log,
	})
	if err != nil {
		return errors.Join(err, api.Close(), adminLn.Close())
	}
	l.serves.Store(true)
	l.env.say("serving %d models at %s/v1, admin at %s", len(l.cfg.Models), baseOf(api, l.certs.api), baseOf(adminLn, l.certs.admin))
	err = s.run(ctx, hurry)
	l.cfg = s.configurer.current // in which it would go on, if it leads once more
	return s.closeAfter(err)
}

// listenBoth binds both listeners before anything else happens. Where neither can be had, both are said.
func listenBoth(cfg *config.Config, apiSetting, adminSetting string) (api, adminLn net.Listener, err error) {
	api, err = listen(cfg.API.Addr, apiSetting)
	adminLn, adminErr := listen(cfg.Admin.Addr, adminSetting)
	if err = errors.Join(err, adminErr); err == nil {
		return api, adminLn, nil
	}
	for _, ln := range []net.Listener{api, adminLn} {
		if ln != nil {
			err = errors.Join(err, ln.Close())
		}
	}
	return nil, nil, err
}

// logger writes log lines to stderr.
func (e *Env) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{Level: level}))
}
