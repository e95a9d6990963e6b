//go:build unix

package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// TestCluster_WithDockerTokensAndTLS has everything on at once: what one of them breaks shows.
func TestCluster_WithDockerTokensAndTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Nomad, Consul and Docker; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds Nomad and Consul
	defer cancel()
	dir, before := t.TempDir()+"/c", interfaces(t)
	c, err := cluster.Start(ctx, cluster.Config{Dir: dir, Nodes: 1, GPUs: 2, Docker: true, ACL: true, TLS: true})
	if errors.Is(err, cluster.ErrNoDocker) && os.Getenv("PILOTLIGHT_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = c.Stop()
		}
	}()

	pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.TLS.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	for name, url := range map[string]string{"nomad": c.Nomad.Addr + "/v1/jobs", "consul": c.Consul.Addr + "/v1/agent/self"} {
		for _, row := range []struct {
			who    string
			tls    *tls.Config
			token  string
			status int // 0 = no answer
		}{
			{"one who knows another CA", &tls.Config{Certificates: []tls.Certificate{pair}}, c.Token, 0},
			{"one without a certificate", &tls.Config{RootCAs: pool}, c.Token, 0},
			{"one without a token", &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, "", http.StatusForbidden},
			{"one who has all", &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, c.Token, http.StatusOK},
		} {
			if got := status(t, url, row.tls, row.token); got != row.status {
				t.Errorf("%s answers %s with %d, want %d", name, row.who, got, row.status)
			}
		}
	}

	var images []struct{ RepoTags []string }
	if err := c.Docker.Ask(ctx, "/images/json", &images); err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 || len(images[0].RepoTags) != 1 || images[0].RepoTags[0] != cluster.Image {
		t.Errorf("the engine has %v, want %s alone", images, cluster.Image)
	}

	stopped = true
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
	if after := interfaces(t); after != before {
		t.Errorf("the network interfaces are %s, and were %s before", after, before)
	}
}

func interfaces(t *testing.T) string {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	return strings.Join(names, " ")
}

// status asks as told; 0 = there was no answer.
func status(t *testing.T, url string, config *tls.Config, token string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("X-Nomad-Token", token)
		request.Header.Set("X-Consul-Token", token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// nothingLeft looks for files, mounts and processes of a cluster that was stopped.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the cluster's directory is still there: %v", err)
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), dir) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
	if left := cluster.Processes(dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}
