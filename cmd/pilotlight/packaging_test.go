package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDocs_ExamplesRun runs each example against dev, and knows all there are.
func TestDocs_ExamplesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts engines and interpreters; not in short runs")
	}
	s := startDev(t, t.TempDir(), "--sim-speed", "200")
	known := map[string]func(t *testing.T, file string) *exec.Cmd{
		"README.md": nil, // by TestDocs_CommandsRun, as orgs.hcl in the operators' page
		"orgs.hcl":  nil,
		"local.hcl": func(t *testing.T, file string) *exec.Cmd {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "config", "check", file)
			cmd.Env = []string{asProgram + "=1"}
			return cmd
		},
		"receipt.sh": func(t *testing.T, file string) *exec.Cmd { return exec.CommandContext(t.Context(), "sh", file) },
		"batch.py": func(t *testing.T, file string) *exec.Cmd {
			return exec.CommandContext(t.Context(), interpreter(t, "openai", "batch.py"), file)
		},
		"agent.mjs": func(t *testing.T, file string) *exec.Cmd {
			interpreter(t, "node", "agent.mjs")
			dir := t.TempDir() // a module looks for others beside itself
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "agent.mjs"), string(text))
			if err := os.Symlink(filepath.Join(os.Getenv("PILOTLIGHT_CLIENTS"), "node", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
				t.Fatal(err)
			}
			return exec.CommandContext(t.Context(), "node", filepath.Join(dir, "agent.mjs"))
		},
	}
	files, err := os.ReadDir("../../docs/examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		command, ok := known[f.Name()]
		if !ok {
			t.Errorf("docs/examples/%s is run by no test", f.Name())
		}
		if command == nil {
			continue
		}
		t.Run(f.Name(), func(t *testing.T) {
			cmd := command(t, mustAbs(t, "../../docs/examples/"+f.Name()))
			cmd.Env = append(append(os.Environ(), cmd.Env...), "OPENAI_BASE_URL="+s.API, "OPENAI_API_KEY="+s.Token, "PILOTLIGHT_TOKEN="+s.Token,
				"PILOTLIGHT_BASE="+strings.TrimSuffix(s.API, "/v1"), "PYTHONDONTWRITEBYTECODE=1")
			if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 && f.Name() != "local.hcl" {
				t.Errorf("got %v\n%s", err, out)
			}
		})
	}
}

// TestPackaging_Unit holds the systemd unit against systemd's own check.
func TestPackaging_Unit(t *testing.T) {
	if absent("systemd-analyze") != "" {
		t.Skip("systemd-analyze is not installed (Debian's systemd)")
	}
	unit, err := os.ReadFile("../../docs/packaging/pilotlight.service")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pilotlight.service")
	text := strings.ReplaceAll(string(unit), "/usr/local/bin/pilotlight", mustAbs(t, os.Args[0])) // which is installed here
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "pilotlight.service") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// TestPackaging_Image builds the container image as its page says, and starts it.
func TestPackaging_Image(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and an image; not in short runs")
	}
	docker := dockerd(t)
	dir := t.TempDir()
	for _, name := range []string{"Dockerfile", ".gitignore"} {
		text, err := os.ReadFile("../../docs/packaging/" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(text))
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s", "-o", filepath.Join(dir, "pilotlight"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const image = "pilotlight-packaging-test"
	t.Cleanup(func() { _, _ = docker("rmi", "-f", image) })
	if out, err := docker("build", "-t", image, dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := docker("run", "--rm", "--network", "none", image)
	if err != nil || !strings.Contains(out, "pilotlight") {
		t.Errorf("got %v, %q, want its version", err, out)
	}
	if out, err := docker("inspect", "--format", "{{.Config.User}} {{.Size}}", image); err != nil || !strings.HasPrefix(out, "65534") {
		t.Errorf("got %v, %q, want a user that is not root", err, out)
	}
}

// dockerd gives a command of Docker: of the engine that the machine runs, else of one that ends with the test.
func dockerd(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	if missing := absent("docker"); missing != "" {
		required(t, "Docker is not installed (Debian's docker.io)")
	}
	var host []string
	docker := func(args ...string) (string, error) {
		cmd := exec.Command("docker", append(slices.Clone(host), args...)...)
		cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if _, err := docker("info", "--format", "{{.ServerVersion}}"); err == nil {
		return docker
	}
	if missing := absent("dockerd containerd runc"); missing != "" || os.Geteuid() != 0 {
		required(t, "no Docker engine runs, and none can be started: that needs root and Debian's docker.io")
	}
	dir, err := os.MkdirTemp("", "pl") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	host = []string{"--host", "unix://" + filepath.Join(dir, "s")}
	engine := exec.Command("dockerd", append(host, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "run"),
		"--pidfile", filepath.Join(dir, "pid"), "--bridge", "none", "--iptables=false", "--ip6tables=false")...)
	var log lockedBuffer
	engine.Stdout, engine.Stderr = &log, &log
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- engine.Wait() }() // ends with the process, which the cleanup awaits
	t.Cleanup(func() {
		_ = engine.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = engine.Process.Kill()
			<-ended
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // a poll of another process, bounded by the deadline
		if _, err := docker("info", "--format", "{{.ServerVersion}}"); err == nil {
			return docker
		}
		select {
		case err := <-ended:
			ended <- err
			required(t, "no Docker engine can run here: "+log.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("the Docker engine did not start:\n%s", &log)
		}
	}
}
