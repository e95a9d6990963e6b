//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what cluster to start.
type Config struct {
	Dir    string // for everything; created, and removed again by Stop; "" = a temporary one
	Nodes  int    // clients with GPUs; 0 = 4; 12 at most
	GPUs   int    // simulated H100s of each; 0 = 8
	Docker bool   // the nodes have the docker driver, with one engine of the cluster's own: see ErrNoDocker
	ACL    bool   // Nomad and Consul want tokens: see Cluster.Token
	TLS    bool   // Nomad and Consul speak TLS only, and want certificates of their callers: see Cluster.Environment

	// WellKnown puts the servers' APIs at the programs' own ports, 4646 and 8500, where these are free: for people. Tests stay away from
	// them.
	WellKnown bool

	// Env holds entries such as "NAME=value" of the environment of the nodes' Nomad clients, which tasks of raw_exec inherit. CONSUL_HTTP_ADDR,
	// the node's own agent, is in it anyway.
	Env []string

	// NodePool and Datacenter say where a node is, by its number from 1. nil, or "" for a node: default and dc1.
	NodePool, Datacenter func(node int) string

	// IPv6 says of a node, by its number from 1, whether its jobs' address is ::1 and not 127.0.0.1: jobs of two nodes can then listen on one static port.
	// nil: none.
	IPv6 func(node int) bool
}

// Cluster is one Nomad server, one Consul server, and nodes with a Nomad client and a Consul agent each: two Nomad clients on
// one Consul agent delete each other's services.
type Cluster struct {
	Nomad  *Agent // the server
	Consul *Agent // the server
	Nodes  []Node
	Docker *Docker // nil without Config.Docker
	Token  string  // may do everything, in Nomad and in Consul; "" without Config.ACL
	TLS    *TLS    // nil without Config.TLS
	dir    string
	ports  *block
	client *http.Client
}

// Node is one machine of the cluster, as far as a machine of one's own can be several.
type Node struct {
	Name      string
	Nomad     *Agent
	Consul    *Agent
	Unhealthy string // file: the numbers of devices written to it are broken within a second
}

// Start builds what is missing, starts everything and waits until all nodes are ready with all their devices. ctx bounds the
// start only; Stop ends the cluster. Clusters of several processes do not meet: each has ports of its own.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 4
	}
	if cfg.GPUs == 0 {
		cfg.GPUs = 8
	}
	if cfg.Nodes > mostNodes {
		return nil, fmt.Errorf("starting a cluster: %d nodes; %d are the most", cfg.Nodes, mostNodes)
	}
	c, err := lay(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// lay writes the files of all agents.
func lay(ctx context.Context, cfg Config) (*Cluster, error) {
	tools, err := findTools(ctx, cfg)
	if err != nil {
		return nil, err
	}
	dir := cfg.Dir
	if dir == "" {
		dir, err = os.MkdirTemp("", "pilotlight-cluster-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("making the cluster's directory: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("finding the cluster's directory: %w", err)
	}
	c := &Cluster{dir: dir}
	if err := c.lay(cfg, tools); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// tools are the programs that a cluster runs.
type tools struct{ nomad, consul, plugins string }

func findTools(ctx context.Context, cfg Config) (t tools, err error) {
	if cfg.Docker {
		if err := dockerMissing(); err != nil {
			return t, err
		}
	}
	if t.nomad, err = Nomad(ctx); err != nil {
		return t, err
	}
	if t.consul, err = Consul(ctx); err != nil {
		return t, err
	}
	t.plugins, err = Plugins(ctx)
	return t, err
}

func (c *Cluster) lay(cfg Config, t tools) (err error) {
	if c.ports, err = takeBlock(); err != nil {
		return err
	}
	if cfg.ACL {
		c.Token = newToken()
	}
	if cfg.TLS {
		if c.TLS, err = newTLS(filepath.Join(c.dir, "tls")); err != nil {
			return err
		}
	}
	if c.client, err = c.newClient(); err != nil {
		return err
	}
	if cfg.Docker {
		if c.Docker, err = newDocker(filepath.Join(c.dir, "docker")); err != nil {
			return err
		}
	}
	w := writer{cluster: c, tools: t, cfg: cfg}
	c.Consul = w.consulServer()
	c.Nomad = w.nomadServer()
	for n := 1; n <= cfg.Nodes; n++ {
		c.Nodes = append(c.Nodes, w.node(n))
	}
	return w.err
}

func (c *Cluster) start(ctx context.Context, cfg Config) error {
	if c.Docker != nil {
		if err := c.Docker.start(ctx); err != nil {
			return err
		}
	}
	if err := c.Consul.Start(ctx); err != nil {
		return err
	}
	if err := c.Nomad.Start(ctx); err != nil {
		return err
	}
	if err := c.bootstrap(ctx); err != nil {
		return err
	}
	if err := c.awaitKeys(ctx); err != nil {
		return err
	}
	nodes, nodeCtx := errgroup.WithContext(ctx)
	for _, n := range c.Nodes {
		nodes.Go(func() error {
			if err := n.Consul.Start(nodeCtx); err != nil {
				return err
			}
			return n.Nomad.Start(nodeCtx)
		})
	}
	if err := nodes.Wait(); err != nil {
		return err
	}
	return c.awaitDevices(ctx, cfg)
}

// Stop ends all agents and what they have started, and removes the cluster's directory.
func (c *Cluster) Stop() error {
	var failed []error
	for _, n := range c.Nodes {
		n.Nomad.Interrupt(5 * time.Second)
		n.Consul.Kill()
	}
	if c.Nomad != nil {
		c.Nomad.Kill()
	}
	if c.Consul != nil {
		c.Consul.Kill()
	}
	if c.Docker != nil {
		failed = append(failed, c.Docker.stop())
	}
	c.sweep()
	if c.ports != nil {
		c.ports.release()
	}
	if err := c.unmount(); err != nil {
		return errors.Join(append(failed, err)...)
	}
	return errors.Join(append(failed, os.RemoveAll(c.dir))...)
}
