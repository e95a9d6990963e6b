package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/private"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

const (
	tryFileEvery = 100 * time.Millisecond
	quietFor     = 500 * time.Millisecond // what is got within this was not waited for
	sayAgain     = time.Minute
)

// candidate is a server that wants to lead: first it needs its store's directory or file for itself, then, on Nomad, the lock in Consul. Meanwhile its admin
// listener, where it has an address of its own, says that it waits; the public one is not bound.
type candidate struct {
	cfg  *config.Config
	file string // of the config, for messages

	takeOver bool       // whoever has the file is asked to end
	inherits *inherited // from the server that has it, or had

	admins *access.Admins // of the admin API
	certs  listenerCerts
	getenv func(string) string // the store's URL is read with it
	lead   *lead
	log    *slog.Logger

	began    time.Time
	saidAt   time.Time
	saidWhat string

	mu     sync.Mutex // guards reason
	reason string     // for anybody to read

	store   *store.Store     // of Postgres, once it is reached; nil = the server opens it, or has it
	adminLn *net.TCPListener // nil = it is not bound
	standby sync.WaitGroup
	stop    context.CancelFunc // of the standby; nil = it does not run
}

// await returns once this server leads; what it gives is to be closed when it has ended. An error is one of a file; where ctx has ended, it is the
// cause of that.
func (c *candidate) await(ctx context.Context) (locked io.Closer, err error) {
	c.began = time.Now()
	defer func() { err = errors.Join(err, c.endStandby()) }()
	if locked, err = c.awaitFile(ctx); err != nil {
		return nil, err
	}
	if !sharesCluster(c.cfg) { // else it serves whether it leads or not
		c.lead.contend()
		if err := c.awaitLock(ctx); err != nil {
			return nil, errors.Join(err, locked.Close())
		}
	}
	if c.store, err = c.awaitStore(ctx); err != nil {
		return nil, errors.Join(err, locked.Close())
	}
	return locked, nil
}

// awaitFile takes the lock of the store's directory, where engines keep their files beside the store, else the one beside the store alone.
func (c *candidate) awaitFile(ctx context.Context) (io.Closer, error) {
	for {
		locked, err := c.tryFile()
		var used usedError
		if !errors.As(err, &used) {
			return locked, err
		}
		c.meet(ctx)
		c.say("another server on this machine uses the same store", err)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(tryFileEvery):
		}
	}
}

func (c *candidate) tryFile() (io.Closer, error) {
	path, setting := ownPath(c.cfg)
	if c.cfg.Backend.Kind == config.BackendLocal {
		dir, err := openDataDir(filepath.Dir(path), setting+" in "+c.file)
		if err != nil {
			return nil, err
		}
		return dir.lock, nil
	}
	if err := private.Check(path + ".lock"); err != nil {
		return nil, refusedFiles(filepath.Dir(path), err)
	}
	lock, err := takeFile(path + ".lock")
	var used usedError
	switch {
	case errors.As(err, &used):
		return nil, fmt.Errorf("the store %s is in use by %w", path, used)
	case err != nil:
		return nil, fmt.Errorf("locking the store: %w; make its directory writable, or choose another with %s in %s", err, setting, c.file)
	}
	return lock, nil
}

// awaitLock waits for the lock in Consul.
func (c *candidate) awaitLock(ctx context.Context) error {
	quiet := time.After(quietFor)
	for early := true; ; {
		s, changed := c.lead.standing()
		if s.Stage == consul.Holding {
			return nil
		}
		if !early {
			c.sayStanding(s)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-quiet:
			early = false
		case <-time.After(sayAgain):
		}
	}
}

