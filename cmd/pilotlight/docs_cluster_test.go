//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// onCluster is the mark of a block that wants a cluster.
const onCluster = "cluster"

// wantsCluster reports whether the page has a block that does.
func (p *docPage) wantsCluster() bool {
	return slices.ContainsFunc(p.blocks, func(b block) bool { return b.mark == "needs" && b.why == onCluster })
}

// startCluster starts one for the page, with ACLs and the image of TensorRT-LLM (whose program is the simulator), and gives what the page and its files say
// otherwise there: addresses, the node, the program, where data lie, and the pace of engines.
func (p *docPage) startCluster(t *testing.T, bin, public, operators string) (replaced []string) {
	t.Helper()
	c := startCluster(t, cluster.Config{Nodes: 1, GPUs: 16, Docker: true, ACL: true})
	program, lib := filepath.Join(bin, "static", "pilotlight"), filepath.Join(t.TempDir(), "lib")
	if err := os.MkdirAll(lib, 0o700); err != nil {
		t.Fatal(err)
	}
	buildStatic(t, program)
	linkTools(t, bin)
	for name, value := range c.Environment() {
		p.env = append(p.env, name+"="+value)
	}
	return []string{
		"front-1", c.Nodes[0].Name, "/usr/local/bin/pilotlight", program, "/var/lib/pilotlight", lib, "default     = 8080", "default     = " + public,
		"default     = 8081", "default     = " + operators,
		`backend "nomad" {}`, fmt.Sprintf("admin {\n  addr = \"127.0.0.1:%s\"\n}\nbackend \"nomad\" {\n  addr = %q\n  consul {\n    addr = %q\n  }\n}",
			operators, c.Nomad.Addr, c.Consul.Addr),
		`engine "trtllm" {}`, "engine \"trtllm\" {\n    args = [\"--sim-speed\", \"100\", \"--sim-container-start\", \"0s\"]\n  }",
		`CONSUL_HTTP_TOKEN="$slot_token"`, fmt.Sprintf(`CONSUL_HTTP_TOKEN="$slot_token" CONSUL_HTTP_ADDR=%q`, c.Nodes[0].Consul.Addr),
	}
}

// buildStatic builds the program as nodes have it.
func buildStatic(t *testing.T, program string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/pilotlight-io/pilotlight/cmd/pilotlight")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
}

// linkTools puts Nomad's and Consul's programs into a directory.
func linkTools(t *testing.T, bin string) {
	t.Helper()
	for name, find := range map[string]func(context.Context) (string, error){"nomad": cluster.Nomad, "consul": cluster.Consul} {
		path, err := find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// placeholders are the words in capitals of commands within the text of pages about a cluster, as the shell of nomad.md has them at its end.
var placeholders = strings.NewReplacer(
	"ALLOC", `"$alloc"`, "JOB", `"$job"`, "NODE", `"$(nomad node status -quiet | head -n 1)"`, "MODEL", "meta-llama/Meta-Llama-3-8B-Instruct", "POOL", "h100",
	"CLUSTER", "default", "ADDRESS:8081", "127.0.0.1:8081", "ORG", "acme", "slots.max=N", "slots.max=2", "--budget-usd N", "--budget-usd 5", "DATE", "2099-01-01", "REASON", "test",
	"MONTH", "2020-01",
)

// notRun are the commands within the text of those pages that are not run there, with the reason.
var notRun = map[string]string{
	"pilotlight slot":                       "a job's own command; the slot of the page runs it",
	"nomad acl policy apply -namespace ...": "a form with an ellipsis; its full form is run in a block",
	"nomad node drain":                      "named alone; TestNomad_Failures drains",
	"nomad node eligibility -disable":       "run last, for nothing is placed behind it",
	"nomad job scale":                       "named alone: what not to do",
	"nomad job run":                         "named alone; blocks run it",
	"nomad job validate":                    "named alone; a block runs it",
	"nomad alloc restart":                   "named alone: what not to do",
	"nomad alloc stop":                      "named alone: what not to do",
	"nomad alloc signal":                    "kills an engine of a job of its own; TestNomad_Failures does",
	"nomad var purge":                       "takes the fence of the server that runs; TestNomad_Lead does it with none",
	"pilotlight model stop":                 "run last, for nothing is hot behind it",
	"pilotlight store":                      "of a server that has ended; docs/operator.md's blocks run them",
	"pilotlight invoice close":              "of a month with usage; docs/operator.md's blocks run it",
	"pilotlight webhook resume":             "of a webhook that is held; docs/operator.md's blocks run it",
	"docker":                                "changes the machine",
	"nvidia":                                "wants real GPUs",
}

var inlineCommand = regexp.MustCompile("`((?:nomad|consul|pilotlight|curl) [^`\\n]*)`")

// inlineScript runs the commands that stand within the text of the pages, each once, in a server's shell at the end of nomad.md.
func inlineScript(t *testing.T, files ...string) string {
	t.Helper()
	var script strings.Builder
	script.WriteString("failed=0\npilotlight org create acme --budget-usd 1\n")
	done := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		outside := regexp.MustCompile("(?s)```.*?\n```").ReplaceAllString(string(text), "")
		for _, m := range inlineCommand.FindAllStringSubmatch(outside, -1) {
			if done[m[1]] || slices.ContainsFunc(slices.Collect(maps.Keys(notRun)), func(begin string) bool { return strings.HasPrefix(m[1], begin) }) {
				continue
			}
			done[m[1]] = true
			fmt.Fprintf(&script, "echo %q\n%s || { echo \"it failed: $?\"; failed=1; }\n", filepath.Base(file)+": "+strings.ReplaceAll(m[1], "$", ""), placeholders.Replace(m[1]))
		}
	}
	script.WriteString("pilotlight model stop meta-llama/Meta-Llama-3-8B-Instruct\nnomad node eligibility -disable \"$(nomad node status -quiet | head -n 1)\"\ntest $failed = 0\n")
	return script.String()
}

// pageLimit is for a page's commands, on a machine that has much else to do.
const pageLimit = 20 * time.Minute
