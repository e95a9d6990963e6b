package main

import (
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// orphansCmd holds the commands about what runs and is in nobody's care.
type orphansCmd struct {
	List orphansListCmd `cmd:"" help:"List what runs under another cluster's name, or of a pool or a model that is not in the config."`
	Stop orphansStopCmd `cmd:"" help:"Stop orphans. What the config takes care of is refused."`
}

type orphansListCmd struct {
	serverFlags
	jsonFlag
}

// Run lists all orphans, and warns of those that may be a neighbour's.
func (c orphansListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	orphans, err := client.Orphans(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, orphans)
	}
	if err := orphanTable(orphans...).write(env.Stdout); err != nil {
		return err
	}
	for _, o := range orphans {
		if o.Why == fleet.OrphanOfCluster {
			fmt.Fprintln(env.Stderr, "Those of another cluster are orphans only if no Pilotlight of that name lives: stop them with --cluster NAME.")
			break
		}
	}
	return nil
}

type orphansStopCmd struct {
	IDs     []string `arg:"" name:"id" complete:"orphan" help:"As orphans list shows them."`
	Cluster string   `placeholder:"NAME" help:"Of orphans of another cluster than the server's own: it must be theirs."`
	serverFlags
	jsonFlag
}

// Run stops one after the other, up to the first that is refused, and prints those that are being stopped.
func (c orphansStopCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	stopped := []admin.Orphan{}
	var failed error
	for _, id := range c.IDs {
		o, err := client.StopOrphan(env.ctx, id, c.Cluster)
		if err != nil {
			failed = err
			break
		}
		stopped = append(stopped, *o)
	}
	if failed != nil && len(stopped) == 0 {
		return failed
	}
	if c.JSON {
		err = writeJSON(env.Stdout, stopped)
	} else {
		err = orphanTable(stopped...).write(env.Stdout)
	}
	if failed != nil {
		return failed
	}
	return err
}

func orphanTable(orphans ...admin.Orphan) *table {
	t := newTable("ID", "KIND", "CLUSTER", "OF", "NODE", ">GPUS", "SINCE", "WHY")
	for _, o := range orphans {
		of := o.Model
		if o.Kind == fleet.OrphanSlot {
			of = o.Pool
		}
		t.row(o.ID, o.Kind, o.Cluster, of, o.Node, o.GPUs, shortTime(&o.Since), orphanReasons[o.Why])
	}
	return t
}

// orphanReasons words why nobody takes care of an orphan.
var orphanReasons = map[fleet.OrphanWhy]string{
	fleet.OrphanOfCluster: "another cluster's",
	fleet.OrphanOfPool:    "its pool is not in the config",
	fleet.OrphanOfModel:   "its model is not in the config",
}
