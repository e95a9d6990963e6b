//go:build unix

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// awaitDevices waits until every node is ready and offers all its devices.
func (c *Cluster) awaitDevices(ctx context.Context, cfg Config) error {
	for {
		ready, err := c.Devices(ctx)
		if err == nil && len(ready) == cfg.Nodes && all(ready, cfg.GPUs) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d nodes with %d devices each: %w; have %v (%w)", cfg.Nodes, cfg.GPUs, context.Cause(ctx), ready, err)
		case <-time.After(50 * time.Millisecond):
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
	if err := c.get(ctx, "/v1/nodes?resources=true", &nodes); err != nil {
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

// get asks the Nomad server's API.
func (c *Cluster) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Nomad.Addr+path, nil)
	if err != nil {
		return fmt.Errorf("asking nomad for %s: %w", path, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking nomad for %s: %w", path, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("asking nomad for %s: %s", path, answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("reading nomad's answer to %s: %w", path, err)
	}
	return nil
}
