package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// poolCmd holds the commands about pools.
type poolCmd struct {
	List poolListCmd `cmd:"" help:"List pools."`
	Show poolShowCmd `cmd:"" help:"Draw what sits on a pool's GPUs, and list its settings."`
	Tune poolTuneCmd `cmd:"" help:"Change settings of a pool at once; an empty value gives one back to the config."`
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
	instances, err := client.Instances(env.ctx)
	if err != nil {
		return err
	}
	t := newTable("NAME", ">SLOTS", ">GPUS", ">FREE", ">HOT", ">STARTING", ">PARKED", ">RESERVED", ">TUNED")
	for _, p := range pools {
		n := countPool(p, instances)
		t.row(p.Name, len(p.Live), n.gpus, n.free, n.hot, n.starting, n.parked, n.reserved, len(p.Tuned))
	}
	return t.write(env.Stdout)
}

// poolCounts are GPUs, and instances.
type poolCounts struct{ gpus, free, hot, starting, parked, reserved int }

func countPool(p admin.Pool, instances []admin.Instance) poolCounts {
	var n poolCounts
	for _, s := range p.Live {
		n.gpus += s.GPUs
		n.free += freeGPUs(s)
		n.parked += len(s.Parked)
		n.reserved += len(s.Reserved)
		for _, i := range instances {
			switch {
			case i.Slot != s.ID:
			case i.State == fleet.Ready:
				n.hot++
			case i.State == fleet.Starting || i.State == fleet.Resuming:
				n.starting++
			}
		}
	}
	return n
}

// freeGPUs counts the GPUs on which nobody is awake. A slot on its way has none yet.
func freeGPUs(s admin.Slot) int {
	free := 0
	for _, o := range s.Occupants {
		if o == "" && !s.Pending {
			free++
		}
	}
	return free
}

type poolShowCmd struct {
	Name string `arg:"" complete:"pool" help:"Its name."`
	serverFlags
	jsonFlag
}

// Run draws one pool.
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
	instances, err := client.Instances(env.ctx)
	if err != nil {
		return err
	}
	if err := poolSettings(env.Stdout, pool); err != nil {
		return err
	}
	return drawSlots(env.Stdout, pool, instances, env.Now())
}

type poolTuneCmd struct {
	Name     string   `arg:"" complete:"pool" help:"The pool's name."`
	Settings []string `arg:"" name:"key=value" complete:"setting" help:"Settings as the config names them, such as max_parked_per_gpu=6 slots.min=1."`
	WhatIf   bool     `name:"what-if" help:"Change nothing: simulate what the last day's requests would have cost and waited with these settings. Takes policy and idle_after, too."`
	serverFlags
	jsonFlag
}

// Run changes all of the settings, or none.
func (c poolTuneCmd) Run(env *Env) error {
	changes, err := keyValues(c.Settings)
	if err != nil {
		return err
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if c.WhatIf {
		return c.foretell(env, client, changes)
	}
	pool, err := client.TunePool(env.ctx, c.Name, changes)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, pool)
	}
	return poolSettings(env.Stdout, pool)
}

// keyValues reads arguments such as "slot_idle=5m".
func keyValues(arguments []string) (map[string]string, error) {
	values := map[string]string{}
	for _, a := range arguments {
		key, value, ok := strings.Cut(a, "=")
		_, twice := values[key]
		switch {
		case !ok || key == "":
			return nil, fmt.Errorf("%q is no setting; write key=value, such as max_parked_per_gpu=6, or key= to reset it", a)
		case twice:
			return nil, fmt.Errorf("%s comes twice; leave one of them", key)
		}
		values[key] = strings.TrimSpace(value)
	}
	return values, nil
}

// poolSettings lists the settings of a pool that are in force, and says which of them were tuned.
func poolSettings(w io.Writer, p *admin.Pool) error {
	t := newTable("SETTING", "VALUE", " ")
	notes := map[string]string{} // key -> what to say of it
	for _, x := range p.Tuned {
		notes[x.Key] = tunedNote(x)
	}
	for _, s := range settingsOf(p) {
		note := notes[s[0]]
		if delete(notes, s[0]); note == "" {
			note = " "
		}
		t.row(s[0], s[1], note)
	}
	for _, x := range p.Tuned {
		if note, left := notes[x.Key]; left {
			t.row(x.Key, "", note)
		}
	}
	return t.write(w)
}

// settingsOf gives keys and values; a pool whose one slot is always there has no more of them.
func settingsOf(p *admin.Pool) [][2]string {
	settings := [][2]string{
		{"gpus_per_slot", fmt.Sprint(p.GPUsPerSlot)},
		{"max_parked_per_gpu", fmt.Sprint(p.MaxParkedPerGPU)},
		{"parked_gpu_memory", p.ParkedGPUMemory},
		{"host_memory", p.HostMemory},
		{"latency_weight", fmt.Sprint(p.LatencyWeight)},
	}
	if p.Slots.Max == 0 {
		return settings
	}
	return append(settings, [][2]string{
		{"slot_idle", p.SlotIdle},
		{"slots.min", fmt.Sprint(p.Slots.Min)},
		{"slots.max", fmt.Sprint(p.Slots.Max)},
		{"node_pool", p.NodePool},
	}...)
}

func tunedNote(x admin.Tuned) string {
	if x.Ignored != "" {
		return fmt.Sprintf("was tuned to %s, which is not in force: %s", x.Value, x.Ignored)
	}
	return "tuned; the config has " + x.File
}
