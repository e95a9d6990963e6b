package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// storeFlags say which store is meant.
type storeFlags struct {
	Config  string `placeholder:"FILE" complete:"file" xor:"store" help:"Config file of the server whose store is meant; without one, the store of pilotlight dev."`
	DataDir string `name:"data-dir" complete:"dir" placeholder:"DIR" xor:"store" help:"Data directory of pilotlight dev (default: $$XDG_DATA_HOME/pilotlight)."`
}

// store says where the store is.
func (f storeFlags) store(env *Env) (config.Store, error) {
	if f.Config != "" {
		c, err := config.Load(f.Config)
		if err != nil {
			return config.Store{}, listMistakes(env, err)
		}
		return c.Store, nil
	}
	dir, err := resolveDataDir(f.DataDir, env)
	if err != nil {
		return config.Store{}, err
	}
	return config.Store{Kind: config.StoreSQLite, Path: filepath.Join(dir, "pilotlight.db")}, nil
}

// openExisting is openStore, but makes no new file.
func openExisting(env *Env, c config.Store) (*store.Store, error) {
	if c.Kind == config.StoreSQLite {
		if _, err := os.Stat(c.Path); err != nil {
			return nil, fmt.Errorf("there is no store: %w", err)
		}
	}
	return openStore(env.ctx, c, env.Getenv)
}

type storeBackupCmd struct {
	File string `arg:"" complete:"file" help:"The copy; it must not be there yet."`
	storeFlags
}

// Run copies an SQLite file, while its server goes on.
func (c storeBackupCmd) Run(env *Env) error {
	of, err := c.store(env)
	if err != nil {
		return err
	}
	if of.Kind == config.StorePostgres {
		return fmt.Errorf("the store is a Postgres database; save it with Postgres's own tools, such as pg_dump \"$%s\"", of.URLEnv)
	}
	env.doing("saving " + of.Path)
	if err := store.Backup(env.ctx, of.Path, c.File); err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "saved %s in %s; usage records of the last second may be in the ledger's directory only\n", of.Path, c.File)
	return nil
}

type storeCheckCmd struct {
	storeFlags
	jsonFlag
}

// Run names what is wrong, and is an error where something is.
func (c storeCheckCmd) Run(env *Env) error {
	of, err := c.store(env)
	if err != nil {
		return err
	}
	s, err := openExisting(env, of)
	if err != nil {
		return err
	}
	defer s.Close()
	env.doing("recomputing sums")
	found, err := ledger.CheckStore(env.ctx, s)
	if err != nil {
		return err
	}
	kept, err := audit.CheckStore(env.ctx, s)
	if err != nil {
		return err
	}
	found.Differences = append(found.Differences, kept.Wrong...)
	if c.JSON {
		if err := writeJSON(env.Stdout, struct {
			Records     int64    `json:"records"`
			Days        int64    `json:"days"`
			Months      int64    `json:"months"`
			Audit       int64    `json:"audit_entries"`
			Differences []string `json:"differences"`
		}{found.Records, found.Days, found.Months, kept.Entries, append([]string{}, found.Differences...)}); err != nil {
			return err
		}
	} else {
		for _, d := range found.Differences {
			fmt.Fprintln(env.Stdout, d)
		}
	}
	fmt.Fprintf(env.Stderr, "%d usage records; %d sums of days and %d of months compared; %d audit entries\n", found.Records, found.Days, found.Months, kept.Entries)
	if n := len(found.Differences); n > 0 {
		return fmt.Errorf("the store %s has %d differences", s, n)
	}
	return nil
}

type storeCopyCmd struct {
	From string `required:"" placeholder:"FILE" complete:"file" help:"Config file whose store is copied. Its server must not run."`
	To   string `required:"" placeholder:"FILE" complete:"file" help:"Config file whose store it is copied to: an empty one."`
	jsonFlag
}

// Run copies all tables or nothing.
func (c storeCopyCmd) Run(env *Env) (err error) {
	from, err := config.Load(c.From)
	if err != nil {
		return listMistakes(env, err)
	}
	to, err := config.Load(c.To)
	if err != nil {
		return listMistakes(env, err)
	}
	locked, err := (&candidate{cfg: from, file: c.From}).tryFile()
	if err != nil {
		return fmt.Errorf("stop the server of %s first: %w", c.From, err)
	}
	defer func() { err = errors.Join(err, locked.Close()) }()
	source, err := openExisting(env, from.Store)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := openStore(env.ctx, to.Store, env.Getenv)
	if err != nil {
		return err
	}
	defer target.Close()
	env.doing("copying, then comparing")
	done, err := store.Copy(env.ctx, source, target)
	if err != nil {
		return err
	}
	if err := c.show(env, done); err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "copied and compared; what is still in the log of %s comes with the server that has the same ledger.dir\n", from.Ledger.Dir)
	return nil
}

func (c storeCopyCmd) show(env *Env, done []store.Copied) error {
	if c.JSON {
		return writeJSON(env.Stdout, done)
	}
	t := newTable("TABLE", ">ROWS")
	for _, d := range done {
		t.row(d.Table, d.Rows)
	}
	return t.write(env.Stdout)
}
