//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What others could have put into the data directory, or can still change, ends the start: the error says which file, and how to mend it.
func TestDev_RefusesFilesThatAreNotItsAlone(t *testing.T) {
	t.Parallel()
	written := func(name string, mode os.FileMode) func(dir string) error {
		return func(dir string) error {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Chmod(path, mode)
		}
	}
	foreign := func(name string) func(dir string) error {
		return func(dir string) error {
			if err := written(name, 0o600)(dir); err != nil {
				return err
			}
			return os.Chown(filepath.Join(dir, name), 12345, -1)
		}
	}
	linked := func(name string) func(dir string) error {
		return func(dir string) error { return os.Symlink("/dev/null", filepath.Join(dir, name)) }
	}
	for name, row := range map[string]struct {
		make  func(dir string) error
		wants []string
	}{
		"directory":        {func(dir string) error { return os.Chmod(dir, 0o777) }, []string{"(mode 0777): chmod go-w"}},
		"foreign dir":      {func(dir string) error { return os.Chown(dir, 12345, -1) }, []string{"belongs to the user 12345", "chown"}},
		"token":            {written("admin.token", 0o620), []string{"admin.token", "chmod go-w"}},
		"token to be read": {written("dev.token", 0o644), []string{"dev.token", "chmod 600"}},
		"foreign token":    {foreign("admin.token"), []string{"admin.token", "belongs to the user 12345"}},
		"linked token":     {linked("admin.token"), []string{"admin.token", "is a link"}},
		"lock":             {linked("lock"), []string{"lock", "is a link"}},
		"store":            {written("pilotlight.db", 0o666), []string{"pilotlight.db", "chmod go-w"}},
		"log of the store": {linked("pilotlight.db-wal"), []string{"pilotlight.db-wal", "is a link"}},
		"ledger":           {written("ledger/00000001.wal", 0o606), []string{"00000001.wal", "chmod go-w"}},
		"foreign ledger":   {foreign("ledger/lock"), []string{"ledger/lock", "belongs to the user 12345"}},
		"engines":          {written("engines/i1.pid", 0o622), []string{"engines/i1.pid", "chmod go-w"}},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "foreign") && os.Geteuid() != 0 {
				required(t, "only root can give files away: run the tests as root, too")
			}
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := row.make(dir); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "dev", "--api-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", dir)
			cmd.Env = append(os.Environ(), asProgram+"=1")
			var out strings.Builder
			cmd.Stderr = &out
			s, err := startAndWait(t, cmd)
			if err != nil || s != 1 {
				t.Errorf("got status %d, %v; want 1", s, err)
			}
			for _, want := range append(row.wants, dir) {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got %q, want %q said", out.String(), want)
				}
			}
		})
	}
}

// startAndWait gives the exit status of a command that must end by itself.
func startAndWait(t *testing.T, cmd *exec.Cmd) (status int, err error) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
		return cmd.ProcessState.ExitCode(), nil
	case <-t.Context().Done():
	case <-time.After(20 * time.Second):
	}
	_ = cmd.Process.Kill()
	<-ended
	return -1, os.ErrDeadlineExceeded
}
