//go:build unix

package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// writer lays out the agents. Its first error makes the later calls do nothing.
type writer struct {
	dir, nomad, consul, plugins string
	wellKnown                   bool
	consulLAN, nomadRPC         int // ports of the servers that the nodes join
	taken                       map[int]bool
	claims                      []net.Listener
	err                         error
}

// consulServer lays out the one Consul server. Its data survive a restart.
func (w *writer) consulServer() *Agent {
	return w.consulAgent("consul-server", w.port(8500), "server = true\nbootstrap_expect = 1\n", &w.consulLAN)
}

// consulAgent lays out a Consul agent with its API at the port; extra is added to its config, and lan learns its gossip port.
func (w *writer) consulAgent(name string, http int, extra string, lan *int) *Agent {
	ports := w.ports(3)
	a := w.agent(name, w.consul, http, "agent", "-config-file")
	*lan = ports[0]
	w.write(a, fmt.Sprintf(`node_name = %q
data_dir = %q
bind_addr = "127.0.0.1"
client_addr = "127.0.0.1"
disable_update_check = true
leave_on_terminate = false
skip_leave_on_interrupt = true
limits { http_max_conns_per_client = 1000 }
performance { raft_multiplier = 1 }
ports {
  http = %d
  serf_lan = %d
  server = %d
  grpc = %d
  grpc_tls = -1
  dns = -1
  serf_wan = -1
}
%s`, name, filepath.Join(a.dir, "data"), http, ports[0], ports[1], ports[2], extra))
	return a
}

// nomadServer lays out the one Nomad server. The heartbeat settings are those for which an activation survives its restart soonest.
func (w *writer) nomadServer() *Agent {
	http, ports := w.port(4646), w.ports(2)
	a := w.agent("nomad-server", w.nomad, http, "agent", "-config")
	w.nomadRPC = ports[0]
	w.write(a, w.nomadBase(a, http, ports)+`
consul {
  auto_advertise      = false
  server_auto_join    = false
  client_auto_join    = false
}
server {
  enabled           = true
  bootstrap_expect  = 1
  min_heartbeat_ttl = "1s"
  heartbeat_grace   = "30s"
}
`)
	return a
}

// nomadBase is what every Nomad agent's config begins with.
func (w *writer) nomadBase(a *Agent, http int, ports []int) string {
	return fmt.Sprintf(`name = %q
data_dir = %q
bind_addr = "127.0.0.1"
disable_update_check = true
limits { http_max_conns_per_client = 1000 }
ports {
  http = %d
  rpc  = %d
  serf = %d
}
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
`, a.Name, filepath.Join(a.dir, "data"), http, ports[0], ports[1])
}

// node lays out one machine: a Consul agent, and a Nomad client with simulated H100s and ports that no other node hands out.
func (w *writer) node(n, gpus int) Node {
	var lan int
	join := fmt.Sprintf("retry_join = [%q]\n", loopback(w.consulLAN))
	consul := w.consulAgent(fmt.Sprintf("consul-%d", n), w.ports(1)[0], join, &lan)
	http, ports := w.ports(1)[0], w.ports(2)
	nomad := w.agent(fmt.Sprintf("node-%d", n), w.nomad, http, "agent", "-config")
	unhealthy := filepath.Join(w.dir, fmt.Sprintf("unhealthy-%d", n))
	low, high := w.block()
	w.write(nomad, w.nomadBase(nomad, http, ports)+fmt.Sprintf(`plugin_dir = %q
consul { address = %q }
client {
  enabled            = true
  servers            = ["127.0.0.1:%d"]
  node_pool          = "default"
  network_interface  = "lo"
  min_dynamic_port   = %d
  max_dynamic_port   = %d
  cpu_total_compute  = 64000
  memory_total_mb    = 2000000
  max_kill_timeout   = "10m"
  options {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
    "driver.denylist"      = "docker,exec,java,qemu"
  }
}
plugin "raw_exec" {
  config {
    enabled = true
  }
}
plugin "nvidia-gpu" {
  config {
    count          = %d
    id_prefix      = "GPU-%d"
    unhealthy_file = %q
  }
}
`, w.plugins, strings.TrimPrefix(consul.Addr, "http://"), w.nomadRPC, low, high, gpus, n, unhealthy))
	return Node{Name: nomad.Name, Nomad: nomad, Consul: consul, Unhealthy: unhealthy}
}

// agent makes an agent whose config file, the last of its arguments, is still to be written.
func (w *writer) agent(name, binary string, port int, args ...string) *Agent {
	a := &Agent{Name: name, Addr: fmt.Sprintf("http://127.0.0.1:%d", port), dir: filepath.Join(w.dir, name), binary: binary}
	a.args = append(args, filepath.Join(a.dir, "agent.hcl"))
	return a
}

func (w *writer) write(a *Agent, text string) {
	if w.err != nil {
		return
	}
	if w.err = os.MkdirAll(a.dir, 0o755); w.err == nil {
		w.err = os.WriteFile(filepath.Join(a.dir, "agent.hcl"), []byte(text), 0o644)
	}
}

// port gives the port that people know, where they are meant and it is free, else any.
func (w *writer) port(known int) int {
	if w.wellKnown && free(known) {
		return known
	}
	return w.ports(1)[0]
}

// block claims the ports of one node's engines.
func (w *writer) block() (low, high int) {
	if w.err != nil {
		return 0, 0
	}
	claim, err := claimBlock()
	if err != nil {
		w.err = err
		return 0, 0
	}
	w.claims = append(w.claims, claim)
	own := claim.Addr().(*net.TCPAddr).Port
	return own + 1, own + engineBlock - 1
}

func (w *writer) ports(n int) []int {
	out := make([]int, n)
	for i := range out {
		for w.err == nil && (out[i] == 0 || w.taken[out[i]]) {
			out[i], w.err = freePort()
		}
		w.taken[out[i]] = true
	}
	return out
}
