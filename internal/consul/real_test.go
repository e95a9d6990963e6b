//go:build unix

package consul_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// site is a real Consul with one that watches it, and calls Watch again when it breaks off, as the activator does.
type site struct {
	t      *testing.T
	agent  *cluster.Agent // which is watched
	node   *cluster.Agent // of the one node
	api    *api.Client
	told   chan string // what is told, in short
	broken chan error  // each end of a Watch
}

func newSite(t *testing.T, settle time.Duration) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Consul; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds it
	defer cancel()
	all, err := cluster.Start(ctx, cluster.Config{Dir: filepath.Join(t.TempDir(), "cluster"), Nodes: 1, GPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := all.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, agent: all.Consul, node: all.Nodes[0].Consul, told: make(chan string, 1000), broken: make(chan error, 1000)}
	c := api.DefaultConfig()
	c.Address = all.Consul.Addr
	transport := c.Transport
	if s.api, err = api.NewClient(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	watched, err := consul.New(consul.Config{Addr: all.Consul.Addr, Cluster: "blue", Wait: 2 * time.Second, Settle: settle})
	if err != nil {
		t.Fatal(err)
	}
	s.follow(watched)
	return s
}

func (s *site) follow(c *consul.Consul) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := c.Watch(ctx, func(o fleet.Observation) { s.told <- short(o) })
			if err != nil {
				s.broken <- err
				time.Sleep(20 * time.Millisecond)
			}
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// register registers an instance whose health the test sets itself.
func (s *site) register(cluster, instance, status string) {
	s.t.Helper()
	err := s.api.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: "s-" + instance, Name: consul.Service, Address: "127.0.0.1", Port: 7000,
		Meta:  map[string]string{consul.MetaCluster: cluster, consul.MetaModel: "m", consul.MetaInstance: instance},
		Check: &api.AgentServiceCheck{CheckID: "c-" + instance, TTL: "10m", Status: status},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) set(instance, status string) {
	s.t.Helper()
	if err := s.api.Agent().UpdateTTL("c-"+instance, "", status); err != nil {
		s.t.Fatal(err)
	}
}

// until waits for a word, and fails when a word that must not be told comes before.
func (s *site) until(word string, never ...string) {
	s.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case got := <-s.told:
			for _, n := range never {
				if got == n {
					s.t.Errorf("told %q on the way to %q", got, word)
				}
			}
			if got == word {
				return
			}
		case <-deadline:
			s.t.Fatalf("waited a minute for %q", word)
		}
	}
}

// restart kills the agent as a crash would, and starts it again. Without its data it is one of those that keep none.
func (s *site) restart(keep bool) {
	s.t.Helper()
	for len(s.broken) > 0 {
		<-s.broken
	}
	s.agent.Kill()
	select {
	case <-s.broken: // unreachable: said by an error
	case <-time.After(10 * time.Second):
		s.t.Error("Watch went on for 10 s after the agent was killed")
	}
	for len(s.told) > 0 {
		<-s.told
	}
	if !keep {
		if err := os.RemoveAll(filepath.Join(filepath.Dir(s.agent.Log()), "data")); err != nil {
			s.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := s.agent.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// again tries until an agent that has just started takes it.
func (s *site) again(instance, status string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := s.api.Agent().UpdateTTL("c-"+instance, "", status)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal(err)
		}
	}
}

func TestRealConsul_RegisterPassFailDeregisterAndRestarts(t *testing.T) {
	s := newSite(t, 4*time.Second)
	s.until("")
	s.register("green", "x", "passing")
	s.register("blue", "a", "critical")
	s.set("a", "passing")
	s.until("a+", "a-") // nothing bad before its first check
	s.register("blue", "b", "passing")
	s.until("a+ b+")
	s.set("b", "critical")
	s.until("a+ b-")
	s.set("b", "passing")
	s.until("a+ b+", "a+")
	if err := s.api.Agent().ServiceDeregister("s-b"); err != nil {
		t.Fatal(err)
	}
	s.until("a+")

	// With its data: checks begin as critical, and the instance was never bad.
	s.restart(true)
	s.again("a", "passing")
	s.until("a+", "", "a-")

	// Without: the list is empty and its index small. Its services come back some time later.
	s.restart(false)
	s.until("…", "", "a-")
	s.register("blue", "a", "passing")
	s.until("a+", "", "a-")

	// Without, and nobody comes back: after its time the absence is believed.
	s.restart(false)
	s.until("…", "", "a-")
	s.until("", "a-")
}
