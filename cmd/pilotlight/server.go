package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/console"
	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/quota"
	"github.com/pilotlight-io/pilotlight/internal/series"
	"github.com/pilotlight-io/pilotlight/internal/shares"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/telemetry"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/webhook"
	"github.com/pilotlight-io/pilotlight/router"
)

// serverConfig is what openServer needs. All fields are required, but Hangups.
type serverConfig struct {
	Config     *config.Config
	Source     configSource     // where Config comes from
	Hangups    <-chan os.Signal // each has the server take its own file anew; nil = there are none
	Dir        string           // engines keep their logs and process files in engines/ in it
	Admins     *access.Admins
	Certs      listenerCerts       // of both listeners
	Getenv     func(string) string // tokens of the back end are read with it
	Stdout     io.Writer
	Now        func() time.Time
	Store      *store.Store // it is ours; nil = it is opened as Config says
	Lead       *lead        // it is ours; whoever made it yields it once the server has ended. nil with Member
	Member     *member      // the server is one of several of its cluster; nil = it is the only one
	API, Admin net.Listener
	Log        *slog.Logger
}

// server is Pilotlight in one process: both APIs, the activator, the back end and the ledger. dev and serve differ only
// in what they give openServer.
type server struct {
	c         serverConfig
	store     *store.Store
	tenants   *tenant.Tenants
	ledger    *ledger.Ledger
	audit     *audit.Log
	webhooks  *webhook.Sender
	accessLog *telemetry.AccessLog // nil = there is none
	tracer    *telemetry.Tracer    // nil = there are no traces
	accounts  *account.Accounts    // nil until what was spent before is read
	quota     *quota.Quota         // nil = no other server can share the store
	shares    *shares.Shares       // as quota
	backEnd   backEnd
	silence   silence
	places    places
	learned   *learningPolicy // nil = the policy keeps nothing over a restart
	tuning    *tuning
	whatIf    *asking
	series    *series.Recorder
	activator *activator.Activator
	router    *router.Router
	admin     *admin.Server
	console   *console.Console
	hostName  string    // for people
	storeName string    // tells the store from others; "" = no other server can share it
	began     time.Time // when this life did
	draining  atomic.Bool
	opened    time.Time

	configurer *configurer
	heirs      *heirs // nil = nobody can take its place
}

// openServer opens the store, replays the ledger into it and builds the parts. Nothing runs yet, and nothing is answered.
func openServer(ctx context.Context, c serverConfig) (*server, error) {
	s := &server{c: c, opened: c.Now()}
	for _, open := range []func(context.Context) error{s.openStore, s.openTenants, s.openLedger, s.openAccounts, s.openWebhooks, s.openTuning, s.openWhatIf, s.openFleet, s.openConfigurer, s.openSeries, s.openConsole, s.openTelemetry, s.openAPIs} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *server) log(component string) *slog.Logger { return s.c.Log.With("component", component) }

func (s *server) openStore(ctx context.Context) (err error) {
	if err := checkStore(s.c.Config); err != nil {
		if s.c.Store != nil {
			err = errors.Join(err, s.c.Store.Close())
		}
		return err
	}
	if s.store = s.c.Store; s.store == nil {
		s.store, err = openStore(ctx, s.c.Config.Store, s.c.Getenv)
	}
	if err == nil {
		s.audit = audit.New(s.store, s.log("audit"))
	}
	return err
}

func (s *server) openTenants(ctx context.Context) (err error) {
	s.tenants, err = tenant.New(ctx, s.store, tenant.Config{Models: modelIDs(s.c.Config.Models), Log: s.log("tenants")})
	return err
}

func modelIDs(models []*fleet.Model) []string {
	ids := make([]string, len(models))
	for i, m := range models {
		ids[i] = m.ID
	}
	return ids
}

func (s *server) openLedger(ctx context.Context) (err error) {
	c := s.c.Config.Ledger
	s.ledger, err = ledger.Open(ctx, ledger.Config{
		Dir: c.Dir, Store: s.store, Durability: ledger.Durability(c.Durability), Retention: c.Retention,
		Models: modelIDs(s.c.Config.Models), Corrected: s.corrected, Log: s.log("ledger"),
	})
	return err
}

