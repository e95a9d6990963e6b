package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// site is a cluster of its own for tests that break things.
type site struct {
	cluster *cluster.Cluster
	nomad   *api.Client
	sim     string
}

func newSite(t *testing.T, nodes int) *site {
	t.Helper()
	s := &site{sim: filepath.Join(t.TempDir(), "trtsim"), cluster: startCluster(t, cluster.Config{Nodes: nodes})}
	if err := buildSim(s.sim); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.nomad, err = api.NewClient(&api.Config{Address: s.cluster.Nomad.Addr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nomad.Close)
	return s
}

// startCluster starts a cluster that is the test's own.
func startCluster(t *testing.T, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Nomad and Consul; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds both programs
	defer cancel()
	c, err := cluster.Start(ctx, cfg)
	if errors.Is(err, cluster.ErrNoDocker) {
		required(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// start brings an agent back.
func start(t *testing.T, a *cluster.Agent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// script is an engine that does something first.
func (s *site) script(t *testing.T, first string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine")
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\n%s\nexec %s \"$@\"\n", first, s.sim), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitNodes waits until the server has heard every node again.
func (s *site) awaitNodes(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		ready, err := s.cluster.Devices(t.Context())
		if err != nil {
			return err.Error()
		}
		if len(ready) != len(s.cluster.Nodes) {
			return fmt.Sprintf("ready are %v", ready)
		}
		return ""
	})
}

// machine is the node with Nomad's ID for it.
func (s *site) machine(t *testing.T, id string) cluster.Node {
	t.Helper()
	n, _, err := s.nomad.Nodes().Info(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range s.cluster.Nodes {
		if node.Name == n.Name {
			return node
		}
	}
	t.Fatalf("the cluster has no node %s", n.Name)
	return cluster.Node{}
}
