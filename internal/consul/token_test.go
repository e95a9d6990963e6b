package consul_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestWatch_TakesAReplacedToken has an agent that refuses its token from some moment on.
func TestWatch_TakesAReplacedToken(t *testing.T) {
	var good atomic.Value
	good.Store("one")
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Consul-Token") != good.Load() {
			http.Error(w, "ACL not found", http.StatusForbidden)
			return
		}
		time.Sleep(10 * time.Millisecond) // as if it blocked
		w.Header().Set("X-Consul-Index", "1")
		w.Header().Set("X-Consul-KnownLeader", "true")
		w.Write([]byte("[]"))
	}))
	defer agent.Close()
	file := filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", file)
	c, err := consul.New(consul.Config{Addr: agent.URL, Cluster: "blue"})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	err = c.Watch(t.Context(), func(fleet.Observation) {
		if told++; told == 1 {
			good.Store("two")
		}
	})
	if told == 0 || err == nil {
		t.Errorf("told %d times, %v; want an end by the revoked token", told, err)
	}
	put("two")
	time.Sleep(time.Second) // a file is read once a second
	told = 1
	err = c.Watch(t.Context(), func(fleet.Observation) {
		if told++; told == 3 {
			good.Store("three")
		}
	})
	if told < 3 || err == nil {
		t.Errorf("told %d times with the new token, %v; want it to be taken", told-1, err)
	}
}
