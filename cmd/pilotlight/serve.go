package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/consul"
)

// serveCmd runs a server from a config file.
type serveCmd struct {
	Config   string     `required:"" placeholder:"FILE" complete:"file" help:"The config file, in HCL."`
	TakeOver bool       `name:"take-over" help:"Ask the server that runs on the same store to finish its requests and end, and take its place: no connection is refused."`
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
	lock, err := leadershipLock(cfg, env.Getenv, log)
	if err != nil {
		return err
	}
	l := &leader{
		env: env, log: log, hangups: hangups,
		candidate: candidate{cfg: cfg, file: c.Config, takeOver: c.TakeOver, admins: admins, certs: certs, getenv: env.Getenv, lead: newLead(lock, log.With("component", "lead")), log: log.With("component", "lead")},
	}
	ballast := newBallast(env.Getenv)
	err = untilSignalled(env, l.ending, l.run)
	runtime.KeepAlive(ballast)
	return err
}

// leadershipLock is the lock of the config's cluster that a server has while it serves; nil = its back end has none, or it serves whether it leads or not.
func leadershipLock(cfg *config.Config, getenv func(string) string, log *slog.Logger) (*consul.Lock, error) {
	if cfg.Backend.Kind != config.BackendNomad || sharesCluster(cfg) {
		return nil, nil
	}
	c, err := lockConfig(cfg, getenv, log)
	if err != nil {
		return nil, err
	}
	return consul.NewLock(c)
}

func lockConfig(cfg *config.Config, getenv func(string) string, log *slog.Logger) (consul.LockConfig, error) {
	_, token, err := secretsOf(getenv, cfg)
	return consul.LockConfig{Addr: cfg.Backend.Consul.Addr, Token: token, Cluster: cfg.Cluster, Log: log.With("component", "lead")}, err
}

// openMember makes the server one of several, where the config says that it is; nil = it is the only one.
func (l *leader) openMember() (*member, error) {
	if !sharesCluster(l.cfg) {
		return nil, nil
	}
	ln, err := listen(l.cfg.Servers.Addr, "servers.addr in "+l.file)
	if err != nil {
		return nil, err
	}
	at := reachedAt(l.cfg.Servers, ln)
	c, err := lockConfig(l.cfg, l.env.Getenv, l.log)
	c.At = at
	var m *member
	if err == nil {
		m, err = newMember(memberConfig{
			Listener: ln, At: at, Log: l.log.With("component", "servers"),
			NewLock: func(looks bool) (*consul.Lock, error) {
				c := c
				c.Looks = looks
				return consul.NewLock(c)
			},
		})
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	l.env.say("other servers reach this one at %s", at)
	return m, nil
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
	pausableAdmin := newPausable(adminLn.(*net.TCPListener))
	adminLn = pausableAdmin
	member, err := l.openMember()
	if err != nil {
		return errors.Join(err, api.Close(), adminLn.Close())
	}
	opened := l.store
	l.store = nil
	s, err := openServer(ctx, serverConfig{
		Config: l.cfg, Dir: serverDir(l.cfg), Store: opened, Admins: l.admins, Certs: l.certs, Getenv: l.env.Getenv, Stdout: l.env.Stdout, Now: l.env.Now,
		Source:  configSource{path: l.file, parse: config.Options{BaseDir: filepath.Dir(l.file)}.Parse},
		Hangups: l.hangups, Lead: l.lead, Member: member, API: api, Admin: adminLn, Log: l.log,
	})
	if err != nil {
		if member != nil {
			err = errors.Join(err, member.c.Listener.Close())
		}
		return errors.Join(err, api.Close(), adminLn.Close())
	}
	l.serves.Store(true)
	l.inherits.adopt(s)
	s.heirs = l.openHeirs(api, pausableAdmin)
	l.env.say("serving %d models at %s/v1, admin at %s", len(l.cfg.Models), baseOf(api, l.certs.api), baseOf(adminLn, l.certs.admin))
	err = l.untilReplaced(ctx, s, hurry)
	l.cfg = s.configurer.current // in which it would go on, if it leads once more
	return s.closeAfter(err)
}

// untilReplaced runs the server until ctx is done, or another asks for its place.
func (l *leader) untilReplaced(ctx context.Context, s *server, hurry <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-s.heirs.asked():
			l.env.say("another process takes over: %s", finishing)
			cancel(errReplaced)
		case <-ended:
		}
	})
	err := s.run(ctx, hurry)
	close(ended)
	watch.Wait()
	cancel(nil)
	return err
}

var errReplaced = errors.New("another process takes over")

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
