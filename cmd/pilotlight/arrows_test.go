package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pilotlight-io/pilotlight/"

// arrows says which packages of this module each package may import. cmd may import everything. docs/ARCHITECTURE.md
// draws the same picture; change both together.
var arrows = map[string][]string{
	"activator":          {"activator/protocol", "activator/dispatch", "activator/plan", "activator/roster", "internal/fleet"},
	"activator/dispatch": {"activator/protocol", "internal/fleet"},
	"activator/plan":     {"activator/roster", "activator/protocol", "internal/fleet"},
	"activator/protocol": {"internal/fleet"},
	"activator/roster":   {"internal/fleet"},
	"autoscaler":         {"internal/fleet"},
	"benchmarks":         {"internal/bench", "internal/openai", "internal/cluster", "internal/engine", "internal/fleet", "internal/trace"},
	"internal/access":    {"internal/private"},
	"internal/peers":     {"activator", "activator/protocol", "internal/certs", "internal/httpserver", "internal/fleet"},
	// For tests: a CA and its certificates.
	"internal/certs/certstest": {},
	"internal/certs":           {"internal/private"},
	"internal/account":         {"internal/fleet"},
	"internal/audit":           {"internal/hashchain", "internal/store"},
	"internal/bench":           {"internal/openai", "internal/trace", "internal/plot", "internal/fleet"},
	"internal/console":         {"internal/access", "internal/audit", "internal/fleet", "internal/tenant", "internal/tenant/wire", "internal/ledger", "internal/invoice", "internal/export", "internal/edge", "internal/whatif", "internal/series"},
	"internal/admin":           {"internal/access", "internal/audit", "internal/fleet", "internal/tenant", "internal/tenant/wire", "internal/provision", "internal/ledger", "internal/invoice", "internal/webhook", "internal/openai", "internal/account", "internal/edge", "internal/export", "internal/whatif"},
	// For tests: it holds answers against the OpenAPI document.
	"internal/admin/spec": {},
	// A test of a whole installation, and nothing else.
	"internal/chaos":        {},
	"internal/cluster":      {},
	"internal/cluster/demo": {"internal/cluster", "internal/config"},
	"internal/config":       {"internal/fleet"},
	"internal/consul":       {"internal/secret", "internal/fleet"},
	"internal/dialect":      {"internal/openai"},
	"internal/edge":         {"internal/account", "internal/openai", "internal/socket"},
	"internal/engine":       {"internal/socket", "internal/fleet"},
	"internal/export":       {"internal/ledger", "internal/fleet"},
	// For tests: it plays histories of simulated worlds.
	"internal/faultsim": {},
	"internal/fleet":    {},
	"internal/invoice":  {"internal/ledger", "internal/fleet"},
	// A test of servers without their routers, and nothing else.
	"internal/joined":     {},
	"internal/handover":   {},
	"internal/hashchain":  {},
	"internal/httpserver": {},
	"internal/ledger":     {"internal/audit", "internal/hashchain", "internal/store", "internal/fleet"},
	// For tests: it applies patches to the tree and runs its tests against them.
	"internal/mutants":   {},
	"internal/local":     {"internal/slot", "internal/fleet"},
	"internal/nomad":     {"nomad-jobs", "internal/slot", "internal/engine", "internal/secret", "internal/fleet"},
	"internal/openai":    {},
	"internal/plot":      {},
	"internal/probe":     {"internal/engine", "internal/fleet"},
	"internal/provision": {"internal/tenant", "internal/fleet"},
	"internal/quota":     {"internal/account", "internal/rounds", "internal/store", "internal/fleet"},
	"internal/rounds":    {},
	"internal/sample":    {},
	"internal/secret":    {},
	"internal/shares":    {"internal/account", "internal/rounds", "internal/store"},
	"internal/simulate":  {"activator", "activator/dispatch", "activator/plan", "activator/protocol", "autoscaler", "internal/trace", "internal/plot", "internal/fleet"},
	"internal/private":   {},
	"internal/slot":      {"internal/certs", "internal/engine", "internal/httpserver", "internal/private", "internal/fleet"},
	"internal/socket":    {},
	"internal/store":     {"internal/fleet"},
	// For tests: it runs a package's tests on SQLite and on Postgres.
	"internal/store/storetest":     {"internal/store"},
	"internal/telemetry":           {"internal/fleet"},
	"internal/telemetry/collector": {}, // for tests, as the next
	"internal/telemetry/scrapes":   {},
	"internal/tenant":              {"internal/audit", "internal/store", "internal/fleet"},
	"internal/tenant/wire":         {"internal/tenant", "internal/fleet"},
	"internal/trace":               {"internal/fleet"},
	"internal/trtsim":              {"internal/sample", "internal/fleet", "internal/openai", "internal/engine"},
	"internal/upstream":            {"internal/socket"},
	"internal/webhook":             {"internal/audit", "internal/ledger", "internal/store"},
	"internal/series":              {},
	"internal/whatif":              {"activator", "internal/simulate", "internal/trace", "internal/ledger", "internal/fleet"},
	"nomad-jobs":                   {},
	"router": {
		"activator", "internal/audit", "internal/tenant", "internal/tenant/wire", "internal/ledger", "internal/dialect", "internal/openai", "internal/upstream", "internal/edge", "internal/account",
		"internal/socket", "internal/telemetry", "internal/fleet",
	},
}

