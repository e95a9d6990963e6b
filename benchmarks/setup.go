package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const adminToken = "benchmark-admin-token-0123456789"

// stage is a scenario's place: its directory and what it has started, stopped last first.
type stage struct {
	dir         string
	binary      string
	self        string
	descriptors int               // that servers may have; 0 = as many as we may
	api         string            // more of the config's block api
	store       string            // the config's block store; "" = SQLite
	versions    map[string]string // of the other programs that were started
	cleanups    []func()
}

func newStage(ctx context.Context, o *options) (*stage, error) {
	dir, err := os.MkdirTemp("", "pilotlight-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	s := &stage{dir: dir, binary: o.Binary, versions: make(map[string]string)}
	s.cleanups = append(s.cleanups, func() { os.RemoveAll(dir) })
	if s.self, err = selfPath(); err != nil {
		return nil, err
	}
	if s.binary == "" {
		s.binary = filepath.Join(dir, "pilotlight")
		build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "github.com/pilotlight-io/pilotlight/cmd/pilotlight")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building pilotlight: %w\n%s", err, out)
		}
	}
	return s, nil
}

// roomFor gives servers the descriptors for so many callers, of which they keep an eighth and some for themselves and a quarter of the rest for engines.
func (s *stage) roomFor(callers int) {
	if callers > 1000 {
		s.descriptors = (callers*4/3 + 600) * 8 / 7
	}
}

func (s *stage) close() {
	for len(s.cleanups) > 0 {
		s.end()
	}
}

// end stops what was started last.
func (s *stage) end() {
	last := len(s.cleanups) - 1
	s.cleanups[last]()
	s.cleanups = s.cleanups[:last]
}

// engine starts a fake engine that nobody but the scenario manages.
func (s *stage) engine(ctx context.Context) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(addr, ":")
	p, err := start(filepath.Join(s.dir, "engine.log"), nil, s.self, "engine", "--port", port)
	if err != nil {
		return nil, err
	}
	s.cleanups = append(s.cleanups, func() { p.stop(time.Second) })
	return &target{name: "direct", addr: addr}, awaitListening(ctx, addr, p)
}

