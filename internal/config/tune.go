package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Mistuned is one setting that a pool cannot be tuned to, and what would be right.
type Mistuned struct {
	Key     string
	Message string // names the key
}

// Mistunings are all that is wrong with the settings of one pool, by key. It has at least one element.
type Mistunings []Mistuned

// Error gives all of them in one line.
func (m Mistunings) Error() string {
	messages := make([]string, len(m))
	for i, one := range m {
		messages[i] = one.Message
	}
	return strings.Join(messages, "; ")
}

// setting is one attribute of a pool that can change while the server runs, or that looks as if it could.
type setting struct {
	key    string
	number bool // in the file it is written without quotes
	read   func(r *reader, attr *hcl.Attribute, p *fleet.Pool)
	text   func(p *fleet.Pool) string
	fixed  func(c *Config) string // why it cannot change here; "" = it can
}

const (
	keySlotsMin = "slots.min"
	keySlotsMax = "slots.max"
)

// settings are in the order in which people are shown them.
var settings = []setting{
	{
		key: "max_parked_per_gpu", number: true,
		read: func(r *reader, attr *hcl.Attribute, p *fleet.Pool) {
			r.count(attr, &p.MaxParkedPerGPU, 0, math.MaxInt32)
		},
		text:  func(p *fleet.Pool) string { return strconv.Itoa(p.MaxParkedPerGPU) },
		fixed: func(*Config) string { return "" },
	},
	{
		key:   "parked_gpu_memory",
		read:  func(r *reader, attr *hcl.Attribute, p *fleet.Pool) { r.size(attr, &p.ParkedGPUMemory, 0) },
		text:  func(p *fleet.Pool) string { return p.ParkedGPUMemory.String() },
		fixed: func(*Config) string { return "" },
	},
	{
		key:   "host_memory",
		read:  func(r *reader, attr *hcl.Attribute, p *fleet.Pool) { r.size(attr, &p.HostMemory, 0) },
		text:  func(p *fleet.Pool) string { return p.HostMemory.String() },
		fixed: ofTheJob,
	},
	{
		key: "latency_weight", number: true,
		read:  func(r *reader, attr *hcl.Attribute, p *fleet.Pool) { r.weight(attr, &p.LatencyWeight) },
		text:  func(p *fleet.Pool) string { return strconv.FormatFloat(p.LatencyWeight, 'g', -1, 64) },
		fixed: ofTheAdaptive,
	},
	{
		key:   "slot_idle",
		read:  func(r *reader, attr *hcl.Attribute, p *fleet.Pool) { r.span(attr, &p.SlotIdle, 0) },
		text:  func(p *fleet.Pool) string { return fleet.FormatDuration(p.SlotIdle) },
		fixed: ofSlots,
	},
	{
		key: keySlotsMin, number: true,
		read:  func(r *reader, attr *hcl.Attribute, p *fleet.Pool) { r.count(attr, &p.Slots.Min, 0, math.MaxInt32) },
		text:  func(p *fleet.Pool) string { return strconv.Itoa(p.Slots.Min) },
		fixed: ofSlots,
	},
	{
		key: keySlotsMax, number: true,
		read:  func(r *reader, attr *hcl.Attribute, p *fleet.Pool) { r.count(attr, &p.Slots.Max, 1, math.MaxInt32) },
		text:  func(p *fleet.Pool) string { return strconv.Itoa(p.Slots.Max) },
		fixed: ofSlots,
	},
	{
		key:  "gpus_per_slot",
		text: func(p *fleet.Pool) string { return strconv.Itoa(p.GPUsPerSlot) },
		fixed: func(c *Config) string {
			if c.Backend.Kind == BackendLocal {
				return `is that of the machine; change gpus of backend "local" in the config and start again`
			}
			return "is fixed for each slot, which keeps the GPUs that it was started with; change it in the config and apply that, for slots to come"
		},
	},
	{key: "node_pool", text: func(p *fleet.Pool) string { return p.NodePool }, fixed: func(c *Config) string {
		if c.Backend.Kind == BackendLocal {
			return "belongs to a pool on Nomad"
		}
		return ofTheJob(c)
	}},
}

func ofTheJob(c *Config) string {
	if c.Backend.Kind == BackendLocal {
		return ""
	}
	return "is part of each slot's Nomad job; change it in the config and apply that, for slots to come"
}

func ofSlots(c *Config) string {
	if c.Backend.Kind == BackendLocal {
		return "belongs to a pool on Nomad: here this machine is the one slot, and always there"
	}
	return ""
}

func ofTheAdaptive(c *Config) string {
	if c.Autoscaler.Policy == PolicyAdaptive {
		return ""
	}
	return fmt.Sprintf("is what policy %q weighs with, and this server's is %q", PolicyAdaptive, c.Autoscaler.Policy)
}

