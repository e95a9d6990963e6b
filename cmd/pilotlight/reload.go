package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// configSource is where a server's config comes from.
type configSource struct {
	path  string                                                // the server's own file; "" = it was started without one
	parse func(name string, src []byte) (*config.Config, error) // as at the start, with the same flags over it
}

// configurable is what of a server takes another config while it runs. The planner may refuse, and then has changed nothing; the others cannot.
type configurable struct {
	planner func(models []*fleet.Model, pools []fleet.Pool) error // the activator's
	backEnd func(models []*fleet.Model, pools []fleet.Pool)       // launches what the planner asks for
	policy  func(config.Autoscaler)
	others  func(*config.Config) // whoever only has to know which models there are, and at which price

	// admins reads the admin tokens, also those of files that are named as before; commit has them in force. nil = there are none.
	admins func(*config.Config) (commit func(), err error)
}

// configurer has a server take other configs, one at a time, each of them whole or not at all.
type configurer struct {
	source   configSource
	parts    configurable
	tuning   *tuning
	draining func() bool
	reopen   func()     // logs and certificates, at each hangup; nil = there are none
	audit    *audit.Log // of what SIGHUP does; what comes by the admin API, that keeps
	foreign  *foreign   // models that only other servers have; nil = there are no others
	log      *slog.Logger

	turn    sync.Mutex     // held for one whole change; guards what follows
	current *config.Config // in force
	told    []fleet.Pool   // that the back end knows: those in force, as tuned at the last change, and those that were removed
}

// badConfig is a file that the server cannot take; its text has one mistake a line.
type badConfig struct{ error }

func (b badConfig) Unwrap() error { return b.error }

// Configure takes a file, or only says what it would change.
func (c *configurer) Configure(ctx context.Context, file admin.ConfigFile, dry bool) (*admin.Configured, error) {
	next, err := c.source.parse(file.Name, []byte(file.Content))
	if err != nil {
		return nil, badConfig{err}
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	changes := config.Diff(c.current, next)
	said := &admin.Configured{Changes: changesView(changes), Applied: !dry, Warnings: c.tuning.outweighed(changes)}
	commit, err := c.parts.readAdmins(next)
	if err != nil {
		return nil, badConfig{fmt.Errorf("%w; nothing was changed", err)}
	}
	if dry {
		return said, nil
	}
	for _, one := range changes {
		c.log.Info("config changes", "change", one.String())
	}
	if err := changes.Fixed(); err != nil {
		return nil, badConfig{fmt.Errorf("%w; nothing was changed", err)}
	}
	if len(changes) > 0 {
		if err := c.apply(ctx, next); err != nil {
			return nil, err
		}
	}
	commit()
	c.log.Info("config applied", "file", file.Name, "changes", len(changes))
	said.Warnings = slices.Concat(said.Warnings, c.tuning.misfits(), c.unlikeOwn([]byte(file.Content)))
	return said, nil
}

func (c *configurable) readAdmins(next *config.Config) (commit func(), err error) {
	if c.admins == nil {
		return func() {}, nil
	}
	return c.admins(next)
}

// apply puts a config in force. What can fail comes first: the store, then the planner. The back end knows what is new before the planner asks for
// it, and is told the former again where the planner refuses.
func (c *configurer) apply(ctx context.Context, next *config.Config) error {
	if c.draining() {
		return activator.ErrShuttingDown
	}
	next.Keep(c.current)
	err := c.tuning.reconfigure(ctx, next, func(pools []fleet.Pool) error {
		told, models := withRemoved(pools, c.told), c.foreign.beside(next.Models, pools)
		c.parts.backEnd(models, told)
		c.parts.policy(next.Autoscaler)
		if err := c.parts.planner(models, pools); err != nil {
			c.parts.policy(c.current.Autoscaler)
			c.parts.backEnd(c.foreign.beside(c.current.Models, pools), c.told)
			return err
		}
		c.told = told
		return nil
	})
	if err != nil {
		return fmt.Errorf("applying the config: %w", err)
	}
	c.parts.others(next)
	c.current = next
	return nil
}

// again has the config in force taken anew, with what pools are tuned to by now.
func (c *configurer) again(ctx context.Context) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.apply(ctx, c.current)
}

