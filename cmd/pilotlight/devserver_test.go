package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// devServer is `pilotlight dev` in a process of its own.
type devServer struct {
	banner
	cmd    *exec.Cmd
	ended  chan struct{} // closed once err is set
	err    error
	stderr *lockedBuffer
}

// launchDev starts `pilotlight dev` on free ports and returns once it has printed its banner.
func launchDev(dir string, args ...string) (*devServer, error) {
	line := []string{"dev", "--json", "--api-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", dir}
	cmd := exec.Command(os.Args[0], append(line, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return beginDev(cmd)
}

func beginDev(cmd *exec.Cmd) (*devServer, error) {
	s := &devServer{cmd: cmd, ended: make(chan struct{}), stderr: &lockedBuffer{}}
	s.cmd.Stderr = s.stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	decoded := json.NewDecoder(stdout).Decode(&s.banner)
	go func() { // ends with the process, which every test awaits
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	if decoded != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended
		return nil, fmt.Errorf("dev did not start: %w\n%s", decoded, s.stderr)
	}
	return s, nil
}

// startDev is launchDev for a test: the server is stopped at its end, and its log is shown if the test has failed.
func startDev(t *testing.T, dir string, args ...string) *devServer {
	t.Helper()
	s, err := launchDev(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.signal(os.Interrupt); err != nil {
			t.Errorf("stopping dev: got %v, want exit status 0", err)
		}
		if t.Failed() {
			t.Logf("log of dev:\n%s", s.stderr)
		}
	})
	return s
}

// signal ends the process and gives how it ended. One that has ended before is no error.
func (s *devServer) signal(sig os.Signal) error {
	select {
	case <-s.ended:
		return nil
	default:
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return s.err
	case <-time.After(40 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
		return fmt.Errorf("did not end within 40 s of %v:\n%s", sig, s.stderr)
	}
}

// kill ends the process as kill -9 does.
func (s *devServer) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// admin is a client of the server's admin API.
func (s *devServer) admin(t *testing.T) *admin.Client {
	t.Helper()
	token, err := readSecret(filepath.Join(s.DataDir, adminTokenFile))
	if err != nil {
		t.Fatal(err)
	}
	return &admin.Client{BaseURL: s.Admin, Token: token}
}

// answer is what a caller got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// whole reports whether the caller has all of a good answer.
func (a *answer) whole() bool {
	return a.err == nil && a.status == http.StatusOK && (!a.stream() || strings.HasSuffix(a.body, "data: [DONE]\n\n"))
}

func (a *answer) stream() bool {
	return strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream")
}

// chat sends one chat request.
func (s *devServer) chat(ctx context.Context, model string, stream bool, header ...string) (*answer, error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "stream": stream, "max_tokens": 8,
		"messages": []any{map[string]string{"role": "user", "content": "What is a pilot light?"}},
	})
	if err != nil {
		return nil, err
	}
	return s.post(ctx, "/chat/completions", body, header...)
}

// post sends one request with the token; header is names and values in turn.
func (s *devServer) post(ctx context.Context, path string, body []byte, header ...string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.API+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return &answer{status: response.StatusCode, header: response.Header, body: string(text), err: err}, nil
}

// mustChat is chat for a request that has to succeed.
func (s *devServer) mustChat(t *testing.T, model string, stream bool, header ...string) *answer {
	t.Helper()
	a, err := s.chat(t.Context(), model, stream, header...)
	if err != nil {
		t.Fatalf("chat with %s: %v", model, err)
	}
	if !a.whole() {
		t.Fatalf("chat with %s: got status %d, error %v and body %q, want a whole answer", model, a.status, a.err, a.body)
	}
	return a
}

// states gives the state of every model.
func states(t *testing.T, c *admin.Client) map[string]string {
	t.Helper()
	models, err := c.Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, m := range models {
		out[m.ID] = m.State
	}
	return out
}

// eventually waits until check gives "", at most for so long; else the test fails with what check said last.
func eventually(t *testing.T, most time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(most)
	for {
		said := check()
		if said == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still: %s", most, said)
		}
		time.Sleep(10 * time.Millisecond) // a poll of another process, bounded by the deadline
	}
}

// children lists the live child processes of a process, by what /proc says (Linux).
func children(pid int) []int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var out []int
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// alive reports whether a process exists and is more than a zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// lockedBuffer is a buffer that one goroutine writes while another reads it.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Len()
}

// config writes a config file for a test and gives its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pilotlight.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// required fails the test where everything optional is required, else skips it.
func required(t *testing.T, missing string) {
	t.Helper()
	if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}
