package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// tuningScope, before a pool's name, is where the store keeps what the pool is tuned to.
const tuningScope = "pool/"

// tuning is what operators have changed of pools while servers ran. It is kept in the store, and beats the file.
type tuning struct {
	store *store.Store
	apply func(fleet.Pool) error // has the planner take the limits
	log   *slog.Logger

	turn sync.Mutex // held for one whole change, so that the store and the planner have the same

	mu     sync.Mutex // guards config and kept; they change with turn held too
	config *config.Config
	kept   map[string]map[string]string // pool -> key -> text, of the pools of the file
}

// openTuning reads what is kept. What no longer fits the file is said and left out, and stays in the store: it is in force again once it fits.
func (s *server) openTuning(ctx context.Context) error {
	s.tuning = &tuning{
		store: s.store, log: s.log("tuning"),
		apply: func(p fleet.Pool) error { return s.activator.TunePool(p) },
	}
	return s.tuning.reconfigure(ctx, s.c.Config, func([]fleet.Pool) error { return nil })
}

// reconfigure has take have the pools of another config, as they are tuned. Where take fails, or the store, everything stays as it was. Nobody tunes
// meanwhile.
func (t *tuning) reconfigure(ctx context.Context, c *config.Config, take func([]fleet.Pool) error) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	next := &tuning{config: c, store: t.store, log: t.log, kept: map[string]map[string]string{}}
	scopes, err := t.store.SettingScopes(ctx, tuningScope)
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if err := next.recall(ctx, strings.TrimPrefix(scope, tuningScope)); err != nil {
			return err
		}
	}
	if err := take(next.pools()); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.config, t.kept = c, next.kept
	return nil
}

// recall reads what is kept of one pool.
func (t *tuning) recall(ctx context.Context, name string) error {
	kept, err := t.store.Settings(ctx, tuningScope+name)
	if err != nil {
		return err
	}
	if _, ok := t.config.Pool(name); !ok {
		t.log.Warn("a pool was tuned that is not in the config; what it was tuned to is kept for its return", "pool", name, "settings", settingsText(kept))
		return nil
	}
	t.kept[name] = kept
	for _, x := range t.Tuned(name) {
		if x.Ignored != "" {
			t.log.Warn("a pool was tuned to what does not fit the config, whose own value holds", "pool", name, "setting", x.Key+"="+x.Value, "reason", x.Ignored)
		}
	}
	return nil
}

func settingsText(settings map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		parts = append(parts, key+"="+settings[key])
	}
	return strings.Join(parts, " ")
}

// pools gives the pools of the file, as tuned.
func (t *tuning) pools() []fleet.Pool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var pools []fleet.Pool
	for _, p := range t.config.Pools {
		tuned, _ := t.fit(p.Name)
		pools = append(pools, tuned)
	}
	return pools
}

// fit gives the pool with those of its kept settings that fit the file, and why the others do not. The caller holds mu.
func (t *tuning) fit(name string) (fleet.Pool, map[string]string) {
	settings := maps.Clone(t.kept[name])
	misfits := map[string]string{}
	for {
		p, err := t.config.Tune(name, settings)
		var wrong config.Mistunings
		if !errors.As(err, &wrong) {
			return p, misfits
		}
		for _, w := range wrong {
			misfits[w.Key] = w.Message
			delete(settings, w.Key)
		}
	}
}

// Tuned lists what a pool is tuned to, in the order of the settings.
func (t *tuning) Tuned(name string) []admin.Tuned {
	t.mu.Lock()
	defer t.mu.Unlock()
	file, ok := t.config.Pool(name)
	if !ok {
		return nil
	}
	_, misfits := t.fit(name)
	var tuned []admin.Tuned
	for _, key := range t.inOrder(t.kept[name]) {
		tuned = append(tuned, admin.Tuned{Key: key, Value: t.kept[name][key], File: config.Setting(file, key), Ignored: misfits[key]})
	}
	return tuned
}

