package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// attribute is one value of a block, as the file writes it, and what a change of it does.
type attribute[T any] struct {
	key    string
	text   func(*T) string
	effect string
	shown  func(*T) string // what people are shown; nil = text
}

func quoted(s string) string { return strconv.Quote(s) }

func listText(texts []string) string {
	all := make([]string, len(texts))
	for i, s := range texts {
		all[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func number(n int) string { return strconv.Itoa(n) }

func decimal(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

var serverAttributes = []attribute[Config]{
	{key: "cluster", effect: effectRestart, text: func(c *Config) string { return quoted(c.Cluster) }},
}

var priceAttributes = []attribute[Config]{
	{key: "gpu_hour_usd", effect: effectNow, text: func(c *Config) string { return quoted(c.Price.String()) }},
}

var apiAttributes = append([]attribute[API]{
	{key: "addr", effect: effectRestart, text: func(a *API) string { return quoted(a.Addr) }},
	{key: "path_aliases", effect: effectRestart, text: func(a *API) string { return listText(a.PathAliases) }},
	{key: "cors_origins", effect: effectRestart, text: func(a *API) string { return listText(a.CORSOrigins) }},
	{key: "body_limit", effect: effectRestart, text: func(a *API) string { return quoted(a.BodyLimit.String()) }},
	{key: "keepalive", effect: effectRestart, text: func(a *API) string { return quoted(a.Keepalive) }},
	{key: "stream_heartbeat", effect: effectRestart, text: func(a *API) string { return quoted(fleet.FormatDuration(a.StreamHeartbeat)) }},
	{key: "body_budget", effect: effectRestart, text: func(a *API) string { return quoted(a.BodyBudget.String()) }},
	{key: "event_limit", effect: effectRestart, text: func(a *API) string { return quoted(a.EventLimit.String()) }},
	{key: "max_connections", effect: effectRestart, text: func(a *API) string { return number(a.MaxConnections) }},
	{key: "access_log", effect: effectRestart, text: func(a *API) string { return quoted(a.AccessLog) }},
}, tlsAttributes(func(a *API) *TLS { return &a.TLS })...)

var adminAttributes = append([]attribute[Admin]{
	{key: "addr", effect: effectRestart, text: func(a *Admin) string { return quoted(a.Addr) }},
	{key: "token_env", effect: effectRestart, text: func(a *Admin) string { return quoted(a.TokenEnv) }},
}, tlsAttributes(func(a *Admin) *TLS { return &a.TLS })...)

var serversAttributes = []attribute[Servers]{
	{key: "addr", effect: effectRestart, text: func(s *Servers) string { return quoted(s.Addr) }},
	{key: "advertise", effect: effectRestart, text: func(s *Servers) string { return quoted(s.Advertise) }},
	{key: "key_env", effect: effectRestart, text: func(s *Servers) string { return quoted(s.KeyEnv) }},
}

var storeAttributes = []attribute[Store]{
	{key: "kind", effect: effectRestart, text: func(s *Store) string { return quoted(s.Kind) }},
	{key: "path", effect: effectRestart, text: func(s *Store) string { return quoted(s.Path) }},
	{key: "url_env", effect: effectRestart, text: func(s *Store) string { return quoted(s.URLEnv) }},
}

var ledgerAttributes = []attribute[Ledger]{
	{key: "dir", effect: effectRestart, text: func(l *Ledger) string { return quoted(l.Dir) }},
	{key: "durability", effect: effectRestart, text: func(l *Ledger) string { return quoted(l.Durability) }},
	{key: "retention", effect: effectRestart, text: func(l *Ledger) string { return quoted(fleet.FormatDuration(l.Retention)) }},
}

var autoscalerAttributes = []attribute[Autoscaler]{
	{key: "policy", effect: effectRestart, text: func(a *Autoscaler) string { return quoted(a.Policy) }},
	{key: "latency_weight", effect: effectNow, text: func(a *Autoscaler) string { return decimal(a.LatencyWeight) }},
	{key: "idle_cost", effect: effectNow, text: func(a *Autoscaler) string { return decimal(a.IdleCost) }},
}

// backendAttributes begin with the kind.
var backendAttributes = []attribute[Backend]{
	{key: "kind", effect: effectRestart, text: func(b *Backend) string { return quoted(b.Kind) }},
	{key: "gpus", effect: effectRestart, text: func(b *Backend) string { return number(b.GPUs) }},
	{key: "host_memory", effect: effectRestart, text: func(b *Backend) string { return quoted(b.HostMemory.String()) }},
	{key: "addr", effect: effectRestart, text: func(b *Backend) string { return quoted(b.Nomad.Addr) }},
	{key: "token_env", effect: effectRestart, text: func(b *Backend) string { return quoted(b.Nomad.TokenEnv) }},
	{key: "namespace", effect: effectRestart, text: func(b *Backend) string { return quoted(b.Nomad.Namespace) }},
	{key: "datacenters", effect: effectRestart, text: func(b *Backend) string { return listText(b.Nomad.Datacenters) }},
	{key: "node_pool", effect: effectRestart, text: func(b *Backend) string { return quoted(b.Nomad.NodePool) }},
	{key: "consul.addr", effect: effectRestart, text: func(b *Backend) string { return quoted(b.Consul.Addr) }},
	{key: "consul.token_env", effect: effectRestart, text: func(b *Backend) string { return quoted(b.Consul.TokenEnv) }},
}

// poolAttributes are those of pools on a back end. What is part of a slot's Nomad job holds for slots to come.
var poolAttributes = map[string][]attribute[fleet.Pool]{
	BackendLocal: append(poolLimits(effectLimits), engineUser(effectRestart)),
	BackendNomad: append(poolLimits(effectNewSlots), []attribute[fleet.Pool]{
		{key: "gpus_per_slot", effect: effectNewSlots, text: func(p *fleet.Pool) string { return number(p.GPUsPerSlot) }},
		{key: "node_pool", effect: effectNewSlots, text: func(p *fleet.Pool) string { return quoted(p.NodePool) }},
		engineUser(effectNewSlots),
	}...),
}

func engineUser(effect string) attribute[fleet.Pool] {
	return attribute[fleet.Pool]{key: "engine_user", effect: effect, text: func(p *fleet.Pool) string { return quoted(p.EngineUser) }}
}

func poolLimits(hostMemory string) []attribute[fleet.Pool] {
	return []attribute[fleet.Pool]{
		{key: "host_memory", effect: hostMemory, text: func(p *fleet.Pool) string { return quoted(p.HostMemory.String()) }},
		{key: "max_parked_per_gpu", effect: effectLimits, text: func(p *fleet.Pool) string { return number(p.MaxParkedPerGPU) }},
		{key: "parked_gpu_memory", effect: effectNow, text: func(p *fleet.Pool) string { return quoted(p.ParkedGPUMemory.String()) }},
		{key: "slot_idle", effect: effectNow, text: func(p *fleet.Pool) string { return quoted(fleet.FormatDuration(p.SlotIdle)) }},
		{key: "slots.min", effect: effectNow, text: func(p *fleet.Pool) string { return number(p.Slots.Min) }},
		{key: "slots.max", effect: effectNow, text: func(p *fleet.Pool) string { return number(p.Slots.Max) }},
	}
}

// What an instance is launched with makes those that run drain (see fleet.Model.LaunchesLike); the rest of a model holds for every request from
// now on.
var (
	modelAttributes  = slices.Concat(placeAttributes, limitAttributes, engineAttributes(effectDrain))
	pooledAttributes = slices.Concat(placeAttributes, limitAttributes, engineAttributes(effectInSlots)) // in a pool on Nomad
)

var placeAttributes = []attribute[fleet.Model]{
	{key: "gpus", effect: effectDrain, text: func(m *fleet.Model) string { return number(m.GPUs) }},
	{key: "pool", effect: effectDrain, text: func(m *fleet.Model) string { return quoted(m.Pool) }},
	{key: "max_concurrency", effect: effectDrain, text: func(m *fleet.Model) string { return number(m.MaxConcurrency) }},
}

var limitAttributes = []attribute[fleet.Model]{
	{key: "endpoints", effect: effectNow, text: func(m *fleet.Model) string { return listText(endpointNames(m.Endpoints)) }},
	{key: "native", effect: effectNow, text: func(m *fleet.Model) string { return listText(endpointNames(m.Native)) }},
	{key: "context_length", effect: effectNow, text: func(m *fleet.Model) string { return number(m.ContextLength) }},
	{key: "idle_after", effect: effectNow, text: func(m *fleet.Model) string { return quoted(fleet.FormatDuration(m.IdleAfter)) }},
	{key: "allow", effect: effectNow, text: func(m *fleet.Model) string { return listText(m.Allow) }},
	{key: "instances.min", effect: effectNow, text: func(m *fleet.Model) string { return number(m.Instances.Min) }},
	{key: "instances.max", effect: effectNow, text: func(m *fleet.Model) string { return number(m.Instances.Max) }},
	{key: "queue.limit", effect: effectNow, text: func(m *fleet.Model) string { return number(m.Queue.Limit) }},
	{key: "queue.per_org", effect: effectNow, text: func(m *fleet.Model) string { return number(m.Queue.PerOrg) }},
	{key: "queue.max_wait", effect: effectNow, text: func(m *fleet.Model) string { return quoted(fleet.FormatDuration(m.Queue.MaxWait)) }},
	{key: "timeouts.start", effect: effectNow, text: func(m *fleet.Model) string { return quoted(fleet.FormatDuration(m.Timeouts.Start)) }},
	{key: "timeouts.first_byte", effect: effectNow, text: func(m *fleet.Model) string { return quoted(fleet.FormatDuration(m.Timeouts.FirstByte)) }},
	{key: "timeouts.idle", effect: effectNow, text: func(m *fleet.Model) string { return quoted(fleet.FormatDuration(m.Timeouts.Idle)) }},
	{key: "timeouts.total", effect: effectNow, text: func(m *fleet.Model) string { return quoted(fleet.FormatDuration(m.Timeouts.Total)) }},
}

// engineAttributes are those of the engine block. Some are the whole slot's in a pool on Nomad, where one container runs all of its engines.
func engineAttributes(ofTheSlot string) []attribute[fleet.Model] {
	return []attribute[fleet.Model]{
		{key: "engine.kind", effect: effectDrain, text: func(m *fleet.Model) string { return quoted(string(m.Engine.Kind)) }},
		{key: "engine.driver", effect: ofTheSlot, text: func(m *fleet.Model) string { return quoted(m.Engine.Driver) }},
		{key: "engine.image", effect: ofTheSlot, text: func(m *fleet.Model) string { return quoted(m.Engine.Image) }},
		{key: "engine.command", effect: effectDrain, text: func(m *fleet.Model) string { return listText(m.Engine.Command) }},
		{key: "engine.args", effect: effectDrain, text: func(m *fleet.Model) string { return listText(m.Engine.Args) }},
		{key: "engine.weights", effect: effectDrain, text: func(m *fleet.Model) string { return quoted(m.Engine.Weights) }},
		{key: "engine.volumes", effect: ofTheSlot, text: func(m *fleet.Model) string { return listText(m.Engine.Volumes) }},
		{key: "engine.env", effect: effectDrain + "; values are not shown", text: environmentText, shown: environmentNames},
		{key: "engine.secrets", effect: ofTheSlot, text: func(m *fleet.Model) string { return quoted(m.Engine.Secrets) }},
		{key: "engine.memory", effect: effectDrain, text: func(m *fleet.Model) string { return quoted(m.Engine.Memory.String()) }},
		{key: "engine.cpu", effect: effectDrain, text: func(m *fleet.Model) string { return number(m.Engine.CPU) }},
	}
}

func endpointNames(endpoints []fleet.Endpoint) []string {
	names := make([]string, len(endpoints))
	for i, e := range endpoints {
		names[i] = string(e)
	}
	return names
}

func environmentText(m *fleet.Model) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(m.Engine.Env)) {
		pairs = append(pairs, name, m.Engine.Env[name])
	}
	return listText(pairs)
}

// environmentNames leaves the values out: one may be a secret, and the difference goes to terminals and logs.
func environmentNames(m *fleet.Model) string {
	return "{" + strings.Join(slices.Sorted(maps.Keys(m.Engine.Env)), ", ") + "}"
}
