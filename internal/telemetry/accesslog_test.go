package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/telemetry"
)

// logging runs an access log until the function that it gives is called, which waits until all is written.
func logging(t *testing.T, c telemetry.AccessLogConfig) (*telemetry.AccessLog, func()) {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	l, err := telemetry.NewAccessLog(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return l, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	}
}

func series(l *telemetry.AccessLog, name string) string {
	var out strings.Builder
	l.Metrics().WritePrometheus(&out)
	for line := range strings.Lines(out.String()) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestAccessLog_Line(t *testing.T) {
	var out bytes.Buffer
	l, stop := logging(t, telemetry.AccessLogConfig{Path: telemetry.Stdout, Stdout: &out})
	l.Add(&telemetry.Request{
		At: time.Date(2026, 11, 29, 20, 0, 0, 1000, time.UTC), Took: 4 * time.Millisecond, ID: "r-1", Org: "acme", TokenID: "t-1", Method: "POST", Path: "/v1/chat/completions",
		Endpoint: "chat", Model: "m", Stream: true, Instance: "k3x-1", Start: "cold", Status: 200, Outcome: "complete", Queue: time.Microsecond, Activate: 2 * time.Microsecond,
		TTFT: 3 * time.Microsecond, Upstream: 4 * time.Microsecond, Billed: 5 * time.Microsecond, BytesIn: 6, BytesOut: 7, PromptTokens: 8, CompletionTokens: 9, TokensKnown: true,
		TraceID: "0af7651916cd43dd8448eb211c80319c",
	})
	l.Add(&telemetry.Request{At: time.Date(2026, 11, 29, 20, 0, 1, 0, time.UTC), ID: "r-2", Method: "GET", Path: "/" + strings.Repeat("é", 300) + "\n", Status: 404, Code: "not_found"})
	stop()
	lines := strings.SplitAfter(out.String(), "\n")
	const want = `{"at":"2026-11-29T20:00:00.000001Z","request_id":"r-1","trace_id":"0af7651916cd43dd8448eb211c80319c","org":"acme","token_id":"t-1","method":"POST","path":"/v1/chat/completions",` +
		`"model":"m","stream":true,"instance":"k3x-1","start":"cold","status":200,"code":null,"took_us":4000,"queue_us":1,"activate_us":2,"ttft_us":3,"upstream_us":4,"billed_us":5,` +
		`"bytes_in":6,"bytes_out":7,"prompt_tokens":8,"completion_tokens":9}` + "\n"
	if lines[0] != want {
		t.Errorf("got  %swant %s", lines[0], want)
	}
	var second map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &second); err != nil || len(lines[1]) > 1024 || second["prompt_tokens"] != nil || second["code"] != "not_found" {
		t.Errorf("got %q, %v; want one bounded line of JSON", lines[1], err)
	}
}

func TestAccessLog_FollowsItsFilesName(t *testing.T) {
	for name, asked := range map[string]bool{"reopened": true, "found out": false} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			l, stop := logging(t, telemetry.AccessLogConfig{Path: path})
			l.Add(&telemetry.Request{ID: "first"})
			await(t, func() bool { return series(l, "pilotlight_access_log_lines_total") == "1" })
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			if asked {
				l.Reopen()
				await(t, func() bool { _, err := os.Stat(path); return err == nil })
			} else {
				time.Sleep(1100 * time.Millisecond) // the name is looked up once a second
			}
			l.Add(&telemetry.Request{ID: "second"})
			stop()
			for file, want := range map[string]string{path + ".1": "first", path: "second"} {
				text, err := os.ReadFile(file)
				if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), want) {
					t.Errorf("%s: got %q, %v; want the one line of %s", file, text, err, want)
				}
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("got %v, %v; want a file that is its owner's alone", info, err)
			}
		})
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("got nothing in 10 s")
		}
	}
}

// TestAccessLog_ASlowDiskCostsNothing adds more than the queue holds to a log whose writes hang.
func TestAccessLog_ASlowDiskCostsNothing(t *testing.T) {
	r, w := io.Pipe() // nobody reads it
	l, stop := logging(t, telemetry.AccessLogConfig{Path: telemetry.Stdout, Stdout: w, Buffer: 4})
	const added = 100
	for range added {
		l.Add(&telemetry.Request{ID: "r"})
	}
	dropped := series(l, "pilotlight_access_log_dropped_total")
	if dropped == "0" || dropped == "" {
		t.Errorf("got %q lines dropped, want what the queue did not hold", dropped)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	stop()
	_ = w.Close()
}

// failing refuses writes until it is mended; the first of them it cuts short.
type failing struct {
	bytes.Buffer
	broken bool
}

func (f *failing) Write(b []byte) (int, error) {
	if f.broken {
		n, _ := f.Buffer.Write(b[:min(len(b), 5)])
		f.broken = false
		return n, os.ErrClosed
	}
	return f.Buffer.Write(b)
}

func TestAccessLog_LinesThatCannotBeWrittenAreCounted(t *testing.T) {
	out, log := &failing{broken: true}, &bytes.Buffer{}
	l, stop := logging(t, telemetry.AccessLogConfig{Path: telemetry.Stdout, Stdout: out, Log: slog.New(slog.NewTextHandler(log, nil))})
	l.Add(&telemetry.Request{ID: "lost"})
	await(t, func() bool { return series(l, "pilotlight_access_log_dropped_total") == "1" })
	l.Add(&telemetry.Request{ID: "kept"})
	stop()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !json.Valid([]byte(lines[1])) || !strings.Contains(lines[1], "kept") {
		t.Errorf("got %q, want what was cut short on a line of its own", lines)
	}
	if text := log.String(); strings.Count(text, "dropped") != 1 || strings.Count(text, "written again") != 1 {
		t.Errorf("got log %q, want the trouble and its end, once each", text)
	}
}

func TestNewAccessLog_APathThatDoesNotWork(t *testing.T) {
	_, err := telemetry.NewAccessLog(telemetry.AccessLogConfig{Path: filepath.Join(t.TempDir(), "absent", "access.log")})
	if err == nil || !strings.Contains(err.Error(), "access.log") {
		t.Errorf("got %v, want the path named", err)
	}
}
