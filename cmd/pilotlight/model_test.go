package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestModel_MarksInstancesThatWereLaunchedOtherwise has the commands talk to a server of canned answers.
func TestModel_MarksInstancesThatWereLaunchedOtherwise(t *testing.T) {
	config := &admin.Spec{GPUs: 8, MaxConcurrency: 64, ParkedMemory: "64GiB", Kind: fleet.EngineTRTLLM, Args: []string{"--max_batch_size", "256"}}
	older := &admin.Spec{GPUs: 4, MaxConcurrency: 64, ParkedMemory: "64GiB", Kind: fleet.EngineTRTLLM, Args: []string{}}
	instances := []admin.Instance{
		{ID: "i-older", Model: "acme/a", State: fleet.Ready, Slot: "s-1", Spec: older, Configured: config},
		{ID: "i-new", Model: "acme/a", State: fleet.Ready, Slot: "s-2", Spec: config},
		{ID: "i-silent", Model: "acme/b", State: fleet.Ready, Slot: "s-3"},
	}
	a := admin.Model{ID: "acme/a", State: "hot", GPUs: 8, Live: instances[:2]}
	answers := map[string]any{
		"/api/models/acme%2Fa": a,
		"/api/models":          map[string]any{"models": []admin.Model{a, {ID: "acme/b", State: "hot", GPUs: 2}}},
		"/api/instances":       map[string]any{"instances": instances},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(answers[r.URL.EscapedPath()])
	}))
	defer server.Close()
	ask := func(args ...string) string {
		var out, talk bytes.Buffer
		env := &Env{Stdout: &out, Stderr: &talk, Getenv: func(name string) string {
			return map[string]string{addrVariable: server.URL, adminTokenVariable: "secret"}[name]
		}}
		if code := run(t.Context(), args, env); code != 0 {
			t.Fatalf("%v: exit status %d, %s", args, code, &talk)
		}
		return out.String()
	}
	shown := ask("model", "show", "acme/a")
	for _, want := range []string{
		"i-older ready on s-1 * launched with gpus 4 (config: 8), args [] (config: [--max_batch_size 256])\n",
		"i-new ready on s-2\n",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("model show: no %q in\n%s", want, shown)
		}
	}
	if listed := strings.Fields(strings.Split(ask("model", "list"), "\n")[1]); listed[2] != "8*" {
		t.Errorf("model list: got %q GPUs, want 8*", listed[2])
	}
	if listed := strings.Fields(strings.Split(ask("model", "list"), "\n")[2]); listed[2] != "2" {
		t.Errorf("model list: got %q GPUs of a model of whose instances nothing is said, want 2", listed[2])
	}
}
