package nomad

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/secret"
)

// Source is the back end's name in observations.
const Source = "nomad"

// Errors of Do. ErrNotAvailable is an act that this back end does not know; ErrForeign a job that is not ours;
// ErrStopped the launch of an instance that was stopped.
var (
	ErrNotAvailable = errors.New("not available on Nomad")
	ErrForeign      = errors.New("the job is not of this Pilotlight")
	ErrStopped      = errors.New("the instance was stopped")
	ErrUnknownModel = errors.New("no such model")
)

// Config is what the back end needs. Cluster is required. Where Addr, Token, Namespace or Region are empty, the NOMAD_* variables
// of the environment count; they give TLS too.
type Config struct {
	Addr        string         // http://host:port, or unix://path
	Token       *secret.Token  // nil: NOMAD_TOKEN_FILE, else NOMAD_TOKEN
	Namespace   string         // "" and no NOMAD_NAMESPACE: default
	Region      string         // "" and no NOMAD_REGION: global
	Datacenters []string       // none: any
	NodePool    string         // of dedicated instances; "" = default
	Cluster     string         // part of every job's name and meta
	Models      []*fleet.Model // see Configure
	Pools       []fleet.Pool   // whose slots are jobs; see Configure
	Consul      string         // address of a node's Consul agent as a slot sees it; "" = as the job file says
	Self        string         // our own program on the nodes, which kind sim runs with "trtsim"; "" = kind sim needs a command
	Log         *slog.Logger   // nil: discard
}

// Nomad is the back end. Its methods are safe for concurrent use.
type Nomad struct {
	cfg     Config
	client  *api.Client
	serving atomic.Pointer[catalogue]
	slots   *slots
	fence   fence
	again   chan struct{} // see AskAgain
	log     *slog.Logger

	stopsMu sync.Mutex           // guards stopped
	stopped map[string]time.Time // when an instance was stopped of which Nomad had no job
}

// New makes the back end. It starts nothing, and asks Nomad nothing.
func New(cfg Config) (*Nomad, error) {
	if cfg.Cluster == "" {
		return nil, errors.New("making the Nomad back end: a cluster name is required")
	}
	c := api.DefaultConfig()
	override(&c.Address, &cfg.Addr, c.Address)
	override(&c.Namespace, &cfg.Namespace, api.DefaultNamespace)
	override(&c.Region, &cfg.Region, api.GlobalRegion)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, err := connect(c, cfg.Token, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("making the Nomad back end: %w", err)
	}
	if len(cfg.Datacenters) == 0 {
		cfg.Datacenters = []string{"*"}
	}
	if cfg.NodePool == "" {
		cfg.NodePool = api.NodePoolDefault
	}
	n := &Nomad{cfg: cfg, client: client, slots: newSlots(), again: make(chan struct{}, 1), log: cfg.Log, stopped: make(map[string]time.Time)}
	n.Configure(cfg.Models, cfg.Pools)
	return n, nil
}

// override has an attribute win over the environment, and the environment over the default.
func override(environment, attribute *string, fallback string) {
	if *attribute == "" {
		*attribute = *environment
	}
	if *attribute == "" {
		*attribute = fallback
	}
	*environment = *attribute
}

// Close lets go of idle connections. The back end may be used on.
func (n *Nomad) Close() { n.client.Close() }

// JobName is the name of an instance's job. The job files say the same.
func JobName(cluster, model, instance string) string {
	return "pilotlight-" + cluster + "-" + slug(model) + "-" + instance
}

// slug is the model's ID in small letters and digits, with one dash for everything else.
func slug(model string) string {
	words := strings.FieldsFunc(strings.ToLower(model), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, "-")
}
