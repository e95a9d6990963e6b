package nomad

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

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
	values := nomadjobs.Values{
		"cluster": n.cfg.Cluster, "pool": q.Name, "slot": act.Slot, "term": termOf(act),
		"region": n.cfg.Region, "namespace": n.cfg.Namespace, "datacenters": n.cfg.Datacenters, "node_pool": cmp.Or(q.NodePool, n.cfg.NodePool),
		"gpus": q.GPUsPerSlot, "key": KeyPath,
	}
	for name, value := range map[string]string{"program": n.cfg.Self, "consul": n.cfg.Consul, "engine_user": q.EngineUser} {
		if value != "" {
			values[name] = value
		}
	}
	if q.HostMemory > 0 {
		values["host_memory"] = strconv.FormatInt(int64(q.HostMemory>>20), 10) + "MiB"
	}
	return n.renderFor(q, values)
}

// renderFor adds what the pool's models want.
func (n *Nomad) renderFor(q fleet.Pool, values nomadjobs.Values) (string, error) {
	var drivers, images, volumes, secrets []string
	for _, m := range n.serving.Load().list {
		if m.Pool != q.Name {
			continue
		}
		drivers = append(drivers, cmp.Or(m.Engine.Driver, "docker"))
		if m.Engine.Image != "" {
			images = append(images, m.Engine.Image)
		}
		volumes = append(volumes, m.Engine.Volumes...)
		if m.Engine.Secrets != "" {
			secrets = append(secrets, m.Engine.Secrets)
		}
	}
	drivers, images = unique(drivers), unique(images)
	if len(drivers) > 1 || len(images) > 1 {
		return "", fmt.Errorf("pool %s: its models share one slot, and want the drivers %q and the images %q; choose one of each", q.Name, drivers, images)
	}
	if len(drivers) > 0 {
		values["driver"] = drivers[0]
	}
	if len(images) > 0 {
		values["image"] = images[0]
	}
	values["volumes"], values["secrets"] = unique(volumes), unique(secrets)
	if memory, cpu := n.wants(q); memory > 0 {
		values["memory"], values["cpu"] = int(memory>>20), cpu
	}
	return nomadjobs.Render(nomadjobs.Slot, values)
}

// wants is what a slot of the pool asks a node for: the memory of awake engines and of parked ones, and the MHz of awake ones. 0 = the pool has no
// models, and the job file says.
func (n *Nomad) wants(q fleet.Pool) (memory fleet.Bytes, cpu int) {
	for _, m := range n.serving.Load().list {
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