// confined says which packages may import a library at all.
var confined = map[string][]string{
	"github.com/gofiber/fiber/v2":     {"router", "internal/admin", "internal/console"},
	"github.com/sony/gobreaker":       {"activator"},
	"github.com/jackc/pgx/v5":         {"internal/store", "internal/store/storetest"},
	"github.com/hashicorp/nomad/api":  {"internal/nomad"},
	"github.com/hashicorp/consul/api": {"internal/consul"},
	"database/sql":                    {"internal/store", "internal/audit", "internal/tenant", "internal/ledger", "internal/quota", "internal/shares"},
	"go.opentelemetry.io/otel":        {"internal/telemetry", "internal/telemetry/collector"},
	"github.com/prometheus":           {"internal/telemetry/scrapes"},
	"github.com/pb33f":                {"internal/admin/spec"}, // for tests
	"github.com/santhosh-tekuri":      {"internal/sample"},
	"github.com/HdrHistogram":         {"internal/bench"},
}

// stdOnly are the packages that import nothing but the standard library.
var stdOnly = []string{"internal/dialect", "internal/fleet", "internal/hashchain", "internal/openai", "internal/plot", "internal/private", "internal/secret", "internal/series", "internal/socket", "internal/upstream", "nomad-jobs"}

func TestArrows_PackagesImportOnlyWhatTheArchitectureAllows(t *testing.T) {
	for _, p := range listPackages(t) {
		name, inside := strings.CutPrefix(p.ImportPath, module)
		if !inside {
			t.Errorf("package %s: the top level holds no Go package", p.ImportPath)
			continue
		}
		allowed, known := arrows[name]
		command := strings.HasPrefix(name, "cmd/")
		if !known && !command {
			t.Errorf("package %s has no row in arrows; say what it may import, here and in docs/ARCHITECTURE.md", name)
		}
		for _, imported := range p.Imports {
			if target, ours := strings.CutPrefix(imported, module); ours && !command && !slices.Contains(allowed, target) {
				t.Errorf("%s imports %s, which the architecture does not allow", name, target)
			}
			for library, users := range confined {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !command && !slices.Contains(users, name) {
					t.Errorf("%s imports %s, which belongs to %v alone", name, imported, users)
				}
			}
			if slices.Contains(stdOnly, name) && strings.Contains(strings.Split(imported, "/")[0], ".") && !strings.HasPrefix(imported, module) {
				t.Errorf("%s imports %s; it may import the standard library only", name, imported)
			}
		}
	}
}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("listing packages: %s", exit.Stderr)
		}
		t.Fatalf("listing packages: %v", err)
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("reading the package list: %v", err)
		}
		packages = append(packages, p)
	}
}
