package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/secret"
)

// Source is the name under which the observations go.
const Source = "consul"

// Service is the one Consul service of all engines of all models: one query sees them all, while one query per model
// would soon meet an agent's limit of connections.
const Service = "pilotlight-engine"

// Keys of a service's metadata.
const (
	MetaCluster  = "pilotlight_cluster"
	MetaModel    = "pilotlight_model"
	MetaInstance = "pilotlight_instance"
)

const (
	// waitMost is the longest that one query blocks. An agent that has lost its data lets a query for an index of its
	// former life hang for all of that.
	waitMost = 10 * time.Second
	// settleWithin is how long after a break bad news is not believed. Nomad registers again what Consul has forgotten
	// every 30 s.
	settleWithin = 35 * time.Second
	// hurried is how soon an answer with nothing new makes the next query wait: something on the way does not block.
	hurried = 100 * time.Millisecond
)

// ErrNoIndex is returned by Watch when an answer carries no index: it does not come from Consul, and asking on would be a busy loop.
var ErrNoIndex = errors.New("answer without an index")

// Config is what watching needs. Cluster is required. The CONSUL_* variables of Consul's own programs (address, token, TLS, namespace and
// the rest) are honoured; the fields win.
type Config struct {
	Addr    string        // of the agent's HTTP API, scheme://host:port or unix://path; "" = CONSUL_HTTP_ADDR, else localhost:8500
	Token   *secret.Token // nil = CONSUL_HTTP_TOKEN_FILE, else CONSUL_HTTP_TOKEN, else anonymous
	Cluster string        // whose services are ours
	Wait    time.Duration // the longest that one query blocks; 0 = 10 s, which is also the most
	Settle  time.Duration // how long after a break bad news is not believed; 0 = 35 s
	Silent  time.Duration // how long a slot's supervisor may be silent before its engines are taken out of Consul; 0 = 30 s
	Log     *slog.Logger  // nil: discard
}

// Consul watches our instances' health checks.
type Consul struct {
	cfg    Config
	client *api.Client
	idle   func() // closes idle connections

	// Of the one Watch at a time:
	memory  memory
	sweeper sweeper
	doubt   string // why the last answer may have lacked something
}

// New makes the observer. It connects to nothing yet.
func New(cfg Config) (*Consul, error) {
	if cfg.Cluster == "" {
		return nil, errors.New("making the Consul observer: no cluster")
	}
	if cfg.Wait <= 0 || cfg.Wait > waitMost {
		cfg.Wait = waitMost
	}
	if cfg.Settle == 0 {
		cfg.Settle = settleWithin
	}
	if cfg.Silent == 0 {
		cfg.Silent = silentMost
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, idle, err := connect(cfg.Addr, cfg.Token, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("making the Consul observer: %w", err)
	}
	return &Consul{cfg: cfg, client: client, idle: idle}, nil
}

// Watch tells what Consul lists, at once, after each change, and otherwise at least once in Config.Wait, from the calling
// goroutine, and takes out of Consul what killed supervisors have left there. It returns nil when ctx is done, and an error when Consul cannot be
// asked, having told that it is lost: then what was told before is the best that is known. It is to be called again, but never twice at a time.
func (c *Consul) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	defer c.idle()
	c.interrupt()
	var index uint64
	for {
		asked := time.Now()
		a, err := c.ask(ctx, index, c.wait(asked))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			err = fmt.Errorf("asking Consul for %s: %w", Service, blame(err))
			tell(fleet.Observation{Source: Source, At: asked, Lost: err})
			return err
		}
		if a.index < index {
			c.cfg.Log.Warn("consul's index ran backwards: asking anew", "from", index, "to", a.index)
			c.interrupt()
			index = 0
			continue
		}
		tell(c.memory.judge(time.Now(), c.observation(asked, a)))
		c.sweep(ctx, time.Now(), a.entries)
		if a.index == index && time.Since(asked) < hurried && !pause(ctx, hurried) {
			return nil
		}
		index = a.index
	}
}

// interrupt notes that what Consul says next may be the first words of a new life.
func (c *Consul) interrupt() {
	c.memory.interrupt(time.Now().Add(c.cfg.Settle))
	c.sweeper.forget()
}

// wait is how long the next query may block: it ends in time for bad news that is about to be believed, and for a sweep.
func (c *Consul) wait(now time.Time) time.Duration {
	wait := c.cfg.Wait
	for _, left := range []time.Duration{c.memory.left(now), c.sweeper.left(now, c.cfg.Silent)} {
		if left > 0 {
			wait = min(wait, left)
		}
	}
	return wait
}

// answer is one list with what is known of its worth.
type answer struct {
	entries []*api.ServiceEntry
	index   uint64
	doubt   string // why it may lack something; "" = it does not
}

// ask performs one blocking query. It never takes much longer than it may block, even where an agent has stopped to answer.
func (c *Consul) ask(ctx context.Context, index uint64, wait time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Wait*3/2, errors.New("no answer in time"))
	defer cancel()
	options := (&api.QueryOptions{WaitIndex: index, WaitTime: wait}).WithContext(ctx)
	entries, meta, err := c.client.Health().Service(Service, "", false, options)
	switch {
	case err != nil && context.Cause(ctx) != nil:
		return answer{}, context.Cause(ctx)
	case err != nil:
		return answer{}, err
	case meta.LastIndex == 0:
		return answer{}, ErrNoIndex
	}
	a := answer{entries: entries, index: meta.LastIndex}
	switch {
	case !meta.KnownLeader && meta.QueryBackend != api.QueryBackendStreaming: // a streamed answer never names a leader
		a.doubt = "no leader"
	case meta.ResultsFilteredByACLs:
		a.doubt = "the token may not read everything: it needs the policy read on service " + Service + " and on nodes"
	case meta.LastContact > c.cfg.Wait:
		a.doubt = "the answer is stale"
	}
	return a, nil
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
