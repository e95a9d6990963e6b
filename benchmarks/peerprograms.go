package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peerProgram is another proxy that can be started before the engine.
type peerProgram struct {
	name    string
	install string   // what to say where it is missing
	version []string // arguments with which it says its version; nil = its Python package does
	token   string   // that it wants of callers
	env     []string
	// args gives its arguments. It listens at addr, and forwards to engine; config is the path of a file with the text, if there is one.
	args func(addr, engine, config string) []string
	text string // of its config: %[1]s is its own address, %[2]s the engine's; "" = it needs none
}

const fromPython = "install it with benchmarks/peers/install"

var peerPrograms = []peerProgram{
	{name: "nginx"}, // the mark of every pair: setup.go
	{
		name: "haproxy", install: "on Debian: apt-get install haproxy", version: []string{"-v"},
		args: func(_, _, config string) []string { return []string{"-db", "-f", config} },
		text: `global
  maxconn 4096
defaults
  mode http
  option http-no-delay
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend in
  bind %[1]s
  default_backend engines
backend engines
  balance leastconn
  http-reuse always
  server one %[2]s
`,
	},
	{
		name: "caddy", install: "on Debian: apt-get install caddy", version: []string{"version"},
		args: func(_, _, config string) []string {
			return []string{"run", "--adapter", "caddyfile", "--config", config}
		},
		text: `{
	admin off
	auto_https off
}
http://%[1]s {
	reverse_proxy %[2]s {
		flush_interval -1
	}
}
`,
	},
	{name: "net/http"}, // this program itself: nethttp.go
	{
		name: "sglang-router", install: fromPython,
		args: func(addr, engine, _ string) []string {
			host, port, _ := strings.Cut(addr, ":")
			return []string{"launch", "--host", host, "--port", port, "--worker-urls", "http://" + engine, "--policy", "round_robin", "--prometheus-port", freePort(), "--log-level", "error"}
		},
	},
	{
		name: "vllm-router", install: fromPython,
		args: func(addr, engine, _ string) []string {
			host, port, _ := strings.Cut(addr, ":")
			return []string{"--host", host, "--port", port, "--worker-urls", "http://" + engine, "--policy", "round_robin", "--prometheus-port", freePort(), "--log-level", "error"}
		},
	},
	{
		name: "litellm", install: fromPython, token: "sk-bench", env: []string{"LITELLM_LOCAL_MODEL_COST_MAP=True"},
		args: func(addr, _, config string) []string {
			host, port, _ := strings.Cut(addr, ":")
			return []string{"--config", config, "--host", host, "--port", port, "--num_workers", "2", "--telemetry", "False"}
		},
		text: `model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://%[2]s/v1
      api_key: none
general_settings:
  master_key: sk-bench
`,
	},
}

// start starts the program with its config, and returns when it listens.
func (p *peerProgram) start(ctx context.Context, s *stage, engine *target) (*target, error) {
	switch p.name {
	case "nginx":
		return s.nginx(ctx, engine)
	case "net/http":
		return s.netHTTP(ctx, engine)
	}
	program, err := p.find()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.dir, p.name+".conf")
	if p.text != "" {
		if err := os.WriteFile(config, fmt.Appendf(nil, p.text, addr, engine.addr), 0o600); err != nil {
			return nil, fmt.Errorf("writing %s's config: %w", p.name, err)
		}
	}
	process, err := start(filepath.Join(s.dir, p.name+".log"), append(p.env, "HOME="+s.dir), program, p.args(addr, engine.addr, config)...)
	if err != nil {
		return nil, err
	}
	s.cleanups = append(s.cleanups, func() { process.stop(2 * time.Second) })
	process.pids = func() []int { return descendants(process.cmd.Process.Pid) }
	s.versions[p.name] = p.says(ctx, program)
	return &target{name: p.name, addr: addr, token: p.token, proc: process}, awaitListening(ctx, addr, process)
}

// find looks for the program: on the path, among Debian's servers, and where peers/install puts it.
func (p *peerProgram) find() (string, error) {
	if program, err := exec.LookPath(p.name); err == nil {
		return program, nil
	}
	cache, _ := os.UserCacheDir() // without one, the folder has to be named
	for _, program := range []string{
		filepath.Join("/usr/sbin", p.name),
		filepath.Join(cmp.Or(os.Getenv("PILOTLIGHT_PEERS"), filepath.Join(cache, "pilotlight", "peers")), p.name, "bin", p.name),
	} {
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("it is not installed; %s", p.install)
}

// says is the version that it gives of itself. One that it does not say is left out.
func (p *peerProgram) says(ctx context.Context, program string) string {
	ask := append([]string{program}, p.version...)
	if p.version == nil {
		ask = []string{filepath.Join(filepath.Dir(program), "python"), "-c", fmt.Sprintf("import importlib.metadata as m; print(m.version(%q))", p.name)}
	}
	said, err := exec.CommandContext(ctx, ask[0], ask[1:]...).CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	for _, word := range strings.Fields(line) {
		if word = strings.TrimPrefix(word[strings.LastIndexByte(word, '/')+1:], "v"); strings.IndexFunc(word, func(r rune) bool { return r < '0' || r > '9' }) == strings.IndexByte(word, '.') && strings.Contains(word, ".") {
			return word
		}
	}
	return line
}

// descendants are a process and all that it has started, and those have.
func descendants(pid int) []int {
	all := []int{pid}
	for _, child := range children(pid) {
		all = slices.Concat(all, descendants(child))
	}
	return all
}

func freePort() string {
	addr, err := freeAddr()
	if err != nil {
		return "0"
	}
	_, port, _ := strings.Cut(addr, ":")
	return port
}
