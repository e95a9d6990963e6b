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
	cluster             *Cluster
	tools               tools
	cfg                 Config
	consulLAN, nomadRPC int // ports of the servers that the nodes join
	err                 error
}

// consulServer lays out the one Consul server. Its data survive a restart.
func (w *writer) consulServer() *Agent {
	return w.consulAgent("consul-server", w.known(8500), "server = true\nbootstrap_expect = 1\n", &w.consulLAN)
}

// consulAgent lays out a Consul agent with its API at a port; extra is added to its config, and lan learns its gossip port.
func (w *writer) consulAgent(name string, api int, extra string, lan *int) *Agent {
	ports := w.ports(3)
	a := w.agent(name, w.tools.consul, api, "agent", "-config-file")
	*lan = ports[0]
	http, https := api, -1
	if w.cfg.TLS {
		http, https = -1, api
	}
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
  https = %d
  serf_lan = %d
  server = %d
  grpc = %d
  grpc_tls = -1
  dns = -1
  serf_wan = -1
}
%s%s`, name, filepath.Join(a.dir, "data"), http, https, ports[0], ports[1], ports[2], w.consulSecurity(), extra))
	return a
}

// nomadServer lays out the one Nomad server. The heartbeat settings are those for which an activation survives its restart soonest.
func (w *writer) nomadServer() *Agent {
	api, ports := w.known(4646), w.ports(2)
	a := w.agent("nomad-server", w.tools.nomad, api, "agent", "-config")
	w.nomadRPC = ports[0]
	w.write(a, w.nomadBase(a, api, ports)+`
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
func (w *writer) nomadBase(a *Agent, api int, ports []int) string {
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
%s`, a.Name, filepath.Join(a.dir, "data"), api, ports[0], ports[1], w.nomadSecurity())
}

// node lays out one machine: a Consul agent, and a Nomad client with simulated H100s and ports that no other node hands out.
func (w *writer) node(n int) Node {
	var lan int
	consul := w.consulAgent(fmt.Sprintf("consul-%d", n), w.port(), fmt.Sprintf("retry_join = [\"127.0.0.1:%d\"]\n", w.consulLAN), &lan)
	api, ports := w.port(), w.ports(2)
	nomad := w.agent(fmt.Sprintf("node-%d", n), w.tools.nomad, api, "agent", "-config")
	nomad.env = append([]string{"CONSUL_HTTP_ADDR=" + consul.Addr}, w.cfg.Env...)
	unhealthy := filepath.Join(w.cluster.dir, fmt.Sprintf("unhealthy-%d", n))
	low, high := w.cluster.ports.dynamic(n)
	w.write(nomad, w.nomadBase(nomad, api, ports)+fmt.Sprintf(`plugin_dir = %q
datacenter = %q
client {
  enabled            = true
  servers            = ["127.0.0.1:%d"]
  node_pool          = %q
  network_interface  = "lo"
  preferred_address_family = %q
  min_dynamic_port   = %d
  max_dynamic_port   = %d
  cpu_total_compute  = 64000
  memory_total_mb    = 2000000
  max_kill_timeout   = "10m"
  options {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
    "driver.denylist"      = "%s"
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
%s%s`, w.tools.plugins, place(w.cfg.Datacenter, n, "dc1"), w.nomadRPC, place(w.cfg.NodePool, n, "default"), w.family(n), low, high,
		w.unwanted(), w.cfg.GPUs, n, unhealthy, w.nomadConsul(consul), w.nomadDocker()))
	return Node{Name: nomad.Name, Nomad: nomad, Consul: consul, Unhealthy: unhealthy}
}

// place is where a node is.
func place(of func(int) string, node int, fallback string) string {
	if of != nil {
		if where := of(node); where != "" {
			return where
		}
	}
	return fallback
}

// family is that of the address that a node's jobs have.
func (w *writer) family(node int) string {
	if w.cfg.IPv6 != nil && w.cfg.IPv6(node) {
		return "ipv6"
	}
	return "ipv4"
}

// unwanted are the drivers that a node does not look for.
func (w *writer) unwanted() string {
	if w.cfg.Docker {
		return "exec,java,qemu"
	}
	return "docker,exec,java,qemu"
}

// nomadDocker is the docker driver's config, as docs/nomad.md gives it for real nodes, but for the endpoint; for the search for
// containers that Nomad does not know, as several nodes share this engine, and would take each other's for such; and for the delay, by which
// a test would soon see that images are not kept.
func (w *writer) nomadDocker() string {
	if !w.cfg.Docker {
		return ""
	}
	return fmt.Sprintf(`plugin "docker" {
  config {
    endpoint           = %q
    allow_runtimes     = ["runc", "nvidia"]
    image_pull_timeout = "30m"
    volumes {
      enabled = true
    }
    gc {
      image       = false
      image_delay = "1s"
      dangling_containers {
        enabled = false
      }
    }
  }
}
`, "unix://"+w.cluster.Docker.Socket)
}

// agent makes an agent whose config file, the last of its arguments, is still to be written.
func (w *writer) agent(name, binary string, port int, args ...string) *Agent {
	scheme := "http"
	if w.cfg.TLS {
		scheme = "https"
	}
	a := &Agent{
		Name: name, Addr: fmt.Sprintf("%s://127.0.0.1:%d", scheme, port), client: w.cluster.client, alive: "/v1/agent/self",
		dir: filepath.Join(w.cluster.dir, name), binary: binary,
	}
	a.args = append(args, filepath.Join(a.dir, "agent.hcl"))
	return a
}

func (w *writer) write(a *Agent, text string) {
	if w.err != nil {
		return
	}
	if w.err = os.MkdirAll(a.dir, 0o755); w.err == nil {
		w.err = os.WriteFile(filepath.Join(a.dir, "agent.hcl"), []byte(text), 0o600)
	}
}

// known gives the port that people know, where they are meant and it is free, else any.
func (w *writer) known(port int) int {
	if w.cfg.WellKnown && free(port) {
		return port
	}
	return w.port()
}

func (w *writer) port() int { return w.ports(1)[0] }

func (w *writer) ports(n int) []int {
	out := make([]int, n)
	for i := range out {
		if w.err == nil {
			out[i], w.err = w.cluster.ports.next()
		}
	}
	return out
}

// nomadConsul is how a node's Nomad finds its Consul agent.
func (w *writer) nomadConsul(consul *Agent) string {
	_, addr, _ := strings.Cut(consul.Addr, "://")
	return fmt.Sprintf("consul {\n  address = %q\n%s}\n", addr, w.consulAccess())
}
