package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// devIdleAfter is how long a model stays hot in dev, short enough to be seen going back to zero.
const devIdleAfter = 30 * time.Second

// devCmd runs everything in one process, on loopback, with simulated engines.
type devCmd struct {
	APIAddr   string     `name:"api-addr" placeholder:"HOST:PORT" help:"Address of the public API (default: 127.0.0.1:8080)."`
	AdminAddr string     `name:"admin-addr" placeholder:"HOST:PORT" help:"Address of the admin API (default: 127.0.0.1:8081)."`
	DataDir   string     `name:"data-dir" complete:"dir" placeholder:"DIR" help:"Where orgs, tokens and usage are kept (default: $$XDG_DATA_HOME/pilotlight)."`
	Config    string     `placeholder:"FILE" complete:"file" help:"Config file, in HCL; without models in it, the catalogue is served."`
	GGUF      []string   `name:"gguf" complete:"file" placeholder:"FILE" sep:"none" help:"Also serve this model for real, on the CPU, through llama-server from $$PATH. Repeatable."`
	LogLevel  slog.Level `name:"log-level" values:"debug,info,warn,error" default:"info" help:"Least level of log lines on stderr: debug, info, warn, error."`
	simFlags
	jsonFlag
}

// Validate is called by the parser.
func (c devCmd) Validate() error {
	for flag, addr := range map[string]string{"--api-addr": c.APIAddr, "--admin-addr": c.AdminAddr} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			return fmt.Errorf("%s is %q; write host:port, such as 127.0.0.1:8080", flag, addr)
		}
	}
	return c.simFlags.Validate()
}

// Run serves until a signal.
func (c devCmd) Run(env *Env) error {
	path, err := resolveDataDir(c.DataDir, env)
	if err != nil {
		return err
	}
	dir, err := openDataDir(path, "--data-dir")
	if err != nil {
		return err
	}
	defer dir.close()
	cfg, err := c.config(dir)
	if err != nil {
		return listMistakes(env, err)
	}
	var hangups <-chan os.Signal // without a file there is nothing to read anew, and a terminal that is closed ends dev
	if c.Config != "" {
		var unwatch func()
		hangups, unwatch = env.Hangups()
		defer unwatch()
	}
	s, err := c.open(env, cfg, dir, hangups)
	if err != nil {
		return err
	}
	secret, err := devToken(env, s, dir)
	if err != nil {
		return errors.Join(err, s.close())
	}
	if err := newBanner(s, secret, dir.path, c.Speed).print(env, c.JSON); err != nil {
		return errors.Join(err, s.close())
	}
	return serveUntilSignalled(env, s)
}

// config is the file's, or the default one, with the flags over it and simulated engines in it.
func (c devCmd) config(dir *dataDir) (*config.Config, error) {
	if c.Config == "" {
		return c.parse(dir, "", nil)
	}
	src, err := os.ReadFile(c.Config)
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	return c.parse(dir, c.Config, src)
}

// parse reads a file called name.
func (c devCmd) parse(dir *dataDir, name string, src []byte) (*config.Config, error) {
	options := config.Options{BaseDir: dir.path, IdleAfter: devIdleAfter}
	cfg, err := options.Parse(name, src)
	if err != nil {
		return nil, err
	}
	if cfg.Backend.Kind != config.BackendLocal {
		return nil, fmt.Errorf("%s has backend %q, and dev runs everything on this machine; use pilotlight serve --config %[1]s", name, cfg.Backend.Kind)
	}
	if len(cfg.Models) == 0 {
		cfg.Models = options.Catalogue() // whole: a model too large for the GPUs is refused when it is asked for
	}
	cfg.Models = c.simulated(cfg.Models)
	ggufs, err := ggufModels(c.GGUF)
	if err != nil {
		return nil, err
	}
	for _, m := range ggufs {
		if slices.ContainsFunc(cfg.Models, func(other *fleet.Model) bool { return other.ID == m.ID }) {
			return nil, fmt.Errorf("--gguf gives two models %s; rename a file", m.ID)
		}
		cfg.Models = append(cfg.Models, m)
	}
	if c.APIAddr != "" {
		cfg.API.Addr = c.APIAddr
	}
	if c.AdminAddr != "" {
		cfg.Admin.Addr = c.AdminAddr
	}
	return cfg, nil
}

// open binds the ports, then opens the server.
func (c devCmd) open(env *Env, cfg *config.Config, dir *dataDir, hangups <-chan os.Signal) (*server, error) {
	token, err := dir.adminToken()
	if err != nil {
		return nil, err
	}
	log := env.logger(c.LogLevel)
	admins, err := access.New(access.Config{Root: token, Tokens: adminTokens(cfg), Getenv: env.Getenv, Log: log.With("component", "admin")})
	if err != nil {
		return nil, err
	}
	certs, err := openCerts(cfg, log)
	if err != nil {
		return nil, err
	}
	api, adminLn, err := listenBoth(cfg, "--api-addr", "--admin-addr")
	if err != nil {
		return nil, err
	}
	s, err := openServer(env.ctx, serverConfig{
		Config: cfg, Source: configSource{path: c.Config, parse: func(name string, src []byte) (*config.Config, error) { return c.parse(dir, name, src) }},
		Hangups: hangups, Dir: dir.path, Admins: admins, Certs: certs, Getenv: env.Getenv, Stdout: env.Stdout, Now: env.Now, API: api, Admin: adminLn, Log: log,
		Lead: newLead(nil, log.With("component", "lead")),
	})
	if err != nil {
		return nil, errors.Join(err, api.Close(), adminLn.Close())
	}
	return s, nil
}