// Fixed says why a setting of pools cannot be changed here; "" = it can.
func (t *tuning) Fixed(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.config.Fixed(key)
}

// outweighed says which of the changes have no effect, because the pool is tuned.
func (t *tuning) outweighed(changes config.Changes) []string {
	said := []string{}
	for _, c := range changes {
		if c.Block != "pool" || c.Kind != config.Changed {
			continue
		}
		for _, x := range t.Tuned(c.Name) {
			if x.Key == c.Attribute && x.Ignored == "" {
				said = append(said, fmt.Sprintf("pool %s stays tuned to %s=%s, which beats the file; %[2]s= resets it", c.Name, x.Key, x.Value))
			}
		}
	}
	return said
}

// misfits says what was tuned and is not in force.
func (t *tuning) misfits() []string {
	var said []string
	for _, p := range t.pools() {
		for _, x := range t.Tuned(p.Name) {
			if x.Ignored != "" {
				said = append(said, fmt.Sprintf("pool %s was tuned to %s=%s, which is not in force: %s", p.Name, x.Key, x.Value, x.Ignored))
			}
		}
	}
	return said
}

// inOrder sorts keys as people are shown them; unknown ones come last.
func (t *tuning) inOrder(settings map[string]string) []string {
	known := t.config.Tunable()
	rank := func(key string) int {
		if i := slices.Index(known, key); i >= 0 {
			return i
		}
		return len(known)
	}
	return slices.SortedStableFunc(slices.Values(slices.Sorted(maps.Keys(settings))), func(a, b string) int { return rank(a) - rank(b) })
}

// Tune changes settings of a pool, all of them or none; an empty text gives a setting back to the file. They are in force and kept when it returns nil.
func (t *tuning) Tune(ctx context.Context, name string, changes map[string]string) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	if _, ok := t.config.Pool(name); !ok {
		return fmt.Errorf("tuning %s: %w", name, activator.ErrUnknownPool)
	}
	settings, pool, err := t.changed(name, changes)
	if err != nil {
		return err
	}
	if err := t.store.SaveSettings(ctx, tuningScope+name, changes, t.noting(ctx, name, pool, changes)); err != nil {
		return err
	}
	t.mu.Lock()
	t.kept[name] = settings
	t.mu.Unlock()
	if err := t.apply(pool); err != nil {
		return err
	}
	t.log.Info("pool tuned", "pool", name, "settings", settingsText(changes))
	return nil
}

// noting keeps a change in the audit log: each setting as it was in force, and as it is.
func (t *tuning) noting(ctx context.Context, name string, next fleet.Pool, changes map[string]string) store.Also {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, _ := t.fit(name)
	before, after := map[string]any{}, map[string]any{}
	for key := range changes {
		before[key], after[key] = config.Setting(now, key), config.Setting(next, key)
	}
	return audit.Noting(ctx, audit.Change{Subject: "pool/" + name, Before: before, After: after})
}

// changed gives the settings after a change, and the pool with them.
func (t *tuning) changed(name string, changes map[string]string) (map[string]string, fleet.Pool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	settings := map[string]string{}
	maps.Copy(settings, t.kept[name])
	for key, text := range changes {
		_, kept := settings[key]
		if settings[key] = text; text == "" && (kept || slices.Contains(t.config.Tunable(), key)) {
			delete(settings, key) // else it is no setting, and refused as such
		}
	}
	pool, err := t.config.Tune(name, settings)
	var wrong config.Mistunings
	if errors.As(err, &wrong) {
		for i := range wrong {
			if _, meant := changes[wrong[i].Key]; !meant {
				wrong[i].Message += fmt.Sprintf(" (it was tuned to %[2]s earlier, which is not in force; %[1]s= resets it)", wrong[i].Key, settings[wrong[i].Key])
			}
		}
	}
	return settings, pool, err
}
