package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/local"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
	"github.com/pilotlight-io/pilotlight/internal/probe"
)

// backEnd is where engines run, as the config says.
type backEnd struct {
	activator.Backend
	observers []activator.Observer
	run       func(context.Context) error         // what of it runs in this process; nil = nothing: its engines outlive the server
	close     func()                              // lets go of connections; nil = there are none
	jobName   func(model, instance string) string // of an instance's job; nil = instances are no jobs

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
	l, err := local.New(local.Config{
		GPUs: cfg.Backend.GPUs, Dir: s.c.Dir, Models: cfg.Models, Self: self, Log: s.log("local"),
	})
	if err != nil {
		return backEnd{}, err
	}
	return backEnd{Backend: l, observers: []activator.Observer{l}, run: l.Run, configure: reconfigure(l)}, nil
}

// reconfigure has those of the parts that keep models, or models and pools, take others.
func reconfigure(parts ...any) func([]*fleet.Model, []fleet.Pool) {
	return func(models []*fleet.Model, pools []fleet.Pool) {
		for _, p := range parts {
			switch p := p.(type) {
			case interface{ Configure([]*fleet.Model) }:
				p.Configure(models)
			case interface {
				Configure([]*fleet.Model, []fleet.Pool)
			}:
				p.Configure(models, pools)
			}
		}
	}
}

func (s *server) openNomad(self string) (backEnd, error) {
	cfg := s.c.Config
	nomadToken, err := secretOf(s.c.Getenv, cfg.Backend.Nomad.TokenEnv, config.NomadTokenEnv, "Nomad")
	if err != nil {
		return backEnd{}, err
	}
	consulToken, err := secretOf(s.c.Getenv, cfg.Backend.Consul.TokenEnv, config.ConsulTokenEnv, "Consul")
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
	observers := []activator.Observer{s.silence.await("Nomad", p.Over(n)), s.silence.await("Consul", p.Over(c)), p}
	observers = append(observers, s.silence.await("the slots", n.Slots())) // also where there is no pool yet: one may be added
	return backEnd{
		Backend: n, close: n.Close, observers: observers, configure: reconfigure(n, p),
		jobName: func(model, instance string) string { return nomad.JobName(cfg.Cluster, model, instance) },
	}, nil
}

// nomadConfig is the Nomad back end of a config; self is the path of our own program on the nodes.
func nomadConfig(cfg *config.Config, token, self string, log *slog.Logger) nomad.Config {
	b := cfg.Backend.Nomad
	return nomad.Config{
		Addr: b.Addr, Token: token, Namespace: b.Namespace, Datacenters: b.Datacenters, NodePool: b.NodePool,
		Cluster: cfg.Cluster, Models: cfg.Models, Pools: cfg.Pools, Self: self, Log: log,
	}
}

// secretOf reads the token that a variable holds. The client of whose it is reads the standard variable itself, with whatever else stands in for it
// (a token file, say), and goes without a token where there is none; a variable of the operator's own choice must be set.
func secretOf(getenv func(string) string, variable, standard, whose string) (string, error) {
	if variable == standard {
		return "", nil
	}
	token := getenv(variable)
	if token == "" {
		return "", fmt.Errorf("%s is not set; it must hold the %s token, as token_env says", variable, whose)
	}
	return token, nil
}
