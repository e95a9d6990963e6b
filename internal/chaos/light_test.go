//go:build linux

package chaos_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

const (
	adminToken = "0123456789abcdef01234567"
	clusterID  = "chaos" // of the Pilotlights, in Nomad's and Consul's eyes
)

// The models. Engines of two of them cannot be awake in one slot at once.
const (
	hotModel  = "chaos/hot"  // a job of its own, always asked
	coldModel = "chaos/cold" // a job of its own, which is gone between two requests
	leftModel = "chaos/left" // in the pool, with the next
	restModel = "chaos/rest"
)

// light is one Pilotlight on a machine with a Consul agent.
type light struct {
	*process
	api, admin           string // base URLs
	nomad, consul, store *proxy
}

func newLight(t *testing.T, s *site, m *machine) *light {
	t.Helper()
	l := &light{api: "http://" + m.address(8080), admin: "http://" + m.address(8081)}
	s.consuls[m] = consulAgent(t, s.Consul, m, s.controls)
	must(t, s.consuls[m].start())
	var nomads []string
	for _, c := range s.controls {
		nomads = append(nomads, c.address(nomadPort))
	}
	l.nomad, l.consul, l.store = newProxy(t, nomads...), newProxy(t, m.address(consulPort)), newProxy(t, s.store.address)
	l.process = agent(t, m, "pilotlight", l.config(s, m), s.Pilotlight, "serve", "--config")
	l.env = []string{
		"PILOTLIGHT_ADMIN_TOKEN=" + adminToken,
		fmt.Sprintf("PILOTLIGHT_DATABASE_URL=postgres://postgres@%s/%s?sslmode=disable", l.store.address, s.database),
		"PILOTLIGHT_SERVERS_KEY=another key of no fewer than 24 characters",
	}
	return l
}

// config is that of one server; what it keeps is on the machine's disk.
func (l *light) config(s *site, m *machine) string {
	var b strings.Builder
	fmt.Fprintf(&b, `cluster = %q
api {
  addr             = "%s:8080"
  stream_heartbeat = "2s"
}
admin {
  addr = "%[2]s:8081"
}
store "postgres" {}
ledger {
  dir = %[3]q
}
backend "nomad" {
  addr = "http://%[4]s"
  consul {
    addr = "http://%[5]s"
  }
}
pool "h100" {
  gpus_per_slot = 4
  host_memory   = "1TiB"
  slot_idle     = "3s"
  slots {
    min = 0
    max = 1
  }
}
`, clusterID, m.ip, filepath.Join(m.disk, "ledger"), l.nomad.address, l.consul.address)
	if s.Servers > 1 {
		fmt.Fprintf(&b, "servers {\n  addr = \"%s:8082\"\n}\n", m.ip)
	}
	alone := fmt.Sprintf("command = [%q]\n    env     = { PILOTLIGHT_SIM_GPU_DIR = \"\" }", s.Sim) // of another user than those of the slots, whose account is not theirs
	for _, row := range []struct {
		id, place, idle string
		gpus            int
	}{
		{hotModel, alone, "15s", 1},
		{coldModel, alone, "1s", 1},
		{leftModel, "", "5s", 4},
		{restModel, "", "5s", 4},
	} {
		pool := ""
		if row.place == "" {
			pool = "pool = \"h100\""
		}
		fmt.Fprintf(&b, `model %q {
  %s
  gpus       = %d
  idle_after = %q
  queue {
    max_wait = "60s"
  }
  timeouts {
    start      = "60s"
    first_byte = "20s"
    idle       = "20s"
    total      = "30s" # a new leader shares a busy engine out anew when its longest request must have ended
  }
  engine "sim" {
    driver  = "raw_exec"
    %s
    cpu     = 100
    memory  = "1GiB"
    args    = ["--sim-container-start", "0s", "--sim-load-time", "300ms", "--sim-token-time", "4ms"]
  }
}
`, row.id, pool, row.gpus, row.idle, row.place)
	}
	return b.String()
}

// Admin is a client of the server's admin API.
func (l *light) Admin(s *site) *admin.Client {
	return &admin.Client{BaseURL: l.admin, Token: adminToken, HTTP: s.client}
}

// startLights starts the Pilotlights, waits until they serve, and makes the clients' token.
func (s *site) startLights(t *testing.T) {
	t.Helper()
	for _, l := range s.lights {
		must(t, l.start())
	}
	for _, l := range s.lights {
		if err := within(2*time.Minute, func() error { return l.Admin(s).Ready(t.Context()) }); err != nil {
			t.Fatalf("%s: %v\n%s", l.name, err, l.lastWords(4000))
		}
	}
	client := s.lights[0].Admin(s)
	if _, err := client.CreateOrg(t.Context(), admin.NewOrg{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	token, err := client.CreateToken(t.Context(), admin.NewToken{Org: "acme"})
	must(t, err)
	s.token = token.Secret
}

// isLight reports whether a process is a Pilotlight.
func (s *site) isLight(p *process) bool {
	for _, l := range s.lights {
		if l.process == p {
			return true
		}
	}
	return false
}

// socket is where Postgres listens.
func (s *site) socket() string {
	_, host, _ := strings.Cut(s.postgres.URL("x"), "host=")
	host = strings.NewReplacer("%2F", "/").Replace(host)
	found, _ := filepath.Glob(filepath.Join(host, ".s.PGSQL.*[0-9]"))
	if len(found) != 1 {
		return filepath.Join(host, ".s.PGSQL.5432")
	}
	return found[0]
}
