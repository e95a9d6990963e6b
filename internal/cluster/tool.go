//go:build unix

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// tool is a program that is built from one of the modules under tools.
type tool struct {
	name    string // of the program, and of its module's folder
	pkg     string // the package to build
	pinned  string // the module whose version names the build
	output  string // file name; a device plugin is known to Nomad by it
	ldflags string
}

var (
	nomadTool  = tool{name: "nomad", pkg: "github.com/hashicorp/nomad", pinned: "github.com/hashicorp/nomad", output: "nomad"}
	consulTool = tool{name: "consul", pkg: "github.com/hashicorp/consul", pinned: "github.com/hashicorp/consul", output: "consul"}
	gpuTool    = tool{name: "gpu", pkg: ".", pinned: "github.com/hashicorp/nomad", output: "nvidia-gpu", ldflags: "-s -w"}
)

// Nomad gives the path of a nomad program: the one on the PATH, else one that is built now or was built before. Building
// takes some ten minutes on two cores, once.
func Nomad(ctx context.Context) (string, error) { return nomadTool.find(ctx) }

// Consul gives the path of a consul program, as Nomad does.
func Consul(ctx context.Context) (string, error) { return consulTool.find(ctx) }

// Plugins gives the directory of Nomad's device plugin that offers simulated H100s, nvidia-gpu, which it builds.
func Plugins(ctx context.Context) (string, error) {
	gpu, err := gpuTool.build(ctx)
	return filepath.Dir(gpu), err
}

func (t tool) find(ctx context.Context) (string, error) {
	if path, err := exec.LookPath(t.output); err == nil {
		return filepath.Abs(path)
	}
	return t.build(ctx)
}

// build builds the tool, once a version: a second process that wants it waits for the first.
func (t tool) build(ctx context.Context) (string, error) {
	source, err := t.source(ctx)
	if err != nil {
		return "", err
	}
	version, err := output(ctx, source, "go", "list", "-m", "-f", "{{.Version}}", t.pinned)
	if err != nil {
		return "", fmt.Errorf("finding the version of %s: %w", t.name, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for %s: %w", t.name, err)
	}
	dir := filepath.Join(cache, "pilotlight", "tools", t.name+"-"+version+"-"+runtime.Version())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making a place for %s: %w", t.name, err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("waiting for another build of %s: %w", t.name, err)
	}
	defer unlock()
	path := filepath.Join(dir, t.output)
	if t.name != gpuTool.name { // ours changes without a version; the compiler's cache makes it cheap
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return path, t.compile(ctx, source, path)
}

// compile writes the program in one step, so that nobody ever runs half of it.
func (t tool) compile(ctx context.Context, source, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-ldflags", t.ldflags, "-o", path+".new", t.pkg)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", t.name, err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keeping %s: %w", t.name, err)
	}
	return nil
}

// source is the tool's module folder in this checkout.
func (t tool) source(ctx context.Context) (string, error) {
	here, err := output(ctx, "", "go", "list", "-f", "{{.Dir}}", "github.com/pilotlight-io/pilotlight/internal/cluster")
	if err != nil {
		return "", fmt.Errorf("finding the sources of %s: %w", t.name, err)
	}
	return filepath.Join(here, "tools", t.name), nil
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// lock waits for an exclusive lock on a file; it ends with the process at the latest.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
