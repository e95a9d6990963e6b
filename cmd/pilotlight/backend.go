package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/local"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
	"github.com/pilotlight-io/pilotlight/internal/probe"
	"github.com/pilotlight-io/pilotlight/internal/secret"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// backEnd is where engines run, as the config says.
type backEnd struct {
	activator.Backend
	observers []activator.Observer
	run       func(context.Context) error         // what of it runs in this process; nil = nothing: its engines outlive the server
	close     func()                              // lets go of connections; nil = there are none
	orphans   admin.Orphans                       // nil = nothing outlives the server
	jobName   func(model, instance string) string // of an instance's job; nil = instances are no jobs

	// Of a member of a cluster; nil where there is one server.
	serversKey func(context.Context) (string, error)
	fencedTerm func(context.Context) (uint64, error)                           // the highest that has fenced others
	askSlot    func(ctx context.Context, id string) (fleet.Observation, error) // what a slot's supervisor says now
	survey     func(context.Context)                                           // has the places known while nobody watches the observers

	configure func(models []*fleet.Model, pools []fleet.Pool) // has launches from now on be of these
}

func (s *server) openBackEnd() (backEnd, error) {
	self, err := os.Executable()
	if err != nil {
		return backEnd{}, fmt.Errorf("finding our own program, which is also the simulated engine: %w", err)
	}
	if s.c.Config.Backend.Kind == config.BackendNomad {
		return s.openNomad(self)
	}
	return s.openLocal(self)
}

// openLocal leaves the limit on host memory to the activator, which has it from the pool: it can be tuned there.
func (s *server) openLocal(self string) (backEnd, error) {
	cfg := s.c.Config
	if err := hideProcess(); err != nil {
		return backEnd{}, err
	}
	pool, _ := cfg.Pool(fleet.LocalPool)
	user, err := slot.LookUpUser(pool.EngineUser)
	if err != nil {
		return backEnd{}, fmt.Errorf("engine_user of pool %q: %w", fleet.LocalPool, err)
	}
	for _, m := range cfg.Models {
		if err := user.CheckFiles(m); err != nil {
			return backEnd{}, err
		}
	}
	l, err := local.New(local.Config{
		GPUs: cfg.Backend.GPUs, Dir: s.c.Dir, Models: cfg.Models, Self: self, User: user, Log: s.log("local"),
	})
	if err != nil {
		return backEnd{}, err
	}
	return backEnd{Backend: l, observers: []activator.Observer{l}, run: l.Run, configure: func(models []*fleet.Model, _ []fleet.Pool) { l.Configure(models) }}, nil
}

func (s *server) openNomad(self string) (backEnd, error) {
	cfg := s.c.Config
	nomadToken, consulToken, err := secretsOf(s.c.Getenv, cfg)
	if err != nil {
		return backEnd{}, err
	}
	n, err := nomad.New(nomadConfig(cfg, nomadToken, self, s.log("nomad")))
	if err != nil {
		return backEnd{}, err
	}
	c, err := consul.New(consul.Config{Addr: cfg.Backend.Consul.Addr, Token: consulToken, Cluster: cfg.Cluster, Log: s.log("consul")})
	if err != nil {
		return backEnd{}, err
	}
	p := probe.New(probe.Config{Models: cfg.Models, Log: s.log("probe")})
	// The slots are watched also where there is no pool yet: one may be added.
	observers := []activator.Observer{
		s.silence.await("Nomad", nomad.Source, p.Over(n)), s.silence.await("Consul", consul.Source, p.Over(c)), p, s.places.heed(p.Over(n.Slots())),
	}
	return backEnd{
		Backend: n, close: n.Close, observers: observers, orphans: n,
		serversKey: n.ServersKey, fencedTerm: n.Term, askSlot: n.AskSlot, survey: func(ctx context.Context) { s.survey(ctx, n) },
		configure: func(models []*fleet.Model, pools []fleet.Pool) {
			n.Configure(models, pools)
			p.Configure(models)
		},
		jobName: func(model, instance string) string { return nomad.JobName(cfg.Cluster, model, instance) },
	}, nil
}

// nomadConfig is the Nomad back end of a config; self is the path of our own program on the nodes.
func nomadConfig(cfg *config.Config, token *secret.Token, self string, log *slog.Logger) nomad.Config {
	b := cfg.Backend.Nomad
	return nomad.Config{
		Addr: b.Addr, Token: token, Namespace: b.Namespace, Datacenters: b.Datacenters, NodePool: b.NodePool,
		Cluster: cfg.Cluster, Models: cfg.Models, Pools: cfg.Pools, Self: self, Log: log,
	}
}

// secretsOf reads the tokens of Nomad and of Consul.
func secretsOf(getenv func(string) string, cfg *config.Config) (nomadToken, consulToken *secret.Token, err error) {
	if nomadToken, err = secretOf(getenv, cfg.Backend.Nomad.TokenEnv, config.NomadTokenEnv, "Nomad"); err != nil {
		return nil, nil, err
	}
	consulToken, err = secretOf(getenv, cfg.Backend.Consul.TokenEnv, config.ConsulTokenEnv, "Consul")
	return nomadToken, consulToken, err
}

// secretOf gives the token that a variable holds, or the file that the variable with _FILE at its end names. Without a standard one its service is asked
// without a token; a variable of the operator's own choice must be set.
func secretOf(getenv func(string) string, variable, standard, whose string) (*secret.Token, error) {
	token, err := secret.FromEnvironment(getenv, variable)
	if err != nil {
		return nil, err
	}
	if token.Value() == "" && variable != standard {
		return nil, fmt.Errorf("%s is not set; it must hold the %s token, as token_env says, or %s_FILE name the file that does", variable, whose, variable)
	}
	return token, nil
}
