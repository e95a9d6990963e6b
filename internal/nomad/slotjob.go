package nomad

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

// RenderSlot gives the job of one slot of the pool as text that `nomad job run` takes. It has what any engine of the pool's models needs: the
// volumes and secrets of all, and the memory of the hungriest on every GPU.
func (n *Nomad) RenderSlot(pool, id string) (string, error) {
	q, ok := n.pool(pool)
	if !ok {
		return "", fmt.Errorf("rendering a slot of %s: %w", pool, ErrUnknownPool)
	}
	return n.renderSlot(q, fleet.Act{Slot: id})
}

// renderSlot gives the job of the slot that an act asks for.
func (n *Nomad) renderSlot(q fleet.Pool, act fleet.Act) (string, error) {
	spec, err := n.slotSpecOf(q, n.serving.Load().list)
	if err != nil {
		return "", err
	}
	values, err := spec.values()
	if err != nil {
		return "", err
	}
	maps.Copy(values, nomadjobs.Values{
		"cluster": n.cfg.Cluster, "pool": q.Name, "slot": act.Slot, "term": termOf(act),
		"region": n.cfg.Region, "namespace": n.cfg.Namespace, "datacenters": n.cfg.Datacenters, "key": KeyPath,
	})
	for name, value := range map[string]string{"program": n.cfg.Self, "consul": n.cfg.Consul} {
		if value != "" {
			values[name] = value
		}
	}
	return nomadjobs.Render(nomadjobs.Slot, values)
}

// wants is what a slot of the pool asks a node for: the memory of awake engines and of parked ones, and the MHz of awake ones. 0 = the pool has no
// models, and the job file says.
func wants(q fleet.Pool, models []*fleet.Model) (memory fleet.Bytes, cpu int) {
	for _, m := range models {
		if gpus := max(m.GPUs, 1); m.Pool == q.Name {
			memory, cpu = max(memory, m.Engine.Memory/fleet.Bytes(gpus)), max(cpu, m.Engine.CPU/gpus)
		}
	}
	if memory > 0 {
		memory = memory*fleet.Bytes(q.GPUsPerSlot) + q.HostMemory
	}
	return memory, max(cpu, 1) * q.GPUsPerSlot
}

// unique sorts, and leaves out what is there already; the result is not nil.
func unique(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(append([]string{}, list...))))
}
