package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

// Pools is what the console asks about pools, and does to them.
type Pools interface {
	Tune(ctx context.Context, pool string, changes map[string]string) error // all of them or none; an empty text resets
	Values(pool string) map[string]string                                   // what is tuned of a pool, and so beats the config
	Fixed(key string) string                                                // why a setting cannot be changed here; "" = it can
	WhatIf(ctx context.Context, pool string, changes map[string]string) (*whatif.Answer, error)
}

// setting is one setting of a pool, as a form has it.
type setting struct {
	Key, Value, Meaning string
	Tuned               bool
	Fixed               string // why it cannot be changed; "" = it can
}

func (v *visit) settingsOf(p fleet.Pool) []setting {
	all := []setting{
		{Key: "slots.min", Value: itoa(p.Slots.Min), Meaning: "Slots that are kept, whether anybody needs them or not."},
		{Key: "slots.max", Value: itoa(p.Slots.Max), Meaning: "Slots that may be there at once."},
		{Key: "slot_idle", Value: fleet.FormatDuration(p.SlotIdle), Meaning: "How long a slot with nothing awake is kept before it is given back."},
		{Key: "max_parked_per_gpu", Value: itoa(p.MaxParkedPerGPU), Meaning: "Engines that may be parked on one GPU beside an awake one."},
		{Key: "parked_gpu_memory", Value: p.ParkedGPUMemory.String(), Meaning: "What a parked engine still holds on each of its GPUs, as nvidia-smi shows it."},
		{Key: "host_memory", Value: p.HostMemory.String(), Meaning: "Host memory of a slot for parked engines."},
		{Key: "latency_weight", Value: ftoa(p.LatencyWeight), Meaning: "GPU-hours that an hour of waiting is worth here; 0 = as the autoscaler has it."},
	}
	tuned := v.c.Pools.Values(p.Name)
	for i := range all {
		_, all[i].Tuned = tuned[all[i].Key]
		all[i].Fixed = v.c.Pools.Fixed(all[i].Key)
	}
	return all
}

// poolView is one pool on its page.
type poolView struct {
	fleet.PoolStatus
	Settings []setting
	Policies []string
	GPUs     int // of a slot
	Busy     int // GPUs with an awake engine
	All      int
	Parked   int
	Asked    bool
}

// Facts are the settings that cannot be changed.
func (p poolView) Facts() (all []setting) {
	for _, s := range p.Settings {
		if s.Fixed != "" {
			all = append(all, s)
		}
	}
	return all
}

var policies = []string{"adaptive", "fixed", "kpa", "hybrid"}

func (v *visit) pools() error {
	var views []poolView
	for _, p := range v.hub.look(fresh).Pools {
		view := poolView{PoolStatus: p, Settings: v.settingsOf(p.Pool), Policies: policies, GPUs: p.Pool.GPUsPerSlot}
		for _, s := range p.Slots {
			view.All += s.GPUs
			view.GPUs = s.GPUs
			view.Parked += len(s.Sleepers)
			for _, o := range s.Occupants {
				if o != "" {
					view.Busy++
				}
			}
		}
		views = append(views, view)
	}
	return v.show(http.StatusOK, "pools", "Pools", map[string]any{"Pools": views, "Done": v.Query("done")})
}

// changesOf reads what a form has changed of the pool that the path names. shown has of each what it is now as its meaning.
func (v *visit) changesOf() (name string, changes map[string]string, shown []setting, err error) {
	name = v.Params("name")
	now := v.hub.look(0)
	i := slices.IndexFunc(now.Pools, func(p fleet.PoolStatus) bool { return p.Pool.Name == name })
	if i < 0 {
		return name, nil, nil, errNoPage
	}
	changes, args := map[string]string{}, v.Context().PostArgs()
	for _, s := range v.settingsOf(now.Pools[i].Pool) {
		if !args.Has(s.Key) {
			continue
		}
		value := string(args.Peek(s.Key))
		if string(args.Peek("reset")) == s.Key {
			value = ""
		}
		if value != s.Value {
			changes[s.Key] = value
			shown = append(shown, setting{Key: s.Key, Value: value, Meaning: s.Value})
		}
	}
	return name, changes, shown, nil
}

// tunePool changes what a form of the pool has changed. Without a confirmation it shows what would change.
func (v *visit) tunePool() error {
	name, changes, shown, err := v.changesOf()
	v.act.On("pool/" + name)
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		v.act = nil
		return v.Redirect(v.base+"/pools", http.StatusSeeOther)
	}
	if v.FormValue("confirm") == "" {
		v.act = nil // nothing is done yet
		return v.show(http.StatusOK, "pool-confirm", "Tune "+name, map[string]any{"Name": name, "Changes": shown})
	}
	ctx, cancel := v.asking()
	defer cancel()
	if err := v.c.Pools.Tune(ctx, name, changes); err != nil {
		return &problem{http.StatusBadRequest, "The pool was not changed", err.Error()}
	}
	v.c.Log.Info("an operator has tuned a pool in the console", "pool", name, "changes", changes)
	return v.Redirect(v.base+"/pools?done="+url.QueryEscape(name), http.StatusSeeOther)
}

// ofConfig are the settings that can be asked about, and are changed in the config.
var ofConfig = []string{"policy", "idle_after"}

// whatIf simulates the last day with what a form of the pool has changed. A visitor who leaves ends that.
func (v *visit) whatIf() error {
	name, changes, shown, err := v.changesOf()
	if err != nil {
		return err
	}
	var config []string
	for _, key := range ofConfig {
		if value := v.FormValue(key); value != "" {
			changes[key] = value
			config = append(config, key)
		}
	}
	if len(changes) == 0 {
		return &problem{http.StatusBadRequest, "Nothing is different", "Change a setting on the page of pools first, then ask what the last day would have been with it."}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if conn := edge.Of(v.Context()); conn != nil {
		conn.Arm(leaver(cancel))
		defer conn.Disarm()
	}
	answer, err := v.c.Pools.WhatIf(ctx, name, changes)
	switch {
	case errors.Is(err, whatif.ErrNothing):
		return &problem{http.StatusNotFound, "There is nothing to simulate", err.Error()}
	case errors.Is(err, whatif.ErrBusy), errors.Is(err, whatif.ErrTooLong):
		return &problem{http.StatusServiceUnavailable, "Not simulated", err.Error()}
	case err != nil:
		return &problem{http.StatusBadRequest, "It cannot be set so", err.Error()}
	}
	return v.show(http.StatusOK, "pool-whatif", "What if: "+name, map[string]any{"Answer": answer, "Changes": shown, "OfConfig": config})
}

// leaver ends something when its visitor leaves.
type leaver context.CancelCauseFunc

// Leave ends it.
func (l leaver) Leave(cause error) { l(cause) }
