//go:build unix

package nomadjobs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

func TestDocs_TheNodesConfigIsOne(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Nomad; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds it
	defer cancel()
	program, err := cluster.Nomad(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/nomad.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```hcl\n(data_dir.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the page has no config of a node")
	}
	file := filepath.Join(t.TempDir(), "node.hcl")
	if err := os.WriteFile(file, block[1], 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, program, "config", "validate", file).CombinedOutput(); err != nil {
		t.Errorf("Nomad does not take it: %v\n%s", err, out)
	}
}

func TestDocs_NameEveryPolicy(t *testing.T) {
	text, err := os.ReadFile("../docs/nomad.md")
	if err != nil {
		t.Fatal(err)
	}
	policies, err := nomadjobs.Files.ReadDir("policies")
	if err != nil || len(policies) == 0 {
		t.Fatalf("got %v, %v; want policies", policies, err)
	}
	for _, p := range policies {
		if !strings.Contains(string(text), "](../nomad-jobs/policies/"+p.Name()+")") {
			t.Errorf("the page has no link to %s", p.Name())
		}
	}
}