// nginx starts Debian's nginx as a reverse proxy before the engine: keep-alive to it, no buffering, as one does for SSE.
func (s *stage) nginx(ctx context.Context, engine *target) (*target, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		return nil, errors.New("nginx is not installed; on Debian: apt-get install nginx-light")
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; worker_processes 2; worker_rlimit_nofile 16384; pid %[1]s/nginx.pid; error_log %[1]s/nginx.err;
events { worker_connections 8192; }
http {
  access_log off; client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
  keepalive_requests 1000000;
  upstream engines { least_conn; server %[2]s; keepalive 256; keepalive_requests 1000000; }
  server {
    listen %[3]s backlog=4096;
    location / { proxy_pass http://engines; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; }
  }
}
`, s.dir, engine.addr, addr)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("writing nginx's config: %w", err)
	}
	p, err := start(filepath.Join(s.dir, "nginx.log"), nil, program, "-c", config)
	if err != nil {
		return nil, err
	}
	s.cleanups = append(s.cleanups, func() { p.stop(time.Second) })
	p.pids = func() []int { return append(children(p.cmd.Process.Pid), p.cmd.Process.Pid) }
	s.versions["nginx"] = (&peerProgram{version: []string{"-v"}}).says(ctx, program)
	return &target{name: "nginx", addr: addr, proc: p}, awaitListening(ctx, addr, p)
}

// pilotlight is a running server with one model called bench.
type pilotlight struct {
	target
	admin  string
	config string // file
}

// sameUser lets the stand-in run as we do: it is a program of ours, in a directory of ours.
const sameUser = `pool "local" { engine_user = "same" }`

// pilotlight starts the real program with its embedded back end, one model on the fake engine, an org and a token.
func (s *stage) pilotlight(ctx context.Context, model string, engineArgs ...string) (*pilotlight, error) {
	return s.pilotlightWith(ctx, sameUser, model, engineArgs...)
}

func (s *stage) pilotlightWith(ctx context.Context, pool, model string, engineArgs ...string) (*pilotlight, error) {
	command, err := json.Marshal(append([]string{s.self, "engine"}, engineArgs...))
	if err != nil {
		return nil, fmt.Errorf("encoding the engine's command: %w", err)
	}
	return s.serve(ctx, fmt.Sprintf(`backend "local" { gpus = 8 }
%s
model "bench" {
  gpus            = 1
  endpoints       = ["chat", "completions"]
  max_concurrency = 4096
  queue {
    limit   = 20000
    per_org = 20000
  }
  %s
  engine "openai" {
    command = %s
    weights = "none"
  }
}
`, pool, model, command))
}

// against starts another program than the one to be measured, in the same way. One from before engine_user needs none.
func (s *stage) against(ctx context.Context, binary, model string) (*target, error) {
	defer func(ours string) { s.binary = ours }(s.binary)
	s.binary = binary
	server, err := s.pilotlightWith(ctx, sameUser, model)
	if err != nil {
		server, err = s.pilotlightWith(ctx, "", model)
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	server.name = "before"
	return &server.target, nil
}

// serve starts the real program with back end and models as given, an org and a token.
func (s *stage) serve(ctx context.Context, rest string) (*pilotlight, error) {
	server, err := s.launch(ctx, rest)
	if err != nil {
		return nil, err
	}
	server.token, err = s.issue(ctx, server, "bench")
	return server, err
}

// launch starts the real program with back end and models as given.
func (s *stage) launch(ctx context.Context, rest string) (*pilotlight, error) {
	api, err := freeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "server-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	config := filepath.Join(dir, "pilotlight.hcl")
	text := fmt.Sprintf(`api {
  addr = %q
  %s
}
admin { addr = %q }
%s
ledger { dir = "ledger" }
autoscaler { policy = "fixed" }
%s`, api, s.api, admin, cmp.Or(s.store, `store "sqlite" { path = "pilotlight.db" }`), rest)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("writing pilotlight's config: %w", err)
	}
	command := []string{s.binary, "serve", "--config", config}
	if s.descriptors > 0 {
		command = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, s.descriptors)}, command...)
	}
	p, err := start(filepath.Join(dir, "pilotlight.log"), []string{"PILOTLIGHT_ADMIN_TOKEN=" + adminToken}, command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	s.cleanups = append(s.cleanups, func() { p.stop(20 * time.Second) })
	server := &pilotlight{target: target{name: "pilotlight", addr: api, proc: p}, admin: admin, config: config}
	if err := awaitListening(ctx, api, p); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "pilotlight.log"))
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return server, nil
}

// issue creates an org and a token of it through the command line, as an operator would.
func (s *stage) issue(ctx context.Context, server *pilotlight, org string) (string, error) {
	if _, err := s.operator(ctx, server, "org", "create", org); err != nil {
		return "", err
	}
	_, token, err := s.newToken(ctx, server, org)
	return token, err
}

// newToken makes another token of an org.
func (s *stage) newToken(ctx context.Context, server *pilotlight, org string) (id, token string, err error) {
	out, err := s.operator(ctx, server, "token", "create", "--org", org, "--name", "bench", "--json")
	if err != nil {
		return "", "", err
	}
	var created struct{ ID, Token string }
	if err := json.Unmarshal(out, &created); err != nil {
		return "", "", fmt.Errorf("reading the token from %q: %w", out, err)
	}
	return created.ID, created.Token, nil
}

// operator runs a command of pilotlight's against a server.
func (s *stage) operator(ctx context.Context, server *pilotlight, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.binary, append(args, "--addr", "http://"+server.admin)...)
	cmd.Env = append(os.Environ(), "PILOTLIGHT_ADMIN_TOKEN="+adminToken)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running pilotlight %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// warm sends one request, so that the engine is ready.
func (t *target) warm() error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if err := c.exchange(t.request("hello", false)); err != nil {
		return fmt.Errorf("warming %s: %w", t.name, err)
	}
	return nil
}

// get reads a page of the admin API.
func (p *pilotlight) get(ctx context.Context, path string, into any) error {
	body, err := p.read(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// read gives what the admin listener says at a path.
func (p *pilotlight) read(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for %s: status %d: %s", path, answer.StatusCode, body)
	}
	return body, nil
}

// waiting is how many requests of a model wait.
func (p *pilotlight) waiting(ctx context.Context, of string) (int, error) {
	var model struct{ Waiting int }
	err := p.get(ctx, "/api/models/"+of, &model)
	return model.Waiting, err
}