func (s *server) openFleet(ctx context.Context) error {
	var err error
	if s.backEnd, err = s.openBackEnd(); err != nil {
		return fmt.Errorf("making the %s back end: %w", s.c.Config.Backend.Kind, err)
	}
	learned, err := s.store.Learned(ctx)
	if err != nil {
		return fmt.Errorf("reading what past activations took: %w", err)
	}
	policy, keeps := newPolicy(s.c.Config.Autoscaler)
	s.learned = keeps
	if err := s.recall(ctx); err != nil {
		return err
	}
	c := activator.Config{
		Observers: s.backEnd.observers, Policy: policy, Models: s.c.Config.Models, Pools: s.tuning.pools(), Learned: learned, Learn: s.learner(context.WithoutCancel(ctx)),
		Probe: engine.Ask, IdleCost: s.c.Config.Autoscaler.IdleCost, Log: s.log("activator"),
	}
	if m := s.c.Member; m != nil {
		if s.storeName, err = nameStore(ctx, s.store); err != nil {
			return err
		}
		m.show(s.c.Config)
		c.Server, c.Backend = s.ledger.Server(), guardedMember{s.backEnd.Backend, m}
	} else {
		if err := s.c.Lead.begin(ctx, s.store, s.backEnd.Backend, s.c.Now()); err != nil {
			return err
		}
		c.Term, c.Backend = s.c.Lead.term, guarded{s.backEnd.Backend, s.c.Lead}
	}
	s.activator, err = activator.New(c)
	return err
}

// learner keeps what an activation took. Losing it costs a worse estimate, so an error is logged and no more.
func (s *server) learner(ctx context.Context) func(fleet.Learned) {
	return func(l fleet.Learned) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := s.store.SaveLearned(ctx, l); err != nil {
			s.log("activator").Warn("an estimate was not kept", "model", l.Model, "reason", err)
		}
	}
}

func (s *server) openAPIs(context.Context) (err error) {
	cfg := s.c.Config
	room, err := connectionsIn(edge.Descriptors(), cfg.API.MaxConnections)
	if err != nil {
		return err
	}
	s.router, err = router.New(router.Config{
		Activator: s.activator, Tenants: s.tenants, Ledger: s.ledger, Models: cfg.Models, Price: cfg.Price,
		TLS: listenerTLS(s.c.Certs.api), PathAliases: cfg.API.PathAliases, CORSOrigins: cfg.API.CORSOrigins, BodyLimit: cfg.API.BodyLimit, Keepalive: cfg.API.Keepalive,
		StreamHeartbeat: cfg.API.StreamHeartbeat, EventLimit: cfg.API.EventLimit, Accounts: s.accounts, MaxConnections: room.Public, MaxBoth: room.Both,
		OpenAPI: admin.PublicOpenAPI(), Ready: s.unready, Degraded: s.degraded, Console: s.console.Caller(), AccessLog: s.accessLog, Tracer: s.tracer, Log: s.log("router"),
	})
	if err != nil {
		return err
	}
	s.admin, err = admin.New(admin.Config{
		Fleet: s.fleet(), Tuner: s.tuning, WhatIf: s.whatIf, Config: s.configurer, Tenants: s.tenants, Ledger: s.ledger, Audit: s.audit, Webhooks: s.webhooks, Servers: s.servers, Leader: s.passOn(), Accounts: s.accounts, Admins: s.c.Admins,
		MaxConnections: room.Admin, TLS: listenerTLS(s.c.Certs.admin),
		Metrics: s.metrics(),
		Orphans: s.backEnd.orphans, JobName: s.backEnd.jobName, Ready: s.readiness, Degraded: s.degraded, Console: s.console.Operator(), Errors: fleetAnswer, Log: s.log("admin"),
	})
	return err
}

// operated is what operators see of the activator, and do to it.
type operated struct {
	*activator.Activator
	activator.Queue
}

func (s *server) fleet() operated { return operated{s.activator, activator.QueueOf(s.activator)} }

// connectionsIn says how many connections each listener may have, where the process may have so many descriptors; 0 of them = as many as it asks for.
// Callers get as many as were configured; 0 = as many as there is room for.
func connectionsIn(descriptors, configured int) (edge.Room, error) {
	if descriptors == 0 {
		descriptors = math.MaxInt32
	}
	room := edge.RoomIn(descriptors)
	if configured > room.Public {
		return room, fmt.Errorf("api.max_connections is %d, but with the limit of %d open files (ulimit -n) there is room for %d; raise the limit or lower max_connections",
			configured, descriptors, room.Public)
	}
	if configured > 0 {
		room.Public = configured
	}
	return room, nil
}

