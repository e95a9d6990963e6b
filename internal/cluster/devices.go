//go:build unix

package cluster

import (
	"context"
	"fmt"
	"net/http"
)

// awaitDevices waits until every node is ready and offers all its devices, and the docker driver if it is to.
func (c *Cluster) awaitDevices(ctx context.Context, cfg Config) error {
	for {
		ready, err := c.Devices(ctx)
		if err == nil && len(ready) == cfg.Nodes && all(ready, cfg.GPUs) && (!cfg.Docker || c.drive(ctx, cfg.Nodes)) {
			return nil
		}
		if stop := pause(ctx); stop != nil {
			return fmt.Errorf("waiting for %d nodes with %d devices each: %w; have %v (%v)", cfg.Nodes, cfg.GPUs, stop, ready, err)
		}
	}
}

func all(counts map[string]int, want int) bool {
	for _, n := range counts {
		if n != want {
			return false
		}
	}
	return true
}

// drive reports whether the docker driver of all nodes is in order.
func (c *Cluster) drive(ctx context.Context, nodes int) bool {
	var list []struct {
		Drivers map[string]struct{ Detected, Healthy bool }
	}
	if err := c.ask(ctx, http.MethodGet, c.Nomad.Addr+"/v1/nodes", nil, &list); err != nil {
		return false
	}
	ready := 0
	for _, n := range list {
		if d := n.Drivers["docker"]; d.Detected && d.Healthy {
			ready++
		}
	}
	return ready == nodes
}

// Devices counts the healthy GPUs of each ready node, by the node's name, as the Nomad server knows them.
func (c *Cluster) Devices(ctx context.Context) (map[string]int, error) {
	var nodes []struct {
		Name, Status  string
		NodeResources struct {
			Devices []struct {
				Instances []struct{ Healthy bool }
			}
		}
	}
	if err := c.ask(ctx, http.MethodGet, c.Nomad.Addr+"/v1/nodes?resources=true", nil, &nodes); err != nil {
		return nil, err
	}
	out := make(map[string]int)
	for _, n := range nodes {
		if n.Status != "ready" {
			continue
		}
		out[n.Name] = 0
		for _, d := range n.NodeResources.Devices {
			for _, i := range d.Instances {
				if i.Healthy {
					out[n.Name]++
				}
			}
		}
	}
	return out, nil
}
