package config

import (
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// What comes of a change on a server that runs.
const (
	effectRestart  = "needs a restart"
	effectNow      = "from now on"
	effectDrain    = "its instances drain"
	effectLimits   = "at once; what is parked beyond it is stopped"
	effectNewSlots = "in slots that are added from now on"
	effectInSlots  = "its instances drain; in slots that are added from now on"
	effectRemoved  = "whoever waits for it is served, then its instances drain"
	effectNoPool   = "its slots are given back once they are empty"
)

// Diff says what would change on a server that has the one config and takes the other.
func Diff(old, next *Config) Changes {
	all := compare(nil, Change{}, serverAttributes, old, next)
	all = compare(all, Change{Block: "api"}, apiAttributes, &old.API, &next.API)
	all = compare(all, Change{Block: "admin"}, adminAttributes, &old.Admin, &next.Admin)
	all = diffAdminTokens(all, old.Admin.Tokens, next.Admin.Tokens)
	all = compare(all, Change{Block: "servers"}, serversAttributes, &old.Servers, &next.Servers)
	all = compare(all, Change{Block: "price"}, priceAttributes, old, next)
	all = compare(all, Change{Block: "store"}, storeAttributes, &old.Store, &next.Store)
	all = compare(all, Change{Block: "ledger"}, ledgerAttributes, &old.Ledger, &next.Ledger)
	all = diffWebhooks(all, old.Webhooks, next.Webhooks)
	all = compare(all, Change{Block: "telemetry"}, telemetryAttributes, &old.Telemetry, &next.Telemetry)
	all = compare(all, Change{Block: "autoscaler"}, autoscalerAttributes, &old.Autoscaler, &next.Autoscaler)
	if old.Backend.Kind != next.Backend.Kind { // then the rest of both says nothing about the other
		return compare(all, Change{Block: "backend"}, backendAttributes[:1], &old.Backend, &next.Backend)
	}
	all = compare(all, Change{Block: "backend"}, backendAttributes[1:], &old.Backend, &next.Backend)
	all = diffPools(all, old.Pools, next.Pools, poolAttributes[next.Backend.Kind])
	return diffModels(all, old.Models, next.Models, next.attributesOf)
}

// compare adds a change for each attribute of which a and b differ; of says whose they are.
func compare[T any](all Changes, of Change, attributes []attribute[T], a, b *T) Changes {
	for _, at := range attributes {
		if at.text(a) == at.text(b) {
			continue
		}
		of.Kind, of.Attribute, of.Effect, of.Restart = Changed, at.key, at.effect, at.effect == effectRestart
		of.Old, of.New = at.text(a), at.text(b)
		if at.shown != nil {
			of.Old, of.New = at.shown(a), at.shown(b)
		}
		all = append(all, of)
	}
	return all
}

func diffPools(all Changes, old, next []fleet.Pool, attributes []attribute[fleet.Pool]) Changes {
	named := func(pools []fleet.Pool, name string) int {
		return slices.IndexFunc(pools, func(p fleet.Pool) bool { return p.Name == name })
	}
	for i := range next {
		p := &next[i]
		if k := named(old, p.Name); k >= 0 {
			all = compare(all, Change{Block: "pool", Name: p.Name}, attributes, &old[k], p)
		} else {
			all = append(all, Change{Kind: Added, Block: "pool", Name: p.Name})
		}
	}
	for _, p := range old {
		if named(next, p.Name) < 0 {
			all = append(all, Change{Kind: Removed, Block: "pool", Name: p.Name, Effect: effectNoPool})
		}
	}
	return all
}

func diffModels(all Changes, old, next []*fleet.Model, attributesOf func(*fleet.Model) []attribute[fleet.Model]) Changes {
	before, after := byID(old), byID(next)
	for _, m := range next {
		if was := before[m.ID]; was != nil {
			all = compare(all, Change{Block: "model", Name: m.ID}, attributesOf(m), was, m)
		} else {
			all = append(all, Change{Kind: Added, Block: "model", Name: m.ID})
		}
	}
	for _, m := range old {
		if after[m.ID] == nil {
			all = append(all, Change{Kind: Removed, Block: "model", Name: m.ID, Effect: effectRemoved})
		}
	}
	return all
}

func (c *Config) attributesOf(m *fleet.Model) []attribute[fleet.Model] {
	if c.Backend.Kind == BackendNomad && m.Pool != "" {
		return pooledAttributes
	}
	return modelAttributes
}

func byID(models []*fleet.Model) map[string]*fleet.Model {
	found := make(map[string]*fleet.Model, len(models)) // model ID -> model
	for _, m := range models {
		found[m.ID] = m
	}
	return found
}

// Keep makes c share the models that are the same in both configs, so that whoever holds one need not compare it to know that it has not changed.
func (c *Config) Keep(old *Config) {
	before := byID(old.Models)
	for i, m := range c.Models {
		if was := before[m.ID]; was != nil && len(compare(nil, Change{}, modelAttributes, was, m)) == 0 {
			c.Models[i] = was
		}
	}
}
