package config

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// The variables that hold the tokens of Nomad and Consul where the file names no others: the ones that their own clients read.
const (
	NomadTokenEnv  = "NOMAD_TOKEN"
	ConsulTokenEnv = "CONSUL_HTTP_TOKEN"
)

const (
	defaultURLEnv = "PILOTLIGHT_DATABASE_URL"
	maxGPUs       = 64 // of one machine

	bodiesInBudget = 4       // that api.body_budget has room for at least
	maxConnections = 1 << 20 // that api.max_connections may be
)

// Default is the Config of an empty file. Nothing else shares it: the caller may change it.
func (o Options) Default() *Config {
	backend := Backend{Kind: BackendLocal, GPUs: 8, HostMemory: 3 << 39}
	return &Config{
		Cluster: "default",
		API: API{
			Addr:            "127.0.0.1:8080",
			BodyLimit:       32 << 20,
			Keepalive:       "comment",
			StreamHeartbeat: 15 * time.Second,
			BodyBudget:      1 << 30,
			EventLimit:      32 << 20,
		},
		Admin:      Admin{Addr: "127.0.0.1:8081", TokenEnv: "PILOTLIGHT_ADMIN_TOKEN"},
		Servers:    Servers{Addr: ":8082", KeyEnv: ServersKeyEnv},
		Price:      8_250_000_000,
		Store:      Store{Kind: StoreSQLite, Path: o.resolve("pilotlight.db")},
		Ledger:     Ledger{Dir: o.resolve("ledger"), Durability: DurabilityAsync, Retention: 400 * 24 * time.Hour},
		Telemetry:  Telemetry{SampleRatio: 1},
		Autoscaler: Autoscaler{Policy: PolicyAdaptive, LatencyWeight: 10},
		Backend:    backend,
		Pools:      []fleet.Pool{localPool(backend)},
	}
}

func defaultNomad() Backend {
	return Backend{
		Kind:   BackendNomad,
		Nomad:  Nomad{TokenEnv: NomadTokenEnv, Datacenters: []string{"*"}, NodePool: "default"},
		Consul: Consul{TokenEnv: ConsulTokenEnv},
	}
}

func defaultPool(name string) fleet.Pool {
	return fleet.Pool{
		Name: name, GPUsPerSlot: 8, HostMemory: 3 << 39, MaxParkedPerGPU: 4, ParkedGPUMemory: 4 << 30,
		SlotIdle: 15 * time.Minute, Slots: fleet.Range{Min: 0, Max: 4},
	}
}

// localPool is the one slot that the local back end is: as large as the machine, always there, and never asked for or given back.
func localPool(b Backend) fleet.Pool {
	p := defaultPool(fleet.LocalPool)
	p.GPUsPerSlot, p.HostMemory, p.SlotIdle, p.Slots = b.GPUs, b.HostMemory, 0, fleet.Range{}
	return p
}

// model is a model with every default, without what the catalogue knows of it.
func (o Options) model(id string) *fleet.Model {
	idle := o.IdleAfter
	if idle == 0 {
		idle = 5 * time.Minute
	}
	return &fleet.Model{
		ID:             id,
		Endpoints:      []fleet.Endpoint{fleet.EndpointChat, fleet.EndpointCompletions, fleet.EndpointResponses, fleet.EndpointMessages},
		ContextLength:  8192,
		MaxConcurrency: 64,
		IdleAfter:      idle,
		Instances:      fleet.Range{Min: 0, Max: 4},
		Queue:          fleet.QueueLimits{Limit: 2048, PerOrg: 1024, MaxWait: 9 * time.Minute},
		Timeouts: fleet.Timeouts{
			Start: 30 * time.Minute, FirstByte: 10 * time.Minute, Idle: 5 * time.Minute, Total: 30 * time.Minute,
		},
		Engine: engine(fleet.EngineTRTLLM),
	}
}

// engine is an engine block of a kind with every default.
func engine(kind fleet.EngineKind) fleet.EngineSpec {
	e := fleet.EngineSpec{Kind: kind, Driver: driverDocker, Memory: 64 << 30, CPU: 1000}
	switch kind {
	case fleet.EngineTRTLLM:
		e.Image = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc22"
		e.Command = []string{"trtllm-serve"}
	case fleet.EngineVLLM:
		e.Command = []string{"vllm", "serve"}
	}
	return e
}
