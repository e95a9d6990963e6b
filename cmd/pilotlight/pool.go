package main

import (
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// poolCmd holds the commands about pools.
type poolCmd struct {
	List poolListCmd `cmd:"" help:"List pools."`
	Show poolShowCmd `cmd:"" help:"Show what sits on a pool's GPUs."`
	Tune poolTuneCmd `cmd:"" passthrough:"" help:"Change a pool at once (not available yet)."`
}

type poolListCmd struct {
	serverFlags
	jsonFlag
}

// Run lists all pools.
func (c poolListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	pools, err := client.Pools(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, pools)
	}
	t := newTable("NAME", ">SLOTS", ">GPUS", ">FREE")
	for _, p := range pools {
		gpus, free := 0, 0
		for _, s := range p.Live {
			gpus += s.GPUs
			free += freeGPUs(s)
		}
		t.row(p.Name, len(p.Live), gpus, free)
	}
	return t.write(env.Stdout)
}

type poolShowCmd struct {
	Name string `arg:"" help:"Its name."`
	serverFlags
	jsonFlag
}

// Run shows one pool, a line for each of its slots.
func (c poolShowCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	pool, err := client.Pool(env.ctx, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, pool)
	}
	t := newTable("SLOT", "NODE", ">GPUS", ">FREE", "OCCUPANTS")
	for _, s := range pool.Live {
		t.row(s.ID, s.Node, s.GPUs, freeGPUs(s), occupants(s))
	}
	return t.write(env.Stdout)
}

type poolTuneCmd struct {
	Args []string `arg:"" optional:"" help:"Ignored."`
}

// Run says that a later version brings it.
func (poolTuneCmd) Run(*Env) error { return notAvailable("the command pool tune") }

func freeGPUs(s admin.Slot) int {
	free := 0
	for _, o := range s.Occupants {
		if o == "" {
			free++
		}
	}
	return free
}

// occupants names the instance on each GPU, in the order of the GPUs.
func occupants(s admin.Slot) string {
	names := make([]string, len(s.Occupants))
	for i, o := range s.Occupants {
		names[i] = o
		if o == "" {
			names[i] = "-"
		}
	}
	return strings.Join(names, " ")
}
