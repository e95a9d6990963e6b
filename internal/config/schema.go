package config

import "github.com/hashicorp/hcl/v2"

// The file as it is written. Attributes stay attributes here, so that each value is converted in one place and each
// mistake knows its line. A field's name in the file is its tag; the annotated sample in docs/ is tested to list them all.

type fileHCL struct {
	Cluster    *hcl.Attribute `hcl:"cluster,optional"`
	API        *apiHCL        `hcl:"api,block"`
	Admin      *adminHCL      `hcl:"admin,block"`
	Servers    *serversHCL    `hcl:"servers,block"`
	Price      *priceHCL      `hcl:"price,block"`
	Store      *storeHCL      `hcl:"store,block"`
	Ledger     *ledgerHCL     `hcl:"ledger,block"`
	Webhooks   []*webhookHCL  `hcl:"webhook,block"`
	Telemetry  *telemetryHCL  `hcl:"telemetry,block"`
	Autoscaler *autoscalerHCL `hcl:"autoscaler,block"`
	Backends   []*backendHCL  `hcl:"backend,block"`
	Pools      []*poolHCL     `hcl:"pool,block"`
	Models     []*modelHCL    `hcl:"model,block"`
}

type apiHCL struct {
	Addr            *hcl.Attribute `hcl:"addr,optional"`
	PathAliases     *hcl.Attribute `hcl:"path_aliases,optional"`
	CORSOrigins     *hcl.Attribute `hcl:"cors_origins,optional"`
	BodyLimit       *hcl.Attribute `hcl:"body_limit,optional"`
	Keepalive       *hcl.Attribute `hcl:"keepalive,optional"`
	StreamHeartbeat *hcl.Attribute `hcl:"stream_heartbeat,optional"`
	BodyBudget      *hcl.Attribute `hcl:"body_budget,optional"`
	EventLimit      *hcl.Attribute `hcl:"event_limit,optional"`
	MaxConnections  *hcl.Attribute `hcl:"max_connections,optional"`
	AccessLog       *hcl.Attribute `hcl:"access_log,optional"`
	TLS             *tlsHCL        `hcl:"tls,block"`
}

type adminHCL struct {
	Addr     *hcl.Attribute   `hcl:"addr,optional"`
	TokenEnv *hcl.Attribute   `hcl:"token_env,optional"`
	Tokens   []*adminTokenHCL `hcl:"token,block"`
	TLS      *tlsHCL          `hcl:"tls,block"`
}

type serversHCL struct {
	Addr      *hcl.Attribute `hcl:"addr,optional"`
	Advertise *hcl.Attribute `hcl:"advertise,optional"`
	KeyEnv    *hcl.Attribute `hcl:"key_env,optional"`
	Range     hcl.Range      `hcl:",def_range"`
}

type priceHCL struct {
	GPUHourUSD *hcl.Attribute `hcl:"gpu_hour_usd,optional"`
}

type storeHCL struct {
	Kind   string         `hcl:"kind,label"`
	Path   *hcl.Attribute `hcl:"path,optional"`
	URLEnv *hcl.Attribute `hcl:"url_env,optional"`
	Range  hcl.Range      `hcl:",def_range"`
}

type ledgerHCL struct {
	Dir        *hcl.Attribute `hcl:"dir,optional"`
	Durability *hcl.Attribute `hcl:"durability,optional"`
	Retention  *hcl.Attribute `hcl:"retention,optional"`
}

type autoscalerHCL struct {
	Policy        *hcl.Attribute `hcl:"policy,optional"`
	LatencyWeight *hcl.Attribute `hcl:"latency_weight,optional"`
	IdleCost      *hcl.Attribute `hcl:"idle_cost,optional"`
}

type backendHCL struct {
	Kind        string         `hcl:"kind,label"`
	GPUs        *hcl.Attribute `hcl:"gpus,optional"`
	HostMemory  *hcl.Attribute `hcl:"host_memory,optional"`
	Addr        *hcl.Attribute `hcl:"addr,optional"`
	TokenEnv    *hcl.Attribute `hcl:"token_env,optional"`
	Namespace   *hcl.Attribute `hcl:"namespace,optional"`
	Datacenters *hcl.Attribute `hcl:"datacenters,optional"`
	NodePool    *hcl.Attribute `hcl:"node_pool,optional"`
	Consul      *consulHCL     `hcl:"consul,block"`
	Range       hcl.Range      `hcl:",def_range"`
}

