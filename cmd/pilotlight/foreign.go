package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/peers"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// modelsScope is where the store keeps which models each server has in its config, so that whoever leads starts them for its callers and leaves them alone.
const modelsScope = "servers/models"

const (
	tellModelsEvery  = time.Minute
	forgetModelsAt   = 10 * time.Minute // of a server that has ended
	lookAtModelsMost = 5 * time.Second
)

// foreign are models that other servers of the cluster have in their configs, and this one has not.
type foreign struct {
	store  *store.Store
	server string // this one

	mu     sync.Mutex // guards models
	models []*fleet.Model
}

// kept is what the store has of one server.
type kept struct {
	At     time.Time      `json:"at"`
	Models []*fleet.Model `json:"models"`
}

// tell keeps the models of this server's config for the others.
func (f *foreign) tell(ctx context.Context, now time.Time, models []*fleet.Model) error {
	text, err := json.Marshal(kept{now, models})
	if err != nil {
		return fmt.Errorf("writing the models of the config: %w", err)
	}
	return f.store.SaveSetting(ctx, modelsScope, f.server, string(text))
}

// read reads what the other servers have beside a server's own models, and reports whether that has changed. Of several that have a model of one ID, the last to
// tell is believed.
func (f *foreign) read(ctx context.Context, now time.Time, own map[string]*fleet.Model) (changed bool, err error) {
	all, err := f.store.Settings(ctx, modelsScope)
	if err != nil {
		return false, err
	}
	at, found := map[string]time.Time{}, map[string]*fleet.Model{}
	for server, text := range all {
		var k kept
		if err := json.Unmarshal([]byte(text), &k); err != nil || server == f.server || now.Sub(k.At) > forgetModelsAt {
			continue // what another version has written in another way is not known
		}
		for _, m := range k.Models {
			if own[m.ID] == nil && (found[m.ID] == nil || k.At.After(at[m.ID])) {
				found[m.ID], at[m.ID] = m, k.At
			}
		}
	}
	var models []*fleet.Model
	for _, id := range slices.Sorted(maps.Keys(found)) {
		models = append(models, found[id])
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = !slices.EqualFunc(models, f.models, func(a, b *fleet.Model) bool { return digest(a) == digest(b) })
	if changed {
		f.models = models
	}
	return changed, nil
}

// beside adds to the models of a config those that only other servers have, where its pools can hold them.
func (f *foreign) beside(own []*fleet.Model, pools []fleet.Pool) []*fleet.Model {
	if f == nil {
		return own
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(own)
	for _, m := range f.models {
		known := slices.ContainsFunc(own, func(o *fleet.Model) bool { return o.ID == m.ID })
		placed := m.Pool == "" || slices.ContainsFunc(pools, func(p fleet.Pool) bool { return p.Name == m.Pool })
		if !known && placed {
			all = append(all, m)
		}
	}
	return all
}

// know takes the models of a server that is met, which has told the store of them, and gives what this one plans with.
func (m *member) know(ctx context.Context, s *server, theirs peers.Parts) peers.Parts {
	own := m.part.Load()
	known := maps.Clone(own.parts)
	if len(own.parts.Differences(theirs)) == 0 {
		return known
	}
	m.takeModels(ctx, s)
	for _, f := range s.configurer.foreign.beside(nil, s.tuning.pools()) {
		known[peers.Model(f.ID)] = digest(f)
	}
	return known
}

// takeModels takes models that only other servers have, where they have changed.
func (m *member) takeModels(ctx context.Context, s *server) {
	changed, err := s.configurer.foreign.read(ctx, s.c.Now(), m.part.Load().models)
	if err == nil && changed {
		m.c.Log.Info("models of other servers' configs are taken")
		err = s.configurer.again(ctx)
	}
	if err != nil && ctx.Err() == nil {
		m.c.Log.Warn("models of other servers' configs were not taken", "reason", err)
	}
}

// exchangeModels tells the others this server's models, and takes theirs while it leads, until ctx is done. It calls done once it has tried to tell them.
func (m *member) exchangeModels(ctx context.Context, s *server, done func()) {
	f := s.configurer.foreign
	told, at := "", time.Time{}
	tick := time.NewTicker(lookAtModelsMost)
	defer tick.Stop()
	for {
		now := m.part.Load()
		if now.version != told || time.Since(at) >= tellModelsEvery {
			if err := f.tell(ctx, s.c.Now(), slices.Collect(maps.Values(now.models))); err == nil {
				told, at = now.version, time.Now()
			} else if ctx.Err() == nil {
				m.c.Log.Warn("the other servers were not told this one's models", "reason", err)
			}
		}
		done()
		if _, leads := m.term(); leads {
			m.takeModels(ctx, s)
		}
		select {
		case <-ctx.Done():
			return // what it has told holds for a while: it may be about to start again
		case <-tick.C:
		}
	}
}
