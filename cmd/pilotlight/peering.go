package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/peers"
)

const (
	keyAgain      = 2 * time.Second
	farewellIn    = time.Second
	farewellAgain = 20 * time.Millisecond // who leads next is known by the lock before it has begun
)

// peering follows whoever leads, answers the others while this server does, and has instances vouched for where no leader is heard, until ctx is done. Then it says
// farewell, and returns nil.
func (m *member) peering(ctx context.Context, s *server) error {
	var all sync.WaitGroup
	defer all.Wait()
	defer m.c.Listener.Close()
	looking, blind := context.WithCancel(context.Background()) // the farewell needs to know who leads
	defer blind()
	all.Go(func() { _ = m.looks.Run(looking) }) // it has no error of its own
	all.Go(func() { m.vouch(ctx, s) })
	told := make(chan struct{})
	all.Go(func() { m.exchangeModels(ctx, s, sync.OnceFunc(func() { close(told) })) })
	key, ok := m.awaitKey(ctx, s)
	if !ok {
		return nil
	}
	t, err := m.tie(key, s)
	if err != nil {
		return err
	}
	m.ties.Store(t)
	select {
	case <-told: // so that who leads finds this server's models when it is met
	case <-ctx.Done():
	}
	hearing, deaf := context.WithCancel(context.Background()) // who leads next says so only when we have told it
	defer deaf()
	failed := make(chan error, 1)
	all.Go(func() { failed <- t.hub.Serve(hearing, m.c.Listener) })
	var linked sync.WaitGroup
	linked.Go(func() { _ = t.link.Run(ctx) })
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	linked.Wait()
	if ctx.Err() == nil {
		return err
	}
	if _, leads := m.term(); !leads {
		m.farewell(s, t)
	}
	return nil
}

// farewell tells whoever leads that this server ends. One that has led last waits for the next: that one keeps what this one might hold until it has heard.
func (m *member) farewell(s *server, t *ties) {
	ctx, cancel := context.WithTimeout(context.Background(), farewellIn)
	defer cancel()
	if m.heirs.Load() {
		m.awaitLeader(ctx)
	}
	bye := activator.ServersOf(s.activator).Farewell()
	err := t.link.Farewell(ctx, bye)
	for m.heirs.Load() && errors.Is(err, peers.ErrNotLeading) && ctx.Err() == nil {
		time.Sleep(farewellAgain)
		err = t.link.Farewell(ctx, bye)
	}
	if err != nil {
		m.c.Log.Info("the server that leads was not told that this one ends", "reason", err)
	}
}

// awaitLeader waits until another server has the lock, or ctx is done.
func (m *member) awaitLeader(ctx context.Context) {
	for {
		at, changed := m.leader()
		if at != "" {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// awaitKey reads the servers key, however long that takes; false = ctx is done. Meanwhile this server can lead, and nobody can follow it.
func (m *member) awaitKey(ctx context.Context, s *server) (string, bool) {
	said := ""
	for {
		key, err := m.key(ctx, s)
		if err == nil {
			return key, true
		}
		if text := err.Error(); text != said && ctx.Err() == nil {
			said = text
			m.c.Log.Warn("no other server is followed, or can follow this one: the servers key is not known", "reason", err)
		}
		select {
		case <-ctx.Done():
			return "", false
		case <-time.After(keyAgain):
		}
	}
}

// key gives the servers key: of the environment, else of Nomad.
func (m *member) key(ctx context.Context, s *server) (string, error) {
	c := s.c.Config.Servers
	token, err := secretOf(s.c.Getenv, c.KeyEnv, config.ServersKeyEnv, "servers")
	if err != nil {
		return "", err
	}
	key, of := token.Value(), c.KeyEnv
	if key == "" {
		of = "the Nomad Variable"
		if key, err = s.backEnd.serversKey(ctx); err != nil {
			return "", err
		}
	}
	if len(key) < peers.MinKey {
		return "", fmt.Errorf("the servers key of %s has %d characters; it must have %d or more", of, len(key), peers.MinKey)
	}
	return key, nil
}

func (m *member) tie(key string, s *server) (*ties, error) {
	self := func() (peers.Info, peers.Parts) { return m.info(s), m.part.Load().parts }
	servers := activator.ServersOf(s.activator)
	hub, err := peers.NewHub(peers.HubConfig{Key: key, Cluster: s.c.Config.Cluster, Leader: servers, Term: m.term, Self: self, Known: func(ctx context.Context, theirs peers.Parts) peers.Parts { return m.know(ctx, s, theirs) }, Operate: s.operate, Log: m.c.Log})
	if err != nil {
		return nil, err
	}
	link, err := peers.NewLink(peers.LinkConfig{Key: key, Cluster: s.c.Config.Cluster, Follower: servers, Self: self, Leader: m.leader, Log: m.c.Log})
	return &ties{hub, link}, err
}

// info is this server, as others show it.
func (m *member) info(s *server) peers.Info {
	return peers.Info{
		Name: s.ledger.Server(), Host: s.hostName, PID: os.Getpid(), Version: readVersion().Version, StartedAt: s.opened, API: s.c.API.Addr().String(), Admin: s.c.Admin.Addr().String(),
		Config: m.part.Load().version, Store: s.storeName,
	}
}

// show notes the config in force.
func (m *member) show(c *config.Config) {
	parts := peers.Parts{"autoscaler": digest(c.Autoscaler)}
	models := make(map[string]*fleet.Model, len(c.Models))
	for _, one := range c.Models {
		models[one.ID] = one
		parts[peers.Model(one.ID)] = digest(one)
	}
	for _, p := range c.Pools {
		parts[peers.Pool(p.Name)] = digest(p)
	}
	m.part.Store(&shown{parts, parts.Version(), models})
}

func digest(part any) string {
	text, err := json.Marshal(part)
	if err != nil {
		panic(fmt.Sprintf("a part of the config cannot be written: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// unready says, for anybody to read, why this server cannot serve yet; nil = it can. Once it has met who leads, or led, what is hot is served without either.
func (m *member) unready() error {
	if m.met.Load() {
		return nil
	}
	t := m.ties.Load()
	if t == nil {
		return errors.New("the other servers are not reached yet: the servers key is not known")
	}
	switch state := t.link.State(); {
	case state.Linked:
		m.met.Store(true)
		return nil
	case state.Why != nil:
		return errors.New("the server that leads is not reached yet")
	}
	return errors.New("no server leads yet")
}

// lacks says, for anybody to read, what is lacking of a server that does not lead.
func (m *member) lacks() []string {
	t := m.ties.Load()
	if t == nil {
		return nil
	}
	switch state := t.link.State(); {
	case state.Linked:
		return nil
	case state.Why == nil:
		return []string{"no server leads, " + since(state.Since) + ": nothing is started or stopped, hot models are served"}
	default:
		return []string{"the server that leads is not reached, " + since(state.Since) + ": nothing is started for who asks here, hot models are served"}
	}
}

// reachedAt is where other servers reach this one.
func reachedAt(c config.Servers, ln net.Listener) string {
	if c.Advertise != "" {
		return c.Advertise
	}
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return ln.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = cmp.Or(privateAddress(), "127.0.0.1")
	}
	return net.JoinHostPort(host, port)
}

// privateAddress is the first private address of this machine; "" = it has none.
func privateAddress() string {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsPrivate() {
			return n.IP.String()
		}
	}
	return ""
}
