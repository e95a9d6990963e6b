package main

import (
	"fmt"
	"time"
)

// storeCmd holds the commands about the store of usage records.
type storeCmd struct {
	Prune storePruneCmd `cmd:"" help:"Delete usage records that are older than ledger.retention now, instead of within the hour."`
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
