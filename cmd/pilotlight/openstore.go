package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// openStore opens the store of a config.
func openStore(ctx context.Context, c config.Store, getenv func(string) string) (*store.Store, error) {
	if c.Kind != config.StorePostgres {
		return store.Open(ctx, c.Path)
	}
	url := getenv(c.URLEnv)
	if url == "" {
		return nil, fmt.Errorf("%s is not set; it must hold the URL of the Postgres database, such as postgres://user:password@host:5432/database", c.URLEnv)
	}
	s, err := store.OpenPostgres(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("with the URL in %s: %w", c.URLEnv, err)
	}
	return s, nil
}

// ownPath is what a server on this machine has for itself, and the setting that names it: the file of SQLite, else the ledger's directory. Its lock and, on
// the local back end, the engines' files lie beside it.
func ownPath(c *config.Config) (path, setting string) {
	if c.Store.Kind == config.StorePostgres {
		return c.Ledger.Dir, "ledger.dir"
	}
	return c.Store.Path, "store.path"
}

// serverDir is the directory of what a server on this machine has for itself.
func serverDir(c *config.Config) string {
	path, _ := ownPath(c)
	return filepath.Dir(path)
}

const tryStoreEvery = 2 * time.Second

// awaitStore connects to Postgres, however long that is down: a supervisor that starts this server again and again would do no better, and say less. What
// waiting does not cure, such as a wrong password, is an error at once.
func (c *candidate) awaitStore(ctx context.Context) (*store.Store, error) {
	if c.cfg.Store.Kind != config.StorePostgres {
		return nil, nil
	}
	for {
		s, err := openStore(ctx, c.cfg.Store, c.getenv)
		if !errors.Is(err, store.ErrUnreachable) {
			return s, err
		}
		c.say("the store's database cannot be reached", err)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(tryStoreEvery):
		}
	}
}

// Where a store keeps its name.
const (
	storeScope = "servers"
	storeKey   = "store"
)

// nameStore gives the store's name, made where it has none.
func nameStore(ctx context.Context, s *store.Store) (string, error) {
	return s.FirstSetting(ctx, storeScope, storeKey, rand.Text()[:12])
}
