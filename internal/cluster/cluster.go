//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what cluster to start.
type Config struct {
	Dir   string // for everything; created, and removed again by Stop; "" = a temporary one
	Nodes int    // clients with GPUs; 0 = 4
	GPUs  int    // simulated H100s of each; 0 = 8

	// WellKnown puts the servers' APIs at the programs' own ports, 4646 and 8500, where these are free: for people. Tests stay away from
	// them.
	WellKnown bool
}

// Cluster is one Nomad server, one Consul server, and nodes with a Nomad client and a Consul agent each: two Nomad clients on
// one Consul agent delete each other's services.
type Cluster struct {
	Nomad  *Agent // the server
	Consul *Agent // the server
	Nodes  []Node
	dir    string
	claims []net.Listener // keep other clusters off the ports that the nodes hand out
}

// Node is one machine of the cluster, as far as a machine of one's own can be several.
type Node struct {
	Name      string
	Nomad     *Agent
	Consul    *Agent
	Unhealthy string // file: the numbers of devices written to it are broken within a second
}

// Start builds what is missing, starts everything and waits until all nodes are ready with all their devices. ctx bounds the
// start only; Stop ends the cluster.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 4
	}
	if cfg.GPUs == 0 {
		cfg.GPUs = 8
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
	nomad, err := Nomad(ctx)
	if err != nil {
		return nil, err
	}
	consul, err := Consul(ctx)
	if err != nil {
		return nil, err
	}
	gpu, err := gpuTool.build(ctx)
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
	c := &Cluster{dir: dir}
	w := writer{dir: dir, nomad: nomad, consul: consul, plugins: filepath.Dir(gpu), wellKnown: cfg.WellKnown, taken: make(map[int]bool)}
	c.Consul = w.consulServer()
	c.Nomad = w.nomadServer()
	for n := 1; n <= cfg.Nodes; n++ {
		c.Nodes = append(c.Nodes, w.node(n, cfg.GPUs))
	}
	c.claims = w.claims
	if w.err != nil {
		c.release()
		return nil, errors.Join(w.err, os.RemoveAll(dir))
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, cfg Config) error {
	if err := c.Consul.Start(ctx); err != nil {
		return err
	}
	if err := c.Nomad.Start(ctx); err != nil {
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
	for _, n := range c.Nodes {
		n.Nomad.Interrupt(5 * time.Second)
		n.Consul.Kill()
	}
	c.Nomad.Kill()
	c.Consul.Kill()
	c.sweep()
	c.release()
	if err := c.unmount(); err != nil {
		return err
	}
	return os.RemoveAll(c.dir)
}

// sweep kills what clients have left running: a Nomad client that ends leaves its tasks alive, to find them again.
func (c *Cluster) sweep() {
	for range 2 { // an executor that was just starting a task may have done so behind our back
		entries, _ := filepath.Glob("/proc/[0-9]*")
		for _, e := range entries {
			cwd, _ := os.Readlink(filepath.Join(e, "cwd"))
			line, _ := os.ReadFile(filepath.Join(e, "cmdline"))
			if !strings.HasPrefix(cwd, c.dir+"/") && !strings.Contains(string(line), c.dir+"/") {
				continue
			}
			var pid int
			if _, err := fmt.Sscanf(filepath.Base(e), "%d", &pid); err == nil && pid != os.Getpid() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// unmount removes the file systems that Nomad mounts for each task where it runs as root.
func (c *Cluster) unmount() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil // no Linux, no such mounts
	}
	var failed []error
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- { // the innermost first
		fields := strings.Fields(lines[i])
		if len(fields) < 2 || !strings.HasPrefix(fields[1], c.dir+"/") {
			continue
		}
		if out, err := exec.Command("umount", "-l", fields[1]).CombinedOutput(); err != nil {
			failed = append(failed, fmt.Errorf("unmounting %s: %w: %s", fields[1], err, out))
		}
	}
	return errors.Join(failed...)
}

// release lets other clusters hand out our nodes' ports.
func (c *Cluster) release() {
	for _, claim := range c.claims {
		claim.Close()
	}
	c.claims = nil
}
