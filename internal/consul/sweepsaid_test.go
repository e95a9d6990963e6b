package consul_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/consul"
)

// TestSweep_SaysOnceWhatItTakesOut though a list that was read before, or another agent, has it once more.
func TestSweep_SaysOnceWhatItTakesOut(t *testing.T) {
	silent, err := json.Marshal([]map[string]any{{
		"Node":    map[string]any{"Node": "n1"},
		"Service": map[string]any{"ID": "s-a", "Meta": map[string]string{"pilotlight_cluster": "blue", "pilotlight_instance": "a"}},
		"Checks":  []map[string]any{{"CheckID": "s-a-supervised", "Status": "critical"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t}
	removed := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/agent/service/deregister/s-a") {
			removed++
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	var log bytes.Buffer
	c, err := consul.New(consul.Config{Addr: server.URL, Cluster: "blue", Silent: time.Nanosecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.again(t, c, reply{index: 1, body: string(silent)}, reply{index: 2, body: string(silent)}, reply{index: 3, body: string(silent)}, reply{index: 4}); err != nil {
		t.Fatal(err)
	}
	if said := strings.Count(log.String(), "taken out of Consul"); removed != 2 || said != 1 {
		t.Errorf("got it removed %d times, and said %d times, want 2 and 1:\n%s", removed, said, log.String())
	}
}
