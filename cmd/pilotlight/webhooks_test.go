package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// billing is an operator's endpoint.
type billing struct {
	mu     sync.Mutex
	status int
	seen   map[string]int // event ID -> how often it was taken
	tried  int
}

func (b *billing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var events []struct{ ID, Type, Subject string }
	if err != nil || json.Unmarshal(body, &events) != nil || !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
		http.Error(w, "no signed batch", http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tried++
	if b.status/100 == 2 {
		for _, e := range events {
			b.seen[e.ID]++
		}
	}
	w.WriteHeader(b.status)
}

func (b *billing) answers(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
}

// TestWebhook_EachRecordArrivesThoughEndpointAndServerFail kills the server while its endpoint is down.
func TestWebhook_EachRecordArrivesThoughEndpointAndServerFail(t *testing.T) {
	notQuick(t)
	endpoint := &billing{status: http.StatusOK, seen: map[string]int{}}
	receiver := httptest.NewServer(endpoint)
	defer receiver.Close()
	t.Setenv("BILLING_SECRET", strings.Repeat("s", 32))
	config := writeConfig(t, fmt.Sprintf("webhook \"billing\" {\n  url        = %q\n  secret_env = \"BILLING_SECRET\"\n}\n", receiver.URL))
	dir, model := t.TempDir(), "meta-llama/Meta-Llama-3.1-8B-Instruct"
	arrived := func(s *devServer, want int) {
		t.Helper()
		eventually(t, 20*time.Second, func() string {
			page, err := s.admin(t).Records(t.Context(), "", "", 0)
			if err != nil || len(page.Records) != want {
				return fmt.Sprintf("%d records, %v, want %d", len(page.Records), err, want)
			}
			endpoint.mu.Lock()
			defer endpoint.mu.Unlock()
			for _, r := range page.Records {
				if endpoint.seen[r.ID] == 0 {
					return "the record " + r.ID + " has not arrived"
				}
			}
			return ""
		})
	}

	s, err := launchDev(dir, "--config", config, "--sim-speed", "1000")
	if err != nil {
		t.Fatal(err)
	}
	s.mustChat(t, model, false)
	arrived(s, 1)
	endpoint.answers(http.StatusInternalServerError)
	s.mustChat(t, model, true)
	eventually(t, 20*time.Second, func() string {
		endpoint.mu.Lock()
		defer endpoint.mu.Unlock()
		if endpoint.tried < 3 {
			return "the endpoint was not asked again"
		}
		return ""
	})
	if code, out, talk := commands(s)("webhook", "list"); code != 0 || !strings.Contains(out, "billing") || !strings.Contains(out, "failing") {
		t.Errorf("webhook list: status %d\n%s%s", code, out, talk)
	}
	s.kill()

	endpoint.answers(http.StatusNoContent)
	s = startDev(t, dir, "--config", config, "--sim-speed", "1000")
	arrived(s, 2)
	if code, out, talk := commands(s)("webhook", "resume", "billing", "--from", "start", "--json"); code != 0 || !strings.Contains(out, `"sending"`) {
		t.Errorf("webhook resume: status %d\n%s%s", code, out, talk)
	}
	eventually(t, 20*time.Second, func() string {
		endpoint.mu.Lock()
		defer endpoint.mu.Unlock()
		for id, times := range endpoint.seen {
			if times < 2 {
				return id + " was not sent again from the start"
			}
		}
		return ""
	})
}

func TestWebhook_WithoutItsSecretNothingStarts(t *testing.T) {
	config := writeConfig(t, "webhook \"billing\" {\n  url        = \"https://h.test/\"\n  secret_env = \"NO_SUCH_SECRET\"\n}\n")
	s, err := launchDev(t.TempDir(), "--config", config)
	if err == nil {
		s.kill()
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), `NO_SUCH_SECRET is not set; it must hold the secret of webhook "billing"`) {
		t.Errorf("got %v", err)
	}
}
