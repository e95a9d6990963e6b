package main

import (
	"fmt"
	"time"
)

// storeCmd holds the commands about the store of usage records.
type storeCmd struct {
	Copy   storeCopyCmd   `cmd:"" help:"Copy a store to another that is empty, such as from SQLite to Postgres; its server must not run."`
	Backup storeBackupCmd `cmd:"" help:"Save an SQLite store in a new file, while its server goes on."`
	Check  storeCheckCmd  `cmd:"" help:"Recompute every sum from the usage records; exit 1 naming each difference."`
	Prune  storePruneCmd  `cmd:"" help:"Delete usage records that are older than ledger.retention now, instead of within the hour."`
}

type storePruneCmd struct {
	Confirm bool `help:"The server's clock is right, though it is more than a day beyond the newest record."`
	serverFlags
	jsonFlag
}

// Run asks the server to delete, and says what. It does not wait for it.
func (c storePruneCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	pruning, err := client.Prune(env.ctx, c.Confirm)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, pruning)
	}
	fmt.Fprintf(env.Stderr, "usage records dispatched before %s are being deleted\n", pruning.Before.UTC().Format(time.RFC3339))
	return nil
}
