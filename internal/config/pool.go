package config

import (
	"fmt"
	"math"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// pools gives the pools of the file, the implicit one of the local back end among them.
func (r *reader) pools(blocks []*poolHCL, b Backend) []fleet.Pool {
	var pools []fleet.Pool
	if b.Kind == BackendLocal {
		pools = append(pools, localPool(b))
	}
	first := map[string]int{} // name -> line
	for _, f := range blocks {
		if !r.first(first, "pool", f.Name, f.Range) {
			continue
		}
		r.label("pool", f.Name, f.Range)
		p := defaultPool(f.Name)
		if b.Kind == BackendLocal && f.Name == fleet.LocalPool {
			p, pools = pools[0], nil
			r.alwaysThere(f)
		} else {
			r.gpus(f.GPUsPerSlot, &p.GPUsPerSlot, 1)
			r.word(f.NodePool, &p.NodePool)
			r.span(f.SlotIdle, &p.SlotIdle, 0)
			r.bounds(f.Slots, &p.Slots, "slots")
		}
		r.size(f.HostMemory, &p.HostMemory, 0)
		r.count(f.MaxParkedPerGPU, &p.MaxParkedPerGPU, 0, math.MaxInt32)
		r.size(f.ParkedGPUMemory, &p.ParkedGPUMemory, 0)
		r.text(f.EngineUser, &p.EngineUser, `a user's name, or "same"`)
		pools = append(pools, p)
	}
	return pools
}

// alwaysThere refuses what the pool "local" cannot choose: its one slot is this machine.
func (r *reader) alwaysThere(f *poolHCL) {
	r.misplaced(f.GPUsPerSlot, `a pool on Nomad, and gpus of backend "local" says it here`)
	r.misplaced(f.NodePool, "a pool on Nomad")
	r.misplaced(f.SlotIdle, "a pool on Nomad")
	if f.Slots != nil {
		r.wrong(f.Slots.Range, "slots belongs to a pool on Nomad; leave it out: this machine is the one slot")
	}
}

// modelPool reads which pool a model is in, and holds the model against the slots there.
func (r *reader) modelPool(f *modelHCL, m *fleet.Model, c *Config) {
	if f.Pool == nil || !r.text(f.Pool, &m.Pool, "the name of a pool in quotes") {
		if c.Backend.Kind == BackendLocal {
			m.Pool = fleet.LocalPool
		}
		return
	}
	i := slices.IndexFunc(c.Pools, func(p fleet.Pool) bool { return p.Name == m.Pool })
	if i < 0 {
		r.unknownPool(f, m, c)
		return
	}
	if c.Backend.Kind == BackendLocal {
		return
	}
	p := c.Pools[i]
	switch most := p.Slots.Max * (p.GPUsPerSlot / max(m.GPUs, 1)); {
	case m.GPUs > p.GPUsPerSlot:
		r.wrong(f.Pool.Range, "pool %q has slots of %d GPUs, and the model needs %d; choose a larger pool", p.Name, p.GPUsPerSlot, m.GPUs)
	case m.Instances.Min > most:
		r.wrong(f.Pool.Range, "instances: min is %d, and pool %q holds %d of them at most (slots of %d GPUs: max %d); lower min, or raise max of the pool's slots",
			m.Instances.Min, p.Name, most, p.GPUsPerSlot, p.Slots.Max)
	}
}

func (r *reader) unknownPool(f *modelHCL, m *fleet.Model, c *Config) {
	if len(c.Pools) == 0 {
		r.wrong(f.Pool.Range, "pool %q is unknown; write a block pool %[1]q {}, or leave it out, and each instance is a job of its own", m.Pool)
		return
	}
	names := make([]string, len(c.Pools))
	for j, p := range c.Pools {
		names[j] = p.Name
	}
	r.wrong(f.Pool.Range, "pool %q is unknown; %s", m.Pool, suggestion(m.Pool, names))
}

// poolsHold holds the models of each pool against what their engines share.
func (r *reader) poolsHold(f *fileHCL, c *Config) {
	for _, p := range c.Pools {
		models := c.modelsOf(p)
		if said := r.options.crowded(p, models); said != "" {
			r.wrong(r.poolBlock(f, p, models), "%s", said)
		}
		if len(models) > 0 && c.Backend.Kind == BackendNomad {
			r.oneShape(f, models)
		}
	}
}

// gpuMemory is that of an H100 of 80 GB, as an engine is launched for it.
const gpuMemory fleet.Bytes = 79 << 30

// modelsOf gives the models that are in the pool.
func (c *Config) modelsOf(p fleet.Pool) []*fleet.Model {
	var models []*fleet.Model
	for _, m := range c.Models {
		if m.Pool == p.Name {
			models = append(models, m)
		}
	}
	return models
}

// crowded says why the pool cannot be: its largest model does not fit beside the engines that may be parked on the same GPUs; "" = it fits.
func (o Options) crowded(p fleet.Pool, models []*fleet.Model) string {
	largest := o.largest(models)
	if largest == nil {
		return ""
	}
	takes := o.onEachGPU(largest)
	if p.ParkedGPUMemory <= 0 || takes == 0 || fleet.Bytes(p.MaxParkedPerGPU) <= (gpuMemory-takes)/p.ParkedGPUMemory {
		return ""
	}
	return fmt.Sprintf("pool %q: %s takes about %s of each of its GPUs, which does not fit beside %d parked engines of %s each on %s; lower max_parked_per_gpu or parked_gpu_memory",
		p.Name, largest.ID, takes, p.MaxParkedPerGPU, p.ParkedGPUMemory, gpuMemory)
}

// largest gives the model that takes most of each of its GPUs; nil = there are no models.
func (o Options) largest(models []*fleet.Model) (largest *fleet.Model) {
	for _, m := range models {
		if largest == nil || o.onEachGPU(m) > o.onEachGPU(largest) {
			largest = m
		}
	}
	return largest
}

// poolBlock is where the file has the pool; the implicit one is where its largest model is.
func (r *reader) poolBlock(f *fileHCL, p fleet.Pool, models []*fleet.Model) hcl.Range {
	for _, block := range f.Pools {
		if block.Name == p.Name {
			return block.Range
		}
	}
	return r.blockOf(f, r.options.largest(models))
}

// onEachGPU is about what an engine of the model takes of each of its GPUs without its KV cache: what the catalogue knows its weights and processes to
// take, else half a GPU, or memory where that is less. What engines are launched with is guessed in the same way.
func (o Options) onEachGPU(m *fleet.Model) fleet.Bytes {
	if m.GPUs == 0 {
		return 0
	}
	if known := o.known(m.ID); known != nil {
		return known.Engine.Memory / fleet.Bytes(m.GPUs)
	}
	return min(gpuMemory/2, m.Engine.Memory/fleet.Bytes(m.GPUs))
}

// oneShape refuses models of one pool that want different drivers or images: their engines run in one allocation.
func (r *reader) oneShape(f *fileHCL, models []*fleet.Model) {
	first := models[0]
	for _, m := range models[1:] {
		what, its, others := "driver", m.Engine.Driver, first.Engine.Driver
		if its == others {
			what, its, others = "image", m.Engine.Image, first.Engine.Image
		}
		if its != others {
			r.wrong(r.blockOf(f, m), "%s: %s %q, but %s of the same pool has %q; the engines of a pool share an allocation: give both the same, or pools of their own",
				m.ID, what, its, first.ID, others)
		}
	}
}

func (r *reader) blockOf(f *fileHCL, m *fleet.Model) hcl.Range {
	for _, block := range f.Models {
		if block.ID == m.ID {
			return block.Range
		}
	}
	return hcl.Range{}
}