func (c *candidate) sayStanding(s consul.Standing) {
	switch {
	case errors.Is(s.Trouble, fleet.ErrDenied):
		c.say("Consul refuses this server's token, or a right, and without it none can lead", s.Trouble)
	case s.Trouble != nil:
		c.say("Consul cannot be reached, and without it none can lead", s.Trouble)
	case s.At != "":
		c.say("the servers of this cluster share a Postgres store, and this one has another: it cannot join them",
			fmt.Errorf("%s leads cluster %s with a Postgres store that servers share, and this one has %s; give it that store to join, or another cluster name", s.Leader, c.cfg.Cluster, c.cfg.Store.Kind))
	default:
		c.say("another server leads the cluster", fmt.Errorf("%s leads cluster %s", s.Leader, c.cfg.Cluster))
	}
}

// say tells why this server waits: who asks, at once, and the log, when that has changed and once a minute. reason is for anybody to read, detail for operators.
func (c *candidate) say(reason string, detail error) {
	c.mu.Lock()
	c.reason = reason
	c.mu.Unlock()
	if c.stop == nil {
		c.beginStandby()
	}
	if text := detail.Error(); text != c.saidWhat || time.Since(c.saidAt) >= sayAgain {
		c.log.Warn("waiting to lead", "reason", detail, "for", time.Since(c.began).Round(time.Millisecond))
		c.saidAt, c.saidWhat = time.Now(), text
	}
}

func (c *candidate) waitsFor() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.New(c.reason)
}

// beginStandby answers on the admin listener, if its address is free: the server that leads may have it.
func (c *candidate) beginStandby() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	ln, err := net.Listen("tcp", c.cfg.Admin.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		c.log.Info("nothing answers while this server waits: the address of its admin API is in use", "addr", c.cfg.Admin.Addr)
		return
	}
	if err != nil {
		c.log.Warn("nothing answers while this server waits", "addr", c.cfg.Admin.Addr, "reason", err)
		return
	}
	standby, err := admin.NewStandby(admin.StandbyConfig{
		Admins: c.admins, Reason: c.waitsFor, Metrics: []*metrics.Set{c.lead.metrics}, TLS: listenerTLS(c.certs.admin), Log: c.log,
	})
	if err != nil {
		c.log.Error("nothing answers while this server waits", "reason", err)
		_ = ln.Close()
		return
	}
	c.adminLn = ln.(*net.TCPListener)
	c.log.Info("the admin API answers that this server waits", "addr", c.adminLn.Addr().String())
	c.standby.Go(func() {
		if err := standby.Serve(ctx, admin.Lend(c.adminLn)); err != nil {
			c.log.Warn("nothing answers while this server waits", "reason", err)
		}
	})
}

// endStandby leaves the admin listener bound, for the server.
func (c *candidate) endStandby() error {
	if c.stop != nil {
		c.stop()
		c.standby.Wait()
		c.stop = nil
	}
	if c.adminLn == nil {
		return nil
	}
	return admin.TakeBack(c.adminLn)
}

// listen gives both listeners: those that the server before has handed over, the admin one of the standby, else new ones.
func (c *candidate) listen() (api, adminLn net.Listener, err error) {
	api = c.inherits.listener("api", c.cfg.API.Addr)
	if c.adminLn != nil {
		adminLn, c.adminLn = c.adminLn, nil
	} else {
		adminLn = c.inherits.listener("admin", c.cfg.Admin.Addr)
	}
	if api == nil && adminLn == nil {
		return listenBoth(c.cfg, "api.addr in "+c.file, "admin.addr in "+c.file)
	}
	if api == nil {
		api, err = listen(c.cfg.API.Addr, "api.addr in "+c.file)
	}
	if adminLn == nil && err == nil {
		adminLn, err = listen(c.cfg.Admin.Addr, "admin.addr in "+c.file)
	}
	if err != nil {
		for _, ln := range []net.Listener{api, adminLn} {
			if ln != nil {
				err = errors.Join(err, ln.Close())
			}
		}
		return nil, nil, err
	}
	return api, adminLn, nil
}

// close lets go of what no server has taken over.
func (c *candidate) close() {
	c.lead.yield()
	c.inherits.close()
	if c.store != nil {
		_ = c.store.Close()
	}
	if c.adminLn != nil {
		_ = c.adminLn.Close()
	}
}
