package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/access"
)

// Names in a data directory.
const (
	lockFile       = "lock"
	adminTokenFile = "admin.token"
	devTokenFile   = "dev.token"
)

// dataDir is a directory that belongs to one server at a time.
type dataDir struct {
	path string
	lock *os.File
}

// defaultDataDir is $XDG_DATA_HOME/pilotlight, or its default place in the home directory.
func defaultDataDir(getenv func(string) string) (string, error) {
	if base := getenv("XDG_DATA_HOME"); filepath.IsAbs(base) { // the XDG specification says to ignore a relative one
		return filepath.Join(base, "pilotlight"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "share", "pilotlight"), nil
	}
	return "", errors.New("neither XDG_DATA_HOME nor HOME is set; give --data-dir")
}

// resolveDataDir gives the directory of the flag, or the default one.
func resolveDataDir(flag string, env *Env) (string, error) {
	if flag == "" {
		return defaultDataDir(env.Getenv)
	}
	return filepath.Abs(flag)
}

// openDataDir makes the directory if need be and locks it. The lock goes with the process, however it ends.
// setting is what chooses another directory.
func openDataDir(path, setting string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, unusableDir(path, setting, err)
	}
	if err := checkDataDir(path); err != nil {
		return nil, err
	}
	lock, err := takeFile(filepath.Join(path, lockFile))
	var used usedError
	switch {
	case errors.As(err, &used):
		return nil, fmt.Errorf("data directory %s is in use by %w; stop it, or choose another directory with %s", path, used, setting)
	case err != nil:
		return nil, unusableDir(path, setting, err)
	}
	return &dataDir{path: path, lock: lock}, nil
}

func (d *dataDir) close() { _ = d.lock.Close() }

func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }

func unusableDir(path, setting string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = fmt.Errorf("%s: %w", pathErr.Path, pathErr.Err)
	}
	return fmt.Errorf("data directory %s cannot be used (%w); make it writable, or choose another with %s", path, err, setting)
}

// adminToken reads the admin token of the directory, and makes one if there is none.
func (d *dataDir) adminToken() (string, error) {
	path := d.join(adminTokenFile)
	token, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		token = rand.Text()
		return token, writeSecret(path, token)
	}
	if err != nil {
		return "", err
	}
	if len(token) < access.MinToken {
		return "", fmt.Errorf("%s holds fewer than %d characters; delete it, and the next start makes a new one", path, access.MinToken)
	}
	return token, nil
}

// readSecret reads a one-line file.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// writeSecret replaces a one-line file that only its owner may read, and never leaves half of one.
func writeSecret(path, secret string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(secret + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