// withRemoved adds the pools that are no longer there: the back end goes on to tell of their slots, which else would seem to be gone with all that runs
// in them.
func withRemoved(pools, former []fleet.Pool) []fleet.Pool {
	all := slices.Clone(pools)
	for _, p := range former {
		if !slices.ContainsFunc(pools, func(q fleet.Pool) bool { return q.Name == p.Name }) {
			all = append(all, p)
		}
	}
	return all
}

// unlikeOwn warns that the server's next start, from its own file, will say something else than what is in force now.
func (c *configurer) unlikeOwn(content []byte) []string {
	if c.source.path == "" {
		return []string{"the server was started without a config file: its next start will know nothing of this"}
	}
	own, err := os.ReadFile(c.source.path)
	if err == nil && bytes.Equal(own, content) {
		return nil
	}
	next, err := c.source.parse(c.source.path, own)
	if err != nil || len(config.Diff(c.current, next)) > 0 {
		return []string{fmt.Sprintf("the server's own file, %s, says something else, which its next start or a SIGHUP will take; put this one in its place", c.source.path)}
	}
	return nil
}

// reload takes the server's own file anew, and logs what comes of it.
func (c *configurer) reload(ctx context.Context) {
	act := &audit.Act{Who: audit.Who{Actor: "SIGHUP", Via: audit.Signal}, Action: "config.apply"}
	act.On("config")
	err := c.take(ctx, act)
	if err == nil {
		c.audit.End(ctx, act, "")
		return
	}
	c.audit.End(ctx, act, err.Error())
	for line := range strings.Lines(err.Error()) {
		c.log.Error("config not applied", "file", c.source.path, "reason", strings.TrimSpace(line))
	}
}

func (c *configurer) take(ctx context.Context, act *audit.Act) error {
	content, err := os.ReadFile(c.source.path)
	if err != nil {
		return err
	}
	configured, err := c.Configure(ctx, admin.ConfigFile{Name: c.source.path, Content: string(content)}, false)
	if err == nil {
		act.Changes(configured.Audited(c.source.path))
	}
	return err
}

// follow reloads the file at each hangup, until ctx is done; then it returns nil.
func (c *configurer) follow(ctx context.Context, hangups <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			if c.reopen != nil {
				c.reopen()
			}
			c.reload(ctx)
		}
	}
}

// openConfigurer comes last: it needs all that takes a config.
func (s *server) openConfigurer(context.Context) error {
	s.configurer = &configurer{
		source: s.c.Source, tuning: s.tuning, draining: s.draining.Load, audit: s.audit, reopen: s.reopen, log: s.log("config"), current: s.c.Config, told: s.c.Config.Pools,
		parts: configurable{planner: s.activator.Configure, backEnd: s.backEnd.configure, policy: s.reweigh, others: s.reconfigureOthers, admins: s.readAdmins},
	}
	if s.c.Member != nil {
		s.configurer.foreign = &foreign{store: s.store, server: s.ledger.Server()}
	}
	return nil
}

// reopen has files read or written anew that others put there.
func (s *server) reopen() {
	s.reopenLogs()
	s.c.Certs.reload(s.log("config"))
}

func (s *server) reweigh(c config.Autoscaler) {
	if s.learned != nil {
		s.learned.configure(c)
	}
}

func (s *server) readAdmins(c *config.Config) (commit func(), err error) {
	return s.c.Admins.Prepare(adminTokens(c))
}

func (s *server) reconfigureOthers(c *config.Config) {
	ids := modelIDs(c.Models)
	s.tenants.Configure(ids)
	s.ledger.Configure(ids)
	s.router.Configure(c.Models, c.Price)
	if s.c.Member != nil {
		s.c.Member.show(c)
	}
}

func changesView(changes config.Changes) []admin.ConfigChange {
	views := make([]admin.ConfigChange, len(changes))
	for i, c := range changes {
		views[i] = admin.ConfigChange{
			Change: string(c.Kind), Block: c.Block, Name: c.Name, Attribute: c.Attribute, Old: c.Old, New: c.New,
			Effect: c.Effect, Restart: c.Restart, Text: c.String(),
		}
	}
	return views
}
