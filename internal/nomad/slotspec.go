package nomad

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

// slotSpec is what the job of a slot gives to the engines there, in words of the config. The job's meta has it, for the job outlives the config.
type slotSpec struct {
	GPUs       int      `json:"gpus_per_slot"`
	NodePool   string   `json:"node_pool"`
	HostMemory int64    `json:"host_memory,omitempty"` // MiB
	Driver     string   `json:"driver,omitempty"`
	Image      string   `json:"image,omitempty"`
	Volumes    []string `json:"volumes,omitempty"`
	Secrets    []string `json:"secrets,omitempty"`
	Memory     int64    `json:"memory,omitempty"` // MiB, of all engines together
	CPU        int      `json:"cpu,omitempty"`    // MHz, likewise
}

// slotSpecOf gives what a slot of the pool is to have: what any engine of the pool's models needs.
func (n *Nomad) slotSpecOf(q fleet.Pool, models []*fleet.Model) (*slotSpec, error) {
	s := &slotSpec{GPUs: q.GPUsPerSlot, NodePool: cmp.Or(q.NodePool, n.cfg.NodePool), HostMemory: int64(q.HostMemory >> 20)}
	var drivers, images []string
	for _, m := range models {
		if m.Pool != q.Name {
			continue
		}
		drivers = append(drivers, cmp.Or(m.Engine.Driver, "docker"))
		if m.Engine.Image != "" {
			images = append(images, m.Engine.Image)
		}
		s.Volumes = append(s.Volumes, m.Engine.Volumes...)
		if m.Engine.Secrets != "" {
			s.Secrets = append(s.Secrets, m.Engine.Secrets)
		}
	}
	drivers, images = unique(drivers), unique(images)
	if len(drivers) > 1 || len(images) > 1 {
		return nil, fmt.Errorf("pool %s: its models share one slot, and want the drivers %q and the images %q; choose one of each", q.Name, drivers, images)
	}
	s.Driver, s.Image = strings.Join(drivers, ""), strings.Join(images, "")
	s.Volumes, s.Secrets = unique(s.Volumes), unique(s.Secrets)
	if memory, cpu := wants(q, models); memory > 0 {
		s.Memory, s.CPU = int64(memory>>20), cpu
	}
	return s, nil
}

// values are those of the job file's variables.
func (s *slotSpec) values() (nomadjobs.Values, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing the slot's spec: %w", err)
	}
	values := nomadjobs.Values{"spec": string(text), "gpus": s.GPUs, "node_pool": s.NodePool, "volumes": s.Volumes, "secrets": s.Secrets}
	if s.HostMemory > 0 {
		values["host_memory"] = fmt.Sprintf("%dMiB", s.HostMemory)
	}
	if s.Driver != "" {
		values["driver"] = s.Driver
	}
	if s.Image != "" {
		values["image"] = s.Image
	}
	if s.Memory > 0 {
		values["memory"], values["cpu"] = int(s.Memory), s.CPU
	}
	return values, nil
}

// parseSlotSpec reads what a slot was launched with; nil = its job does not say.
func parseSlotSpec(meta map[string]string) *slotSpec {
	var s slotSpec
	if text := meta[metaSpec]; text == "" || json.Unmarshal([]byte(text), &s) != nil {
		return nil
	}
	return &s
}

// lacks names what of the spec that slots are to have now one lacks that was launched with s; "" = nothing. More than is needed is no lack, but of secrets: who
// takes one away does not want engines to have it.
func (s *slotSpec) lacks(now *slotSpec) string {
	var names []string
	for _, row := range []struct {
		name  string
		lacks bool
	}{
		{"gpus_per_slot", s.GPUs != now.GPUs},
		{"node_pool", s.NodePool != now.NodePool},
		{"host_memory", s.HostMemory != now.HostMemory},
		{"driver", now.Driver != "" && s.Driver != now.Driver},
		{"image", now.Image != "" && s.Image != now.Image},
		{"volumes", slices.ContainsFunc(now.Volumes, func(v string) bool { return !slices.Contains(s.Volumes, v) })},
		{"secrets", !slices.Equal(s.Secrets, now.Secrets)},
		{"memory", s.Memory < now.Memory},
		{"cpu", s.CPU < now.CPU},
	} {
		if row.lacks {
			names = append(names, row.name)
		}
	}
	return strings.Join(names, ", ")
}

// outdated names what of the present config a slot of the pool lacks that was launched with that spec (nil = not known); "" = nothing. Where the pool is no
// longer in the config, it goes anyway when it is empty.
func (n *Nomad) outdated(pool string, was *slotSpec) string {
	c := n.serving.Load()
	if now := c.slots[pool]; was != nil && now != nil {
		return was.lacks(now)
	}
	return ""
}
