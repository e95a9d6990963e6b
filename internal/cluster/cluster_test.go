//go:build unix

package cluster_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

func TestCluster_OffersDevicesAndLeavesNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs Nomad and Consul; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds both
	defer cancel()
	dir := t.TempDir() + "/cluster"
	c, err := cluster.Start(ctx, cluster.Config{Dir: dir, Nodes: 2, GPUs: 8})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = c.Stop()
		}
	}()

	var members []struct{ Name string }
	get(t, c.Consul.Addr+"/v1/agent/members", &members)
	if len(members) != 3 {
		t.Errorf("Consul has %d members, want the server and two agents", len(members))
	}

	if err := os.WriteFile(c.Nodes[0].Unhealthy, []byte("3 5"), 0o644); err != nil {
		t.Fatal(err)
	}
	await(t, "two devices of the first node to be unhealthy", func() bool {
		d, err := c.Devices(ctx)
		return err == nil && d[c.Nodes[0].Name] == 6 && d[c.Nodes[1].Name] == 8
	})

	c.Nomad.Kill()
	if err := c.Nomad.Start(ctx); err != nil {
		t.Fatal(err)
	}
	await(t, "the server to know its nodes again after a crash", func() bool {
		d, err := c.Devices(ctx)
		return err == nil && len(d) == 2
	})

	stopped = true
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatalf("reading %s: %v", url, err)
	}
}

func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !met(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
