//go:build unix

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writer lays out the agents. Its first error makes the later calls do nothing.
type writer struct {
	dir, nomad, consul, plugins string
	consulLAN, nomadRPC         int // ports of the servers that the nodes join
	taken                       map[int]bool
	err                         error
}

// consulServer lays out the one Consul server. Its data survive a restart.
func (w *writer) consulServer() *Agent {
	return w.consulAgent("consul-server", "server = true\nbootstrap_expect = 1\n", &w.consulLAN)
}

// consulAgent lays out a Consul agent; extra is added to its config, and lan learns its gossip port.
func (w *writer) consulAgent(name, extra string, lan *int) *Agent {
	ports := w.ports(6)
	a := w.agent(name, w.consul, ports[0], "agent", "-config-file")
	*lan = ports[1]
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
%s`, name, filepath.Join(a.dir, "data"), ports[0], ports[1], ports[2], ports[3], extra))
	return a
}

// nomadServer lays out the one Nomad server. The heartbeat settings are those for which an activation survives its restart soonest.
func (w *writer) nomadServer() *Agent {
	ports := w.ports(3)
	a := w.agent("nomad-server", w.nomad, ports[0], "agent", "-config")
	w.nomadRPC = ports[1]
	w.write(a, w.nomadBase(a, ports)+`
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
func (w *writer) nomadBase(a *Agent, ports []int) string {
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
`, a.Name, filepath.Join(a.dir, "data"), ports[0], ports[1], ports[2])
}

// node lays out one machine: a Consul agent, and a Nomad client with simulated H100s and ports that no other node hands out.
func (w *writer) node(n, gpus int) Node {
	var lan int
	consul := w.consulAgent(fmt.Sprintf("consul-%d", n), fmt.Sprintf("retry_join = [\"127.0.0.1:%d\"]\n", w.consulLAN), &lan)
	ports := w.ports(3)
	nomad := w.agent(fmt.Sprintf("node-%d", n), w.nomad, ports[0], "agent", "-config")
	unhealthy := filepath.Join(w.dir, fmt.Sprintf("unhealthy-%d", n))
	low := 10000 + 500*(n-1)
	w.write(nomad, w.nomadBase(nomad, ports)+fmt.Sprintf(`plugin_dir = %q
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
`, w.plugins, strings.TrimPrefix(consul.Addr, "http://"), w.nomadRPC, low, low+499, gpus, n, unhealthy))
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
