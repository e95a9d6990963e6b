//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// The files of a place.
const (
	binDir     = "bin"
	configFile = "pilotlight.hcl"
	envFile    = "env"
)

// place is the directory that the demo fills and empties again.
type place struct {
	dir string
	own bool // ours to remove whole
}

func newPlace(dir string) (*place, error) {
	if dir == "" {
		dir, err := os.MkdirTemp("", "pilotlight-demo-")
		if err != nil {
			return nil, fmt.Errorf("making a directory: %w", err)
		}
		return &place{dir: dir, own: true}, nil
	}
	p := &place{dir: dir}
	for _, name := range []string{binDir, configFile, envFile} {
		if _, err := os.Lstat(p.join(name)); err == nil { // clear would remove it
			return nil, fmt.Errorf("%s is there already; another demo runs in that directory, or one was killed: remove it, or choose another directory", p.join(name))
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory: %w", err)
	}
	return p, nil
}

func (p *place) join(name string) string { return filepath.Join(p.dir, name) }

// build puts the programs that the reader is told to type into bin: ours, built from this checkout, and the cluster's.
func (p *place) build(ctx context.Context) error {
	bin := p.join(binDir)
	if err := os.Mkdir(bin, 0o755); err != nil {
		return fmt.Errorf("making a place for programs: %w", err)
	}
	for name, find := range map[string]func(context.Context) (string, error){"nomad": cluster.Nomad, "consul": cluster.Consul} {
		path, err := find(ctx)
		if err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			return fmt.Errorf("linking %s: %w", name, err)
		}
	}
	const ours = "github.com/pilotlight-io/pilotlight/cmd/"
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+"/", ours+"pilotlight", ours+"trtsim")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building pilotlight: %w\n%s", err, out)
	}
	return nil
}

// write writes a file for the user alone: it may hold the admin token.
func (p *place) write(name, text string) error {
	if err := os.WriteFile(p.join(name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// clear removes what the demo has made. What a server has kept in a directory of the user's stays.
func (p *place) clear() error {
	if p.own {
		return os.RemoveAll(p.dir)
	}
	var errs []error
	for _, name := range []string{binDir, configFile, envFile} {
		errs = append(errs, os.RemoveAll(p.join(name)))
	}
	return errors.Join(errs...)
}
