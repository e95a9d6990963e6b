package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/config"
)

// TestUses lists what the server's own machine must have: nothing of Nomad's nodes, no Hugging Face id, and not our own simulator.
func TestUses(t *testing.T) {
	const models = `
model "acme/a" {
  gpus = 1
  engine "vllm" {
    image   = "vllm"
    command = ["/opt/vllm/bin/vllm"]
    weights = "/srv/a"
  }
}
model "acme/b" {
  gpus = 1
  engine "trtllm" {
    weights = "acme/b"
  }
}
`
	const sim = `
model "acme/c" {
  gpus = 1
  engine "sim" {}
}
`
	dir := t.TempDir()
	check := func(text string) []config.Use {
		path := filepath.Join(dir, "pilotlight.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, uses, err := config.Check(path)
		if err != nil {
			t.Fatal(err)
		}
		return uses
	}
	if diff := cmp.Diff([]config.Use{
		{Path: filepath.Join(dir, "data"), For: "directory of the store", Line: 1},
		{Program: true, Path: "/opt/vllm/bin/vllm", For: `engine of model "acme/a"`, Line: 6},
		{Path: "/srv/a", For: `weights of model "acme/a"`, Line: 7},
		{Program: true, Path: "trtllm-serve", For: `engine of model "acme/b"`, Line: 12},
	}, check(`store "sqlite" { path = "data/pilotlight.db" }`+models+sim)); diff != "" {
		t.Errorf("local (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]config.Use{
		{Path: filepath.Join(dir, "a.pem"), For: "certificate of the public listener", Line: 3},
		{Path: "/etc/a.key", For: "key of the public listener", Line: 4},
		{Path: "/etc/ca.pem", For: "CAs of callers of the public listener", Line: 5},
	}, check("api {\n  tls {\n    cert = \"a.pem\"\n    key = \"/etc/a.key\"\n    client_ca = \"/etc/ca.pem\"\n  }\n}\n"+`backend "nomad" {}`+models)); diff != "" {
		t.Errorf("TLS (-want +got):\n%s", diff)
	}
	if uses := check(`backend "nomad" {}` + models); len(uses) != 0 {
		t.Errorf("on Nomad: got %+v, want none", uses)
	}
}
