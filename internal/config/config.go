// Package config turns a file in HCL into one validated Config, with every default filled in.
//
// It promises that every mistake in a file is reported as "file:line: what, and what would be right", all of them at once,
// and that a Config it returns can be served as it is. It never reads the environment (it only names variables), never
// touches a path that the file mentions, and keeps nothing after it has returned.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Config is everything that a server is told by its file.
type Config struct {
	Cluster    string // part of every Nomad job's name
	API        API
	Admin      Admin
	Servers    Servers
	Price      fleet.NanoUSD // per GPU-hour
	Store      Store
	Ledger     Ledger
	Webhooks   []Webhook // in the order of the file
	Telemetry  Telemetry
	Autoscaler Autoscaler
	Backend    Backend
	Pools      []fleet.Pool   // in the order of the file; on the local back end the implicit pool "local", and nothing else
	Models     []*fleet.Model // in the order of the file; never nil elements
}

// API is the public listener.
type API struct {
	Addr            string
	PathAliases     []string // further prefixes that mean /v1
	CORSOrigins     []string // origins whose pages may read answers, such as "https://chat.example.com"; "*" = all
	BodyLimit       fleet.Bytes
	Keepalive       string // off, comment or chunk: what a waiting stream is sent when neither its request nor its token says
	StreamHeartbeat time.Duration
	BodyBudget      fleet.Bytes // of all request and answer bodies held at once; at least four times BodyLimit
	EventLimit      fleet.Bytes // of one event of a stream
	MaxConnections  int         // of callers at once; 0 = what the process's descriptors allow
	AccessLog       string      // the file that gets a line for each request; AccessLogStdout = standard output, "" = there is none
	TLS             TLS
}

// Admin is the admin listener.
type Admin struct {
	Addr     string
	TokenEnv string       // the environment variable that holds the admin token of root, an operator
	Tokens   []AdminToken // others, in the order of the file
	TLS      TLS
}

// ServersKeyEnv is the environment variable that holds the servers key where the file names none; where it is not set either, a Nomad Variable has the key.
const ServersKeyEnv = "PILOTLIGHT_SERVERS_KEY"

// Servers is where the servers of one cluster meet, on Nomad with Postgres.
type Servers struct {
	Addr      string // that this server listens on for the others
	Advertise string // where the others reach it, host:port; "" = at Addr, on an address of this machine where that has none
	KeyEnv    string // the environment variable that holds the key that all of them know
}

// The kinds of store.
const (
	StoreSQLite   = "sqlite"
	StorePostgres = "postgres"
)

// Store says where orgs, tokens and usage are kept.
type Store struct {
	Kind   string
	Path   string // sqlite: the database file, absolute unless Options.BaseDir is relative
	URLEnv string // postgres: the environment variable that holds the URL
}

// The durabilities of the ledger: fsynced within 50 ms, or before the last part of an answer is released.
const (
	DurabilityAsync = "async"
	DurabilitySync  = "sync"
)

// Ledger is the write-ahead log of usage records.
type Ledger struct {
	Dir        string
	Durability string
	Retention  time.Duration // records older than this are dropped
}

// The policies.
const (
	PolicyAdaptive = "adaptive"
	PolicyFixed    = "fixed"
	PolicyKPA      = "kpa"
	PolicyHybrid   = "hybrid"
)

// Autoscaler says which policy decides how many instances stay hot or parked.
type Autoscaler struct {
	Policy        string
	LatencyWeight float64 // GPU-hours that an hour of waiting is worth; policy adaptive only
	IdleCost      float64 // what idle GPU time in a slot that is held anyway counts, 0 to 1; policy adaptive only
}

// The back ends.
const (
	BackendLocal = "local"
	BackendNomad = "nomad"
)

// Backend says where engines run. Fields of the other kind are zero.
type Backend struct {
	Kind       string
	GPUs       int         // local: GPUs of this machine, numbered from 0
	HostMemory fleet.Bytes // local: host memory for parked engines
	Nomad      Nomad
	Consul     Consul
}

// Nomad is how the nomad back end reaches Nomad. An empty field is left to Nomad's own NOMAD_* variables, and to Nomad's own
// default where those are not set.
type Nomad struct {
	Addr        string
	TokenEnv    string // the environment variable that holds the token
	Namespace   string
	Datacenters []string
	NodePool    string // of dedicated models; a pool may name its own
}

// Consul is how the nomad back end reaches Consul. An empty field is left to Consul's own CONSUL_* variables.
type Consul struct {
	Addr     string
	TokenEnv string // the environment variable that holds the token
}

// Options adapt what a file leaves open. The zero value is that of `pilotlight serve`.
type Options struct {
	BaseDir   string        // what relative paths are relative to; "" = the directory of the file
	IdleAfter time.Duration // default of a model's idle_after; 0 = 5m
}

// Load reads and validates the file at path. A mistake in it is a Mistakes; a file that cannot be read is another error.
func Load(path string) (*Config, error) { return Options{}.Load(path) }

// Parse validates src, a file called name. Its error is a Mistakes.
func Parse(name string, src []byte) (*Config, error) { return Options{}.Parse(name, src) }

// Load reads and validates the file at path. A mistake in it is a Mistakes; a file that cannot be read is another error.
func (o Options) Load(path string) (*Config, error) {
	src, err := read(path)
	if err != nil {
		return nil, err
	}
	return o.Parse(path, src)
}

// Check is Load, and also gives what a server of the config needs on its own machine.
func Check(path string) (*Config, []Use, error) {
	src, err := read(path)
	if err != nil {
		return nil, nil, err
	}
	return Options{}.parse(path, src)
}

func read(path string) ([]byte, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	return src, nil
}

func (o Options) withBase(name string) Options {
	if o.BaseDir == "" {
		o.BaseDir = filepath.Dir(name)
	}
	return o
}
