//go:build unix

package consul_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// slotOf feeds a registrar with what a test says.
type slotOf struct {
	says chan []fleet.Sighting
	stop func()
}

func (s *site) registrar(ttl time.Duration) *slotOf {
	s.t.Helper()
	return s.registrarAt(s.agent.Addr, "s1", ttl)
}

func (s *site) registrarAt(addr, slot string, ttl time.Duration) *slotOf {
	s.t.Helper()
	r, err := consul.NewRegistrar(consul.RegistrarConfig{Addr: addr, Cluster: "blue", Slot: slot, TTL: ttl})
	if err != nil {
		s.t.Fatal(err)
	}
	f := &slotOf{says: make(chan []fleet.Sighting)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		err := r.Run(ctx, func(ctx context.Context, tell func(fleet.Observation)) error {
			for {
				select {
				case list := <-f.says:
					tell(fleet.Observation{Instances: list})
				case <-ctx.Done():
					return nil
				}
			}
		})
		if err != nil {
			s.t.Errorf("running: %v", err)
		}
	})
	f.stop = func() { cancel(); running.Wait() }
	s.t.Cleanup(f.stop)
	return f
}

func engine(id string, state fleet.State) fleet.Sighting {
	health := fleet.Critical
	if state == fleet.Ready {
		health = fleet.Passing
	}
	return fleet.Sighting{Instance: fleet.Instance{ID: id, Model: "m", State: state, Addr: "127.0.0.1:7001"}, Health: health}
}

func TestRealConsul_ChecksPassForEnginesThatTakeRequestsOnly(t *testing.T) {
	s := newSite(t, time.Nanosecond)
	f := s.registrar(3 * time.Second)
	starting := engine("a", fleet.Starting)
	starting.Addr = ""
	f.says <- []fleet.Sighting{starting}
	s.until("")
	f.says <- []fleet.Sighting{engine("a", fleet.Ready)}
	s.until("a+", "a-")
	f.says <- []fleet.Sighting{engine("a", fleet.Asleep), engine("b", fleet.Ready)}
	s.until("a- b+")
	silent := engine("a", fleet.Ready)
	silent.Health = fleet.Critical // it takes requests, and has not generated yet
	f.says <- []fleet.Sighting{silent, engine("d", fleet.Ready)}
	s.until("a- d+", "a+ b+", "a+ b+ d+", "a+ d+")
	f.says <- []fleet.Sighting{engine("a", fleet.Ready)}
	s.until("a+")
	for quiet := time.After(5 * time.Second); ; { // it is renewed
		select {
		case got := <-s.told:
			if got != "a+" {
				t.Fatalf("told %q while nothing changed", got)
			}
			continue
		case <-quiet:
		}
		break
	}
	s.restart(false) // an agent that has lost everything is told again
	s.until("a+", "a-")
	gone := engine("a", fleet.Ready)
	gone.Gone = true
	f.says <- []fleet.Sighting{gone, engine("c", fleet.Ready)}
	s.until("c+", "a-")
	f.stop()
	s.until("", "c-")
}

func TestRealConsul_RegistrarRemovesWhatItsSlotHasLeft(t *testing.T) {
	s := newSite(t, time.Nanosecond)
	s.register("blue", "x", "passing") // somebody else's
	err := s.api.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: "pilotlight-engine-a", Name: consul.Service, Address: "127.0.0.1", Port: 7000,
		Meta: map[string]string{
			consul.MetaCluster: "blue", consul.MetaModel: "m", consul.MetaInstance: "a", consul.MetaSlot: "s1",
		},
		Check: &api.AgentServiceCheck{TTL: "10m", Status: "passing"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.until("a+ x+")
	s.registrar(time.Minute).says <- []fleet.Sighting{engine("b", fleet.Ready)}
	s.until("b+ x+")
}
