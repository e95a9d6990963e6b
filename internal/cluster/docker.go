//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrNoDocker is what Start returns, with the reason, where the config wants Docker and no engine can run.
var ErrNoDocker = errors.New("no Docker engine can run here")

// Docker is an engine of the cluster's own: it has its own data, its own containerd and no network, and does not meet one that the
// machine runs. It has one image, Image, and a runtime called nvidia that is runc.
type Docker struct {
	Socket string
	agent  *Agent
}

// longestSocket is what the kernel takes of a socket's path.
const longestSocket = 107

// nvidia is the runtime of that name. As the real one it changes the container's config and leaves the rest to runc: where this machine
// may not raise limits, as job files for real nodes ask, it takes them out.
const nvidia = `#!/bin/sh
for argument; do
  [ "$before" = --bundle ] && bundle=$argument
  before=$argument
done
if [ -n "$bundle" ] && ! (ulimit -l unlimited) 2>/dev/null; then
  sed -i 's/"rlimits":\[[^]]*\]/"rlimits":[]/' "$bundle/config.json"
fi
exec runc "$@"
`

// dockerMissing says why no engine can run; nil = one may.
func dockerMissing() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", ErrNoDocker)
	}
	for _, program := range []string{"dockerd", "containerd", "runc", "docker-init"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %s is missing; install Debian's docker.io", ErrNoDocker, program)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || !strings.Contains(string(mounts), " cgroup") {
		return fmt.Errorf("%w: no cgroups are mounted", ErrNoDocker)
	}
	return nil
}

func newDocker(dir string) (*Docker, error) {
	d := &Docker{Socket: filepath.Join(dir, "docker.sock")}
	if longest := filepath.Join(dir, "run", "containerd", "containerd.sock.ttrpc"); len(longest) > longestSocket {
		return nil, fmt.Errorf("starting Docker: the cluster's directory has too long a name for sockets: %s", longest)
	}
	runtime := filepath.Join(dir, "nvidia-container-runtime")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("making a place for Docker: %w", err)
	}
	if err := os.WriteFile(runtime, []byte(nvidia), 0o755); err != nil {
		return nil, fmt.Errorf("making Docker's runtime: %w", err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", d.Socket)
	}
	d.agent = &Agent{
		Name: "dockerd", Addr: "http://docker", alive: "/_ping", dir: dir, binary: "dockerd",
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}},
		args: []string{
			"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "run"), "--pidfile", filepath.Join(dir, "pid"),
			"--host", "unix://" + d.Socket, "--add-runtime", "nvidia=" + runtime,
			"--bridge", "none", "--iptables=false", "--ip6tables=false",
		},
	}
	return d, nil
}

// start starts the engine, and gives it the image.
func (d *Docker) start(ctx context.Context) error {
	if err := d.agent.Start(ctx); err != nil {
		if ctx.Err() == nil { // it ended by itself
			err = fmt.Errorf("%w: %w", ErrNoDocker, err)
		}
		return err
	}
	return d.importImage(ctx)
}

// Ask has the engine's API answer a GET, such as one of /containers/json?all=true.
func (d *Docker) Ask(ctx context.Context, path string, answer any) error {
	return d.request(ctx, http.MethodGet, path, answer)
}

func (d *Docker) request(ctx context.Context, method, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, d.agent.Addr+path, nil)
	if err != nil {
		return fmt.Errorf("asking Docker for %s: %w", path, err)
	}
	return exchange(d.agent.client, request, answer)
}

// stop removes all containers and ends the engine with its containerd.
func (d *Docker) stop() error {
	if d.agent.cmd == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := d.removeAll(ctx)
	d.agent.end(syscall.SIGTERM, 20*time.Second)
	return err
}

func (d *Docker) removeAll(ctx context.Context) error {
	var containers []struct{ ID string }
	failed := []error{d.Ask(ctx, "/containers/json?all=true", &containers)}
	for _, c := range containers {
		failed = append(failed, d.request(ctx, http.MethodDelete, "/containers/"+url.PathEscape(c.ID)+"?force=true", nil))
	}
	return errors.Join(failed...)
}