type consulHCL struct {
	Addr     *hcl.Attribute `hcl:"addr,optional"`
	TokenEnv *hcl.Attribute `hcl:"token_env,optional"`
	Range    hcl.Range      `hcl:",def_range"`
}

type poolHCL struct {
	Name            string         `hcl:"name,label"`
	GPUsPerSlot     *hcl.Attribute `hcl:"gpus_per_slot,optional"`
	NodePool        *hcl.Attribute `hcl:"node_pool,optional"`
	HostMemory      *hcl.Attribute `hcl:"host_memory,optional"`
	MaxParkedPerGPU *hcl.Attribute `hcl:"max_parked_per_gpu,optional"`
	ParkedGPUMemory *hcl.Attribute `hcl:"parked_gpu_memory,optional"`
	SlotIdle        *hcl.Attribute `hcl:"slot_idle,optional"`
	EngineUser      *hcl.Attribute `hcl:"engine_user,optional"`
	Slots           *rangeHCL      `hcl:"slots,block"`
	Range           hcl.Range      `hcl:",def_range"`
}

type rangeHCL struct {
	Min   *hcl.Attribute `hcl:"min,optional"`
	Max   *hcl.Attribute `hcl:"max,optional"`
	Range hcl.Range      `hcl:",def_range"`
}

type modelHCL struct {
	ID             string         `hcl:"id,label"`
	GPUs           *hcl.Attribute `hcl:"gpus,optional"`
	Pool           *hcl.Attribute `hcl:"pool,optional"`
	Endpoints      *hcl.Attribute `hcl:"endpoints,optional"`
	Native         *hcl.Attribute `hcl:"native,optional"`
	Translate      *hcl.Attribute `hcl:"translate,optional"`
	ContextLength  *hcl.Attribute `hcl:"context_length,optional"`
	MaxConcurrency *hcl.Attribute `hcl:"max_concurrency,optional"`
	IdleAfter      *hcl.Attribute `hcl:"idle_after,optional"`
	Allow          *hcl.Attribute `hcl:"allow,optional"`
	Instances      *rangeHCL      `hcl:"instances,block"`
	Queue          *queueHCL      `hcl:"queue,block"`
	Timeouts       *timeoutsHCL   `hcl:"timeouts,block"`
	Engine         *engineHCL     `hcl:"engine,block"`
	Range          hcl.Range      `hcl:",def_range"`
}

type queueHCL struct {
	Limit   *hcl.Attribute `hcl:"limit,optional"`
	PerOrg  *hcl.Attribute `hcl:"per_org,optional"`
	MaxWait *hcl.Attribute `hcl:"max_wait,optional"`
}

type timeoutsHCL struct {
	Start     *hcl.Attribute `hcl:"start,optional"`
	FirstByte *hcl.Attribute `hcl:"first_byte,optional"`
	Idle      *hcl.Attribute `hcl:"idle,optional"`
	Total     *hcl.Attribute `hcl:"total,optional"`
}

type engineHCL struct {
	Kind    string         `hcl:"kind,label"`
	Driver  *hcl.Attribute `hcl:"driver,optional"`
	Image   *hcl.Attribute `hcl:"image,optional"`
	Command *hcl.Attribute `hcl:"command,optional"`
	Args    *hcl.Attribute `hcl:"args,optional"`
	Weights *hcl.Attribute `hcl:"weights,optional"`
	Volumes *hcl.Attribute `hcl:"volumes,optional"`
	Env     *hcl.Attribute `hcl:"env,optional"`
	Secrets *hcl.Attribute `hcl:"secrets,optional"`
	Memory  *hcl.Attribute `hcl:"memory,optional"`
	CPU     *hcl.Attribute `hcl:"cpu,optional"`
	Range   hcl.Range      `hcl:",def_range"`
}
