package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/private"
)

// checkDataDir refuses a data directory that others can change, or whose files they can: a lock, a token or a log that somebody else has put there would
// be taken for our own. The directory's own path may lead over links.
func checkDataDir(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	errs := []error{private.Check(real), private.Check(filepath.Join(real, lockFile))}
	for _, token := range []string{adminTokenFile, devTokenFile} {
		errs = append(errs, private.CheckSecret(filepath.Join(real, token)))
	}
	return refusedFiles(path, errs...)
}

// checkStore is checkDataDir for the store and the ledger of a config, wherever they are.
func checkStore(c *config.Config) error {
	path, _ := ownPath(c)
	suffixes := []string{".lock"}
	if c.Store.Kind == config.StoreSQLite {
		suffixes = append(suffixes, "", "-wal", "-shm", "-journal")
	}
	var errs []error
	for _, suffix := range suffixes {
		errs = append(errs, private.Check(path+suffix))
	}
	if real, err := filepath.EvalSymlinks(c.Ledger.Dir); err == nil { // else it is not there yet
		errs = append(errs, private.CheckTree(real))
	}
	return refusedFiles(filepath.Dir(path), errs...)
}

func refusedFiles(dir string, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("data directory %s is not this user's alone: %w", dir, err)
	}
	return nil
}
