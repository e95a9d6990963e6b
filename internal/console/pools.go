package console

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// setting is one setting of a pool, as a form has it.
type setting struct {
	Key, Value, Meaning, Unit string
	Tuned                     bool
}

func settingsOf(p fleet.Pool, tuned map[string]string) []setting {
	all := []setting{
		{Key: "slots.min", Value: itoa(p.Slots.Min), Meaning: "Slots that are kept, whether anybody needs them or not."},
		{Key: "slots.max", Value: itoa(p.Slots.Max), Meaning: "Slots that may be there at once."},
		{Key: "slot_idle", Value: fleet.FormatDuration(p.SlotIdle), Meaning: "How long a slot with nothing awake is kept before it is given back.", Unit: "duration"},
		{Key: "max_parked_per_gpu", Value: itoa(p.MaxParkedPerGPU), Meaning: "Engines that may be parked on one GPU beside an awake one."},
		{Key: "host_memory", Value: p.HostMemory.String(), Meaning: "Host memory of a slot for parked engines.", Unit: "size"},
		{Key: "latency_weight", Value: ftoa(p.LatencyWeight), Meaning: "GPU-hours that an hour of waiting is worth here; 0 = as the autoscaler has it."},
	}
	for i := range all {
		_, all[i].Tuned = tuned[all[i].Key]
	}
	return all
}

// poolView is one pool on its page.
type poolView struct {
	fleet.PoolStatus
	Settings []setting
	Busy     int // GPUs with an awake engine
	All      int
	Parked   int
}

func (v *visit) pools() error {
	var views []poolView
	for _, p := range v.hub.look(fresh).Pools {
		view := poolView{PoolStatus: p, Settings: settingsOf(p.Pool, v.c.Tuned(p.Pool.Name))}
		for _, s := range p.Slots {
			view.All += s.GPUs
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

// tunePool changes what a form of the pool has changed. Without a confirmation it shows what would change.
func (v *visit) tunePool() error {
	name := v.Params("name")
	now := v.hub.look(0)
	i := slices.IndexFunc(now.Pools, func(p fleet.PoolStatus) bool { return p.Pool.Name == name })
	if i < 0 {
		return errNoPage
	}
	changes, shown := map[string]string{}, []setting{}
	for _, s := range settingsOf(now.Pools[i].Pool, v.c.Tuned(name)) {
		args := v.Context().PostArgs()
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
	v.act.On("pool/" + name)
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
	if err := v.c.Tune(ctx, name, changes); err != nil {
		return &problem{http.StatusBadRequest, "The pool was not changed", err.Error()}
	}
	v.c.Log.Info("an operator has tuned a pool in the console", "pool", name, "changes", changes)
	return v.Redirect(v.base+"/pools?done="+url.QueryEscape(name), http.StatusSeeOther)
}
