//go:build unix

package nomadjobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

// TestFiles_PassARealNomad has each file, with each of the value files, parsed, validated and planned by a server.
func TestFiles_PassARealNomad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Nomad and Consul; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds both
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Config{Nodes: 2, GPUs: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	models, err := fs.Glob(nomadjobs.Files, "models/*.hcl")
	if err != nil || len(models) != 8 {
		t.Fatalf("got %v, %v; want the values of eight models", models, err)
	}
	for _, name := range append(engines, nomadjobs.Slot, nomadjobs.Pilotlight, nomadjobs.Servers) {
		check(t, c, name, "")
	}
	check(t, c, nomadjobs.Slot, `
		driver = "raw_exec"
		host_memory = "1.5TiB"
		secrets = ["pilotlight/engine", "pilotlight/other"]
		env = { A = "b" }
	`)
	check(t, c, nomadjobs.Slot, "consul = \"off\"\ngpus = 2\ngpu_model = \"H100\"\nulimits = { stack = \"67108864\" }\nipc_mode = \"private\"\n")
	check(t, c, nomadjobs.Slot, "volumes = [\"/srv/weights:/srv/weights:ro\"]\n")
	for _, name := range engines {
		check(t, c, name, "secrets = \"pilotlight/engine\"\nenv = { A = \"b\" }\n")
		for _, m := range models {
			check(t, c, name, m)
		}
	}
}

// check has one file parsed, validated and planned. values is the name of a value file, or the text of one.
func check(t *testing.T, c *cluster.Cluster, name, values string) {
	t.Helper()
	variables := values
	if strings.HasPrefix(values, "models/") {
		variables = read(t, values)
	}
	var job map[string]any
	if !ask(t, c, "/v1/jobs/parse", map[string]any{"JobHCL": read(t, name), "Variables": variables, "Canonicalize": true}, &job) {
		t.Errorf("%s with %q is not parsed", name, values)
		return
	}
	var verdict struct {
		ValidationErrors []string
		Error, Warnings  string
	}
	ask(t, c, "/v1/validate/job", map[string]any{"Job": job}, &verdict)
	if len(verdict.ValidationErrors) > 0 || verdict.Error != "" || verdict.Warnings != "" {
		t.Errorf("%s with %q: %+v", name, values, verdict)
	}
	var plan struct {
		FailedTGAllocs map[string]struct{ ConstraintFiltered, DimensionExhausted map[string]int }
	}
	ask(t, c, path.Join("/v1/job", job["ID"].(string), "plan"), map[string]any{"Job": job}, &plan)
	for group, failed := range plan.FailedTGAllocs {
		_, docker := failed.ConstraintFiltered["missing drivers"] // the test's nodes run no docker
		if name != nomadjobs.Dedicated && name != nomadjobs.Slot || !docker {
			t.Errorf("%s with %q: group %s would not be placed: %+v", name, values, group, failed)
		}
	}
}

// ask posts a question to the server, and reports whether it was answered.
func ask(t *testing.T, c *cluster.Cluster, path string, question, answer any) bool {
	t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(c.Nomad.Addr+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s: %s", path, response.Status, text)
		return false
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Errorf("%s: %v in %s", path, err, text)
		return false
	}
	return true
}