// Pool gives the pool of that name as the file has it; false = there is none.
func (c *Config) Pool(name string) (fleet.Pool, bool) {
	i := slices.IndexFunc(c.Pools, func(p fleet.Pool) bool { return p.Name == name })
	if i < 0 {
		return fleet.Pool{}, false
	}
	p := c.Pools[i]
	p.LatencyWeight = c.Autoscaler.LatencyWeight
	return p, true
}

// Setting gives what a pool has for the key, as text that Tune takes; "" = no such key.
func Setting(p fleet.Pool, key string) string {
	for _, s := range settings {
		if s.key == key {
			return s.text(&p)
		}
	}
	return ""
}

// Tunable lists the keys that Tune takes here, in the order in which people are shown them.
func (c *Config) Tunable() []string {
	var keys []string
	for _, s := range settings {
		if s.fixed(c) == "" {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// Fixed says why the setting cannot be tuned here, as what follows its key in a sentence; "" = it can, or is none.
func (c *Config) Fixed(key string) string {
	for _, s := range settings {
		if s.key == key {
			return s.fixed(c)
		}
	}
	return ""
}

// Tune gives the pool of the file with other settings: key -> text as in the file, without quotes. Its error is a Mistunings. The pool must
// be one of the file's.
func (c *Config) Tune(name string, changes map[string]string) (fleet.Pool, error) {
	p, _ := c.Pool(name)
	var wrong Mistunings
	for key := range changes {
		if !slices.ContainsFunc(settings, func(s setting) bool { return s.key == key }) {
			wrong = append(wrong, Mistuned{key, c.unknownSetting(key)})
		}
	}
	slices.SortFunc(wrong, func(a, b Mistuned) int { return strings.Compare(a.Key, b.Key) })
	read := true
	for _, s := range settings {
		text, given := changes[s.key]
		if !given {
			continue
		}
		if why := s.fixed(c); why != "" {
			wrong = append(wrong, Mistuned{s.key, s.key + " " + why})
		} else if said := s.set(&p, text); said != "" {
			read = false
			wrong = append(wrong, Mistuned{s.key, said})
		}
	}
	if read {
		wrong = append(wrong, c.suits(p, changes)...)
	}
	if len(wrong) > 0 {
		return fleet.Pool{}, wrong
	}
	return p, nil
}

func (c *Config) unknownSetting(key string) string {
	known := c.Tunable()
	if key == "slots" {
		return "slots has two bounds; write slots.min=... or slots.max=..."
	}
	switch key {
	case "policy":
		return "policy is of the whole server: only what-if takes it here; change it in the autoscaler block of the config"
	case "idle_after":
		return "idle_after is of each model: only what-if takes it here; change it in the models of the config"
	}
	hint := suggestion(key, known)
	if list := "possible are " + strings.Join(known, ", "); hint != list {
		hint += " " + list
	}
	return fmt.Sprintf("%s is no setting of a pool; %s", key, hint)
}

// set reads the text into the pool; it returns what is wrong, "" = nothing.
func (s *setting) set(p *fleet.Pool, text string) string {
	value := cty.StringVal(text)
	if s.number {
		number, err := cty.ParseNumberVal(text)
		if err != nil {
			return fmt.Sprintf("%s: %q is no number; write one such as %s", s.key, text, s.text(p))
		}
		value = number
	}
	r := &reader{}
	s.read(r, &hcl.Attribute{Name: s.key, Expr: hcl.StaticExpr(value, hcl.Range{})}, p)
	for _, m := range r.mistakes {
		return m.Message
	}
	return ""
}

// suits holds a tuned pool against the models that are in it.
func (c *Config) suits(p fleet.Pool, changes map[string]string) Mistunings {
	var wrong Mistunings
	blame := func(keys []string, message string) {
		for _, key := range keys {
			if _, given := changes[key]; given {
				wrong = append(wrong, Mistuned{key, message})
				return
			}
		}
	}
	if p.Slots.Min > p.Slots.Max {
		blame([]string{keySlotsMin, keySlotsMax}, fmt.Sprintf("slots.min is %d, more than slots.max, %d; lower it or raise that", p.Slots.Min, p.Slots.Max))
		return wrong
	}
	models := c.modelsOf(p)
	for _, m := range models {
		if most := p.Slots.Max * (p.GPUsPerSlot / max(m.GPUs, 1)); c.Backend.Kind != BackendLocal && m.Instances.Min > most {
			blame([]string{keySlotsMax}, fmt.Sprintf("slots.max is %d, which holds %d of %s, and its instances.min is %d; raise slots.max", p.Slots.Max, most, m.ID, m.Instances.Min))
		}
	}
	if most := c.Backend.HostMemory; c.Backend.Kind == BackendLocal && p.HostMemory > most {
		blame([]string{"host_memory"}, fmt.Sprintf("host_memory is %s, and backend \"local\" may use %s of this machine; lower it, or raise that in the config and start again", p.HostMemory, most))
	}
	if crowded := (Options{}).crowded(p, models); crowded != "" {
		blame([]string{"max_parked_per_gpu", "parked_gpu_memory"}, crowded)
	}
	return wrong
}
