package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peersCmd answers: what does a request cost through us, beside the proxies that people know, in the same run? Those that are not installed are left out, and said so.
type peersCmd struct {
	Concurrency int      `default:"16" help:"Connections."`
	Peers       []string `default:"nginx,haproxy,caddy" help:"Of nginx, haproxy and caddy."`
}

func (c *peersCmd) Run(ctx context.Context, o *options) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	engine, err := s.engine(ctx)
	if err != nil {
		return err
	}
	server, err := s.pilotlight(ctx, `idle_after = "1h"`)
	if err != nil {
		return err
	}
	targets := []*target{&server.target}
	versions := []string{}
	for _, name := range c.Peers {
		t, version, err := s.peer(ctx, name, engine)
		if err != nil {
			fmt.Fprintf(os.Stderr, "without %s: %v\n", name, err)
			continue
		}
		targets, versions = append(targets, t), append(versions, version)
	}
	for _, t := range targets {
		if err := t.warm(); err != nil {
			return err
		}
	}
	rate, p50 := samples{}, samples{}
	cpu, err := cost(o.Pairs, targets, func(t *target) (int, error) {
		latencies, err := closedLoop(ctx, t, c.Concurrency, o.Window)
		rate[t.name] = append(rate[t.name], float64(len(latencies))/o.Window.Seconds())
		p50[t.name] = append(p50[t.name], micros(quantiles(latencies, 0.5)[0]))
		return len(latencies), err
	})
	if err != nil {
		return err
	}
	r := report{
		Scenario: fmt.Sprintf("a small JSON request (600 B in, 400 B out) at concurrency %d, beside %s", c.Concurrency, strings.Join(versions, ", ")),
		Note:     "Pilotlight checks tokens and limits, meters, writes a usage record and picks an instance; the others forward. Client, engine and proxy share the machine.",
		Date:     time.Now().UTC().Format(time.DateOnly),
	}
	for _, t := range targets {
		r.Findings = append(
			r.Findings,
			summarize(t.name+" CPU per request", "us", "", cpu[t.name]),
			summarize(t.name+" requests per second", "1/s", "", rate[t.name]),
			summarize(t.name+" p50", "us", "", p50[t.name]))
		if t != &server.target {
			r.Findings = append(r.Findings, summarize("pilotlight / "+t.name+", CPU per request", "x", "", ratios(cpu["pilotlight"], cpu[t.name])))
		}
	}
	return r.write(o)
}

// peer starts a proxy before the engine, and gives its name with its version.
func (s *stage) peer(ctx context.Context, name string, engine *target) (*target, string, error) {
	var t *target
	var err error
	ask := []string{name, "-v"}
	switch name {
	case "nginx":
		t, err = s.nginx(ctx, engine)
	case "haproxy":
		t, err = s.proxy(ctx, name, engine, `global
  maxconn 4096
defaults
  mode http
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
`, "-db", "-f")
	case "caddy":
		ask = []string{name, "version"}
		t, err = s.proxy(ctx, name, engine, `{
	admin off
	auto_https off
}
http://%[1]s {
	reverse_proxy %[2]s {
		flush_interval -1
	}
}
`, "run", "--adapter", "caddyfile", "--config")
	default:
		err = fmt.Errorf("no peer %q; there are nginx, haproxy and caddy", name)
	}
	if err != nil {
		return nil, "", err
	}
	said, _ := exec.CommandContext(ctx, ask[0], ask[1:]...).CombinedOutput() // a version that it does not say is left out
	line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	return t, strings.TrimSpace(name + " (" + line + ")"), nil
}

// proxy starts a program of Debian's with a config, in which %[1]s is its own address and %[2]s the engine's; args end with the config's path.
func (s *stage) proxy(ctx context.Context, name string, engine *target, text string, args ...string) (*target, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		program = filepath.Join("/usr/sbin", name)
		if _, err := os.Stat(program); err != nil {
			return nil, fmt.Errorf("it is not installed; on Debian: apt-get install %s", name)
		}
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.dir, name+".conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, text, addr, engine.addr), 0o600); err != nil {
		return nil, fmt.Errorf("writing %s's config: %w", name, err)
	}
	p, err := start(filepath.Join(s.dir, name+".log"), []string{"HOME=" + s.dir}, program, slices.Concat(args, []string{config})...)
	if err != nil {
		return nil, err
	}
	s.cleanups = append(s.cleanups, func() { p.stop(time.Second) })
	return &target{name: name, addr: addr, proc: p}, awaitListening(ctx, addr, p)
}