// fleetAnswer words what the activator, the tuning of pools and the taking of configs refuse an operator; nil = it should not happen.
func fleetAnswer(err error) *openai.Error {
	var mistuned config.Mistunings
	var bad badConfig
	switch {
	case errors.As(err, &bad):
		answer, content := openai.NewError(openai.CodeInvalidRequest, bad.Error()), "content"
		answer.Param = &content
		return answer
	case errors.As(err, &mistuned):
		answer := openai.NewError(openai.CodeInvalidRequest, mistuned.Error())
		answer.Param = &mistuned[0].Key
		return answer
	case errors.Is(err, activator.ErrUnknownPool):
		return openai.NewError(openai.CodeNotFound, err.Error())
	case errors.Is(err, activator.ErrUnknownModel):
		return openai.NewError(openai.CodeModelNotFound, err.Error())
	case errors.Is(err, activator.ErrNoCapacity):
		return openai.NewError(openai.CodeNoCapacity, err.Error())
	case errors.Is(err, activator.ErrShuttingDown):
		return openai.NewError(openai.CodeShuttingDown, err.Error())
	case errors.Is(err, activator.ErrFollows):
		return openai.NewError(openai.CodeOverloaded, "this server does not lead the cluster any more; try again")
	}
	return nil
}

// run answers until ctx is done, then drains and stops in order; hurry ends that. It blocks, and may be called once.
func (s *server) run(ctx context.Context, hurry <-chan struct{}) error {
	stages := []stage{
		{name: "the watch for hangups", run: func(ctx context.Context) error { return s.configurer.follow(ctx, s.c.Hangups) }},
		{
			name:   "the public API",
			run:    func(ctx context.Context) error { return s.router.Serve(ctx, s.c.API) },
			before: func() { s.draining.Store(true) }, // the router drains
		},
		{name: "the admin API", run: func(ctx context.Context) error { return s.admin.Serve(ctx, s.c.Admin) }},
		{name: "the console", run: s.console.Run},
		{name: "the live series", run: s.series.Run},
	}
	if m := s.c.Member; m != nil {
		stages = append(stages,
			stage{name: "the other servers", run: func(ctx context.Context) error { return m.peering(ctx, s) }}, // when the last request has ended
			stage{name: "the activator", run: s.activator.Run})
	} else {
		stages = append(stages,
			stage{name: "the activator", run: s.activator.Run},
			stage{name: "the lead", run: func(ctx context.Context) error { return s.c.Lead.run(ctx, s.activator, s.backEnd.Backend) }}) // after the last act
	}
	if s.learned != nil {
		stages = append(stages, stage{name: "the policy's memory", run: s.retain})
	}
	if s.backEnd.run != nil {
		stages = append(stages, stage{name: "the back end", run: s.backEnd.run})
	}
	if s.quota != nil {
		stages = append(stages, stage{name: "the drawing from budgets", run: func(ctx context.Context) error { return s.quota.Run(ctx, s.accounts) }})
		stages = append(stages, stage{name: "the sharing of limits", run: func(ctx context.Context) error { return s.shares.Run(ctx, s.accounts) }})
	}
	if s.heirs != nil {
		stages = slices.Insert(stages, 0, stage{name: "the handover", run: func(ctx context.Context) error { return s.heirs.run(ctx, s) }}) // before anything ends
	}
	if m := s.c.Member; m != nil {
		stages = slices.Insert(stages, 0, stage{name: "the lead", run: func(ctx context.Context) error { return m.run(ctx, s) }}) // another server need not wait for this one's requests
	}
	return runStages(ctx, hurry, append(append(stages, s.telemetryStages()...),
		stage{name: "the notices of budgets", run: s.tellBudgets},
		stage{name: "the webhooks", run: s.webhooks.Run},
		stage{name: "the tenants", run: s.tenants.Run},
		stage{name: "the ledger", run: s.ledger.Run},
	))
}

// close releases what openServer has opened. It does not touch the listeners, which Serve closes.
func (s *server) close() error {
	var errs []error
	if s.backEnd.close != nil {
		s.backEnd.close()
	}
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}
