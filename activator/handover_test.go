package activator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// countless is a model whose requests take 30 min at most, and whose engines do not say how many they serve.
func countless(id string) *fleet.Model {
	return model(id, 1, func(m *fleet.Model) { m.Timeouts.Total = 30 * time.Minute })
}

// goneAfterIdling lets the idle time of a model pass, and reports whether its engine is gone then.
func (s *site) goneAfterIdling(id string) bool {
	time.Sleep(30*time.Second + tablesSoon)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.order {
		if e.Model == id && !e.gone {
			return false
		}
	}
	return true
}

// TestHandover_IdleEnginesGoAfterTheirIdleTime: also those that do not say that they serve nobody, once all servers have said what they hold. After a crash nobody knows who might have leases there.
func TestHandover_IdleEnginesGoAfterTheirIdleTime(t *testing.T) {
	for _, row := range []struct {
		name string
		move func(s *site, from, to *member)
		gone bool
	}{
		{name: "after a handover", gone: true, move: func(s *site, from, to *member) {
			s.demote(from)
			s.succeed(to, from.left)
		}},
		{name: "after one of a server that ends then", gone: true, move: func(s *site, from, to *member) {
			s.demote(from)
			bye := activator.ServersOf(from.a).Farewell()
			s.succeed(to, from.left)
			s.cut(from)
			if _, taken, err := activator.ServersOf(to.a).Hear(bye); err != nil || !taken {
				s.Errorf("the farewell was not heard: %v, %v", taken, err)
			}
		}},
		{name: "after two at once", gone: true, move: func(s *site, from, to *member) {
			s.demote(from)
			s.succeed(to, from.left)
			s.demote(to)
			s.succeed(from, to.left)
		}},
		{name: "after one to a server that dies at once", move: func(s *site, from, to *member) {
			s.demote(from)
			s.succeed(to, from.left)
			s.kill(to)
			s.succeed(from, from.left) // as far as it knows
		}},
		{name: "after one of a server that says nothing", move: func(s *site, from, to *member) {
			s.demote(from)
			s.succeed(to, nil)
		}},
		{name: "after a crash", move: func(s *site, from, to *member) {
			s.kill(from)
			s.succeed(to, nil)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			inSite(t, 3, []*fleet.Model{countless("a")}, func(s *site) {
				s.counts = false
				s.lead(s.servers[0])
				for _, m := range s.servers {
					s.at(m).serve("a", time.Second)
				}
				row.move(s, s.servers[0], s.servers[1])
				if gone := s.goneAfterIdling("a"); gone != row.gone {
					s.Fatalf("the idle engine is gone: %v, want %v", gone, row.gone)
				}
				time.Sleep(35 * time.Minute)
				if !s.goneAfterIdling("a") {
					s.Error("it is never stopped")
				}
			})
		})
	}
}

// TestHandover_NobodysRequestIsCut: neither that of a server which has not spoken yet, nor that of one which was named by the leader before the last.
func TestHandover_NobodysRequestIsCut(t *testing.T) {
	inSite(t, 3, []*fleet.Model{countless("a")}, func(s *site) {
		s.counts = false
		s.lead(s.servers[0])
		far := s.servers[2]
		c := s.at(far).ask(activator.Ask{Model: "a"})
		s.wait(c)
		s.cut(far)
		s.demote(s.servers[0])
		s.succeed(s.servers[1], s.servers[0].left)
		s.cut(far)
		time.Sleep(time.Second)
		s.demote(s.servers[1])
		s.succeed(s.servers[0], s.servers[1].left)
		s.cut(far)
		for range 20 { // the world fails the test where the engine is stopped
			time.Sleep(time.Minute)
		}
		s.link(far, s.servers[0])
		time.Sleep(5 * time.Second)
		c.release(activator.Succeeded)
		if !s.goneAfterIdling("a") {
			s.Error("the engine stays though all have been heard, and nobody uses it")
		}
	})
}
