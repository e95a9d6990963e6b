//go:build linux

package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Ports of agents, as the programs have them.
const (
	nomadPort  = 4646
	consulPort = 8500
)

// raftPatience has elections wait three times as long as the shortest, so that a busy machine alone costs none.
const raftPatience = 3

// consulAgent lays out a machine's Consul agent; one of servers is a server.
func consulAgent(t *testing.T, program string, m *machine, servers []*machine) *process {
	t.Helper()
	role := fmt.Sprintf("retry_join = [%s]\nretry_interval = \"1s\"\n", quoted(ips(servers)))
	for _, s := range servers {
		if s == m {
			role += fmt.Sprintf("server = true\nbootstrap_expect = %d\nraft_logstore {\n  backend = \"boltdb\"\n}\n", len(servers)) // the other takes 64 MB at once
		}
	}
	return agent(t, m, "consul", fmt.Sprintf(`node_name = %q
data_dir = %q
bind_addr = %q
client_addr = "0.0.0.0"
disable_update_check = true
leave_on_terminate = false
skip_leave_on_interrupt = true
limits { http_max_conns_per_client = 1000 }
performance { raft_multiplier = %d }
ports {
  dns = -1
  grpc_tls = -1
  serf_wan = -1
}
%s`, "consul-"+m.name, filepath.Join(m.disk, "consul"), m.ip, raftPatience, role), program, "agent", "-config-file")
}

// nomadServer lays out the Nomad server of a machine. The heartbeats are as docs/nomad.md advises.
func nomadServer(t *testing.T, program string, m *machine, servers []*machine) *process {
	t.Helper()
	return agent(t, m, "nomad", nomadBase(m)+fmt.Sprintf(`consul {
  auto_advertise   = false
  server_auto_join = false
  client_auto_join = false
}
server {
  enabled           = true
  bootstrap_expect  = %d
  min_heartbeat_ttl = "1s"
  heartbeat_grace   = "30s"
  raft_multiplier   = %d
  server_join {
    retry_join     = [%s]
    retry_interval = "1s"
  }
}
`, len(servers), raftPatience, quoted(ips(servers))), program, "agent", "-config")
}

// nomadClient lays out the Nomad client of a node with simulated H100s.
func nomadClient(t *testing.T, p programs, m *machine, servers []*machine, gpus string) *process {
	t.Helper()
	a := agent(t, m, "nomad", nomadBase(m)+fmt.Sprintf(`plugin_dir = %q
client {
  enabled           = true
  servers           = [%s]
  network_interface = "eth0"
  cpu_total_compute = 64000
  memory_total_mb   = 2000000
  disk_total_mb     = 100000 # of which the disk has less: slots ask for more than they need
  disk_free_mb      = 100000
  max_kill_timeout  = "10m"
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
    count     = 8
    id_prefix = "GPU-%s"
  }
}
consul {
  address = "%s:%d"
}
`, p.Plugins, quoted(ips(servers)), m.name, m.ip, consulPort), p.Nomad, "agent", "-config")
	a.env = []string{fmt.Sprintf("CONSUL_HTTP_ADDR=http://%s:%d", m.ip, consulPort), "PILOTLIGHT_SIM_GPU_DIR=" + gpus}
	return a
}

func nomadBase(m *machine) string {
	return fmt.Sprintf(`name = %q
data_dir = %q
bind_addr = %q
disable_update_check = true
limits { http_max_conns_per_client = 1000 }
`, "nomad-"+m.name, filepath.Join(m.disk, "nomad"), m.ip)
}

// agent lays out a program whose config file is its last argument. Its log is not on the machine's disk, which may be full.
func agent(t *testing.T, m *machine, name, config string, args ...string) *process {
	t.Helper()
	dir := m.disk + "-" + name
	must(t, os.Mkdir(dir, 0o755))
	file := filepath.Join(dir, "agent.hcl")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	return &process{name: name + " of " + m.name, machine: m, args: append(args, file), log: filepath.Join(dir, "log")}
}

func ips(machines []*machine) (list []string) {
	for _, m := range machines {
		list = append(list, m.ip)
	}
	return list
}

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }
