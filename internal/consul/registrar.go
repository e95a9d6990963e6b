package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/secret"
)

// MetaSlot is the key under which a slot's engines name their slot.
const MetaSlot = "pilotlight_slot"

const (
	ttlDefault = 15 * time.Second
	// forgetAfter is when an agent drops the services of a supervisor that has died and left no successor: Consul takes no shorter time. Whoever
	// watches is faster where it can be.
	forgetAfter = "1m"
)

// RegistrarConfig is what a Registrar needs. Cluster and Slot are required. CONSUL_* variables are honoured as in Config.
type RegistrarConfig struct {
	Addr    string        // of the agent on the engines' machine; "" = CONSUL_HTTP_ADDR, else localhost:8500
	Token   *secret.Token // nil = as in Config
	Cluster string
	Slot    string        // whose engines are registered; what an earlier supervisor of it has left is removed
	TTL     time.Duration // a check that is not renewed for so long turns critical; 0 = 15 s
	Log     *slog.Logger  // nil: discard
}

// Registrar keeps the engines of one slot registered with the agent of their machine. The check of an engine passes while its
// supervisor says so, that is while it generates and is not parked, and no longer than the TTL after that supervisor has died. A second check passes while
// the supervisor lives: when it has run out, whoever watches takes the engine out of Consul, or its agent does.
type Registrar struct {
	cfg   RegistrarConfig
	agent *api.Agent
	idle  func()

	wake chan struct{} // holds one

	mu     sync.Mutex // guards wanted
	wanted map[string]registration

	known map[string]registration // service ID -> as the agent has it; of Run alone
}

// registration is one engine as the agent is to have it.
type registration struct {
	instance, model, addr string
	status, note          string
}

// NewRegistrar makes a registrar. It connects to nothing yet.
func NewRegistrar(cfg RegistrarConfig) (*Registrar, error) {
	if cfg.Cluster == "" || cfg.Slot == "" {
		return nil, errors.New("making the Consul registrar: no cluster or no slot")
	}
	if cfg.TTL == 0 {
		cfg.TTL = ttlDefault
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, idle, err := connect(cfg.Addr, cfg.Token, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("making the Consul registrar: %w", err)
	}
	return &Registrar{
		cfg: cfg, agent: client.Agent(), idle: idle, wake: make(chan struct{}, 1), wanted: map[string]registration{},
	}, nil
}

// Run registers what watch tells until ctx is done, and then removes it all. It goes on while Consul cannot be reached. An error of watch ends it. It
// may be called once.
func (r *Registrar) Run(ctx context.Context, watch func(context.Context, func(fleet.Observation)) error) error {
	defer r.idle()
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	var failed error
	wg.Go(func() {
		failed = watch(watching, r.take)
		stop(nil)
	})
	tick := time.NewTicker(r.cfg.TTL / 3)
	defer tick.Stop()
	for working := true; ; {
		err := r.settle(watching)
		if watching.Err() != nil {
			break
		}
		if (err == nil) != working {
			working = err == nil
			r.cfg.Log.Warn("engines' registration with Consul changed", "working", working, "reason", err)
		}
		select {
		case <-r.wake:
		case <-tick.C:
		case <-watching.Done():
		}
	}
	wg.Wait()
	r.leave(context.WithoutCancel(ctx))
	return failed
}

// take notes what is to be registered: every engine with an address.
func (r *Registrar) take(o fleet.Observation) {
	wanted := map[string]registration{}
	for _, i := range o.Instances {
		if i.Gone || i.Addr == "" {
			continue
		}
		e := registration{i.ID, i.Model, i.Addr, api.HealthCritical, string(i.State)}
		if i.Health == fleet.Passing {
			e.status = api.HealthPassing
		}
		wanted["pilotlight-engine-"+i.ID] = e
	}
	r.mu.Lock()
	r.wanted = wanted
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// settle makes the agent have what is wanted, and renews what it has already.
func (r *Registrar) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.TTL/3)
	defer cancel()
	if err := r.recall(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	wanted := r.wanted
	r.mu.Unlock()
	var errs []error
	for id := range r.known {
		if _, there := wanted[id]; !there {
			errs = append(errs, r.remove(ctx, id))
		}
	}
	for id, e := range wanted {
		errs = append(errs, r.put(ctx, id, e))
	}
	return errors.Join(errs...)
}

// recall asks once what an earlier supervisor of the slot has left.
func (r *Registrar) recall(ctx context.Context) error {
	if r.known != nil {
		return nil
	}
	left, err := r.agent.ServicesWithFilterOpts(fmt.Sprintf("Service == %q", Service), r.query(ctx))
	if err != nil {
		return fmt.Errorf("listing the agent's services: %w", err)
	}
	r.known = map[string]registration{}
	for id, s := range left {
		if s.Meta[MetaCluster] == r.cfg.Cluster && s.Meta[MetaSlot] == r.cfg.Slot {
			r.known[id] = registration{}
		}
	}
	return nil
}

// put renews an engine's check, and registers the engine where the agent does not know it, or not so.
func (r *Registrar) put(ctx context.Context, id string, e registration) error {
	old, there := r.known[id]
	if there && old.addr == e.addr {
		if r.renew(ctx, id, e) == nil {
			r.known[id] = e
			return nil
		}
	}
	host, port, err := net.SplitHostPort(e.addr)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	service := &api.AgentServiceRegistration{
		ID: id, Name: Service, Address: host, Port: number,
		Meta: map[string]string{MetaCluster: r.cfg.Cluster, MetaModel: e.model, MetaInstance: e.instance, MetaSlot: r.cfg.Slot},
		Checks: api.AgentServiceChecks{
			{CheckID: generatesID(id), Name: "generates", TTL: r.cfg.TTL.String(), Status: e.status, Notes: e.note},
			{CheckID: supervisedID(id), Name: "supervised", TTL: r.cfg.TTL.String(), Status: api.HealthPassing, DeregisterCriticalServiceAfter: forgetAfter},
		},
	}
	r.known[id] = registration{} // the agent may have it, even where its answer is not heard any more
	options := (api.ServiceRegisterOpts{}).WithContext(ctx)
	if err := r.agent.ServiceRegisterOpts(service, options); err != nil {
		return fmt.Errorf("registering %s: %w", e.instance, err)
	}
	r.known[id] = e
	return nil
}

// renew says that the supervisor lives, and how the engine is.
func (r *Registrar) renew(ctx context.Context, id string, e registration) error {
	if err := r.agent.UpdateTTLOpts(generatesID(id), e.note, e.status, r.query(ctx)); err != nil {
		return err
	}
	return r.agent.UpdateTTLOpts(supervisedID(id), "", api.HealthPassing, r.query(ctx))
}

func (r *Registrar) remove(ctx context.Context, id string) error {
	var status api.StatusError
	err := r.agent.ServiceDeregisterOpts(id, r.query(ctx))
	if err != nil && !(errors.As(err, &status) && status.Code == 404) {
		return fmt.Errorf("deregistering %s: %w", id, err)
	}
	delete(r.known, id)
	return nil
}

// leave removes everything, if the agent can be reached: else the checks run out by themselves.
func (r *Registrar) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for id := range r.known {
		if err := r.remove(ctx, id); err != nil {
			r.cfg.Log.Warn("an engine stays registered until its check runs out", "service", id, "reason", err)
		}
	}
}

func (r *Registrar) query(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{}).WithContext(ctx)
}

// generatesID is the check that passes while the engine takes requests, supervisedID the one that passes while its supervisor lives: a parked engine
// fails the one, and stays.
func generatesID(service string) string  { return service + "-generates" }
func supervisedID(service string) string { return service + "-supervised" }
