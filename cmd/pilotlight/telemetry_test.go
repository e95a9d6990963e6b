package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/telemetry/collector"
)

// TestDev_TellsOfRequests has a server with an access log and traces start a simulated engine, for two requests at once.
func TestDev_TellsOfRequests(t *testing.T) {
	c, endpoint := collector.OverGRPC(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "pilotlight.hcl")
	text := `api { access_log = "access.log" }
telemetry {
  otlp_endpoint = "` + endpoint + `"
  otlp_protocol = "grpc"
}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	s := startDev(t, dir, "--config", file, "--sim-speed", "200")
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	answers := make(chan error, 2)
	for _, id := range []string{"one", "two"} {
		go func() {
			a, err := s.chat(t.Context(), model, true, "X-Request-Id", id)
			if err == nil && !a.whole() {
				t.Errorf("%s: got %d %s", id, a.status, a.body)
			}
			answers <- err
		}()
	}
	for range 2 {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	spans := c.Await(func(s []collector.Span) bool { return len(collector.Named(s, "chat")) == 2 })
	phases := map[string]int{}
	for _, p := range collector.Named(spans, "phase") {
		phases[p.Name]++
	}
	if phases["phase starting"] != 1 || phases["phase loading"] != 1 || phases["phase probing"] != 1 {
		t.Errorf("got phases %v, want those of one start, each once", phases)
	}
	for _, s := range collector.Named(spans, "chat") {
		if s.Attributes["pilotlight.start"] != "cold" || s.Attributes["gen_ai.usage.output_tokens"] != int64(8) || s.Resource["service.name"] != "pilotlight" {
			t.Errorf("got %+v, want a cold start of this server, with its tokens", s)
		}
	}

	log := filepath.Join(dir, "access.log")
	lines := logLines(t, log, 2)
	for _, l := range lines {
		if l["start"] != "cold" || l["model"] != model || l["status"] != 200.0 || l["trace_id"] == nil || l["activate_us"].(float64) == 0 {
			t.Errorf("got %v, want a cold start with its trace", l)
		}
	}
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logLines(t, log, 0) // it is there again, before anything is written
	if _, err := s.chat(t.Context(), model, false); err != nil {
		t.Fatal(err)
	}
	logLines(t, log, 1)
	token, err := readSecret(filepath.Join(s.DataDir, adminTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	scrape := scrape(t, s.Admin, token)
	for _, want := range []string{"pilotlight_access_log_lines_total 3", "pilotlight_access_log_dropped_total 0", `pilotlight_spans_dropped_total{reason="queue_full"} 0`} {
		if !strings.Contains(scrape, want+"\n") {
			t.Errorf("got no %s at /metrics", want)
		}
	}
}

// scrape gives the text of /metrics.
func scrape(t *testing.T, addr, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d, %v: %s", resp.StatusCode, err, text)
	}
	return string(text)
}

// logLines waits for so many lines of an access log.
func logLines(t *testing.T, path string, n int) (lines []map[string]any) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Count(text, []byte{'\n'}) >= n {
			for line := range strings.Lines(string(text)) {
				var l map[string]any
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatalf("got %q: %v", line, err)
				}
				lines = append(lines, l)
			}
			if len(lines) != n {
				t.Errorf("got %d lines in %s, want %d", len(lines), path, n)
			}
			return lines
		}
		if time.Now().After(end) {
			t.Fatalf("got %q, %v; want %d lines", text, err, n)
		}
	}
}
