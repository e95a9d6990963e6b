package nomad_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// TestDo_TakesAReplacedToken has a server that refuses its token from some moment on.
func TestDo_TakesAReplacedToken(t *testing.T) {
	var good atomic.Value
	good.Store("one")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Nomad-Token") != good.Load() {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(api.JobDeregisterResponse{})
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	t.Setenv("NOMAD_TOKEN", "older")
	t.Setenv("NOMAD_TOKEN_FILE", file)
	n, err := nomad.New(nomad.Config{Cluster: "c", Addr: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	stop := fleet.Act{Kind: fleet.ActStop, Instance: "i", Model: "m"}
	if err := n.Do(t.Context(), stop); err != nil {
		t.Errorf("with the file's token: %v", err)
	}
	good.Store("two")
	if err := n.Do(t.Context(), stop); err == nil {
		t.Error("a token that was revoked is taken")
	}
	put("two")
	time.Sleep(time.Second) // a file is read once a second
	if err := n.Do(t.Context(), stop); err != nil {
		t.Errorf("with the new token: %v", err)
	}
}
