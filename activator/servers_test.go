package activator_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// site is several servers around one world, and what leads them by a test's word.
type site struct {
	*world
	servers []*member
	term    uint64
	refused map[string]bool // instances that their places do not vouch for
}

// member is one server, with what goes on in it.
type member struct {
	name   string
	a      *activator.Activator
	stop   context.CancelFunc // the whole server
	ended  sync.WaitGroup
	depose context.CancelFunc // nil = it does not lead
	left   *protocol.Handover // by its last lead
	led    sync.WaitGroup
	unlink context.CancelFunc // from the leader; nil = it has no link
	linked sync.WaitGroup
}

func inSite(t *testing.T, n int, models []*fleet.Model, test func(*site), change ...func(*activator.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{world: newWorld(t), refused: make(map[string]bool)}
		s.counts = true
		for i := range n {
			cfg := activator.Config{
				Models: models, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Seed: 1, Server: ids(n)[i], Backend: s.world, Observers: []activator.Observer{s.world},
			}
			for _, f := range change {
				f(&cfg)
			}
			s.begin(cfg)
		}
		ctx, silence := context.WithCancel(t.Context())
		var telling sync.WaitGroup
		telling.Go(func() { s.tellEachSecond(ctx) })
		defer func() {
			silence()
			telling.Wait()
			for _, m := range s.servers {
				s.kill(m)
			}
		}()
		test(s)
	})
}

// tellEachSecond has the engines say how many requests they serve.
func (s *site) tellEachSecond(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		s.tellAll()
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *site) begin(cfg activator.Config) *member {
	a, err := activator.New(cfg)
	if err != nil {
		s.Fatal(err)
	}
	m := &member{name: cfg.Server, a: a}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	m.ended.Go(func() { _ = a.Run(ctx) })
	s.servers = append(s.servers, m)
	return m
}

// lead has a server lead, and all others follow it.
func (s *site) lead(m *member) { s.succeed(m, nil) }

// succeed has a server lead by what the one before has left.
func (s *site) succeed(m *member, former *protocol.Handover) {
	s.term++
	ctx, cancel := context.WithCancel(context.Background())
	m.depose = cancel
	term := s.term
	m.led.Go(func() {
		activator.ServersOf(m.a).Lead(ctx, activator.Tenure{Term: term, Former: former, Left: func(h *protocol.Handover) { m.left = h }})
	})
	synctest.Wait()
	for _, o := range s.servers {
		if o != m {
			s.link(o, m)
		}
	}
}

// link has one follow the other until it is cut off, or the other leads no more.
func (s *site) link(from, to *member) {
	s.cut(from)
	ctx, cancel := context.WithCancel(context.Background())
	from.unlink = cancel
	f, l := activator.ServersOf(from.a), activator.ServersOf(to.a)
	from.linked.Go(func() {
		_ = l.Tables(ctx, from.name, func(ts []*protocol.Table) error {
			for _, t := range ts {
				f.Take(t)
			}
			return nil
		})
	})
	from.linked.Go(func() {
		for {
			r, ok := f.NextReport(ctx)
			if !ok {
				return
			}
			h, taken, err := l.Hear(r)
			if err != nil {
				return
			}
			if taken {
				f.Told(r, h)
			}
		}
	})
}

func (s *site) cut(m *member) {
	if m.unlink != nil {
		m.unlink()
		m.linked.Wait()
		m.unlink = nil
	}
}

// demote ends a server's lead.
func (s *site) demote(m *member) {
	if m.depose != nil {
		m.depose()
		m.led.Wait()
		m.depose = nil
	}
}

// kill ends a server with all that it does.
func (s *site) kill(m *member) {
	s.cut(m)
	s.demote(m)
	m.stop()
	m.ended.Wait()
	synctest.Wait()
}

// at has what follows asked of a server.
func (s *site) at(m *member) *world {
	s.a = m.a
	return s.world
}

// answered reports whether a client has its answer by now.
func (s *site) answered(c *client) bool {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.ready
}

// vouch has the servers ask the instances' places each second for so long, and lets that time pass.
func (s *site) vouch(d time.Duration, ms ...*member) {
	for range int(d / time.Second) {
		for _, m := range ms {
			activator.ServersOf(m.a).Vouched(s.Context(), 5*time.Second, 3*time.Second, func(_ context.Context, _ uint64, i dispatch.Shared) bool {
				return !s.refused[i.Instance]
			})
		}
		time.Sleep(time.Second)
	}
}

func TestServers_AFollowersRequestsAreServedByTheLeadersTables(t *testing.T) {
	inSite(t, 2, []*fleet.Model{model("a", 1)}, func(s *site) {
		leader, follower := s.servers[0], s.servers[1]
		s.lead(leader)
		began := time.Now()
		c := s.at(follower).ask(activator.Ask{Model: "a"})
		s.wait(c)
		if c.err != nil || time.Since(began) > s.startTime+time.Second {
			t.Fatalf("got %v after %v", c.err, time.Since(began))
		}
		if got := follower.a.ModelState("a"); got != "hot" {
			t.Errorf("the follower says %s", got)
		}
		var held []*client
		for range 8 { // twice as many as the one instance takes
			for _, m := range s.servers {
				held = append(held, s.at(m).ask(activator.Ask{Model: "a"}))
			}
		}
		time.Sleep(2 * time.Second)
		s.mu.Lock()
		for id, n := range s.leases {
			if n > 4 {
				t.Errorf("%d leases on %s", n, id)
			}
		}
		s.mu.Unlock()
		c.release(activator.Succeeded)
		for _, c := range held {
			s.wait(c)
			c.release(activator.Succeeded)
		}
	})
}

func TestServers_AHotModelIsServedAtOnceByAServerThatHasJustCome(t *testing.T) {
	inSite(t, 2, []*fleet.Model{model("a", 1)}, func(s *site) {
		s.lead(s.servers[0])
		s.at(s.servers[0]).serve("a", time.Second)
		late := s.begin(activator.Config{Models: []*fleet.Model{model("a", 1)}, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Server: "late", Backend: s.world})
		s.link(late, s.servers[0])
		time.Sleep(3 * time.Second)
		s.at(late).wantState("a", "hot") // it has a share before anybody asks
		if c := s.at(late).serve("a", time.Second); c.took != 0 {
			t.Errorf("it was served after %v", c.took)
		}
	})
}

func TestServers_ADeadLeaderIsReplacedAndNobodyWhoWaitsIsLost(t *testing.T) {
	inSite(t, 3, []*fleet.Model{model("hot", 1), model("cold", 2), model("new", 2)}, func(s *site) {
		s.lead(s.servers[0])
		s.at(s.servers[1]).serve("hot", time.Second)
		time.Sleep(2 * time.Second)
		waits := s.at(s.servers[1]).ask(activator.Ask{Model: "cold"})
		time.Sleep(time.Second)
		s.kill(s.servers[0])
		asked := s.at(s.servers[2]).ask(activator.Ask{Model: "new"})
		for range 5 { // hot ones do not notice
			for _, m := range s.servers[1:] {
				if c := s.at(m).serve("hot", 100*time.Millisecond); c.took != 0 {
					t.Errorf("%s served a hot model after %v", m.name, c.took)
				}
			}
			time.Sleep(time.Second)
		}
		s.lead(s.servers[2])
		for _, c := range []*client{waits, asked} {
			s.wait(c)
			if c.err != nil {
				t.Errorf("%+v: %v", c.ask, c.err)
				continue
			}
			c.release(activator.Succeeded)
		}
		s.wantLaunches("hot", 1)
		s.wantLaunches("cold", 1)
		s.wantLaunches("new", 1)
		time.Sleep(5 * time.Minute)
		for _, id := range []string{"hot", "cold", "new"} {
			s.at(s.servers[2]).wantState(id, "cold")
		}
	})
}

func TestServers_HotModelsAreServedThroughAChangeOfLeaders(t *testing.T) {
	for _, end := range []struct {
		name string
		of   func(*site, *member)
	}{{"dies", (*site).kill}, {"hands over", (*site).demote}} {
		t.Run("the leader "+end.name, func(t *testing.T) {
			inSite(t, 3, []*fleet.Model{model("a", 1)}, func(s *site) {
				s.lead(s.servers[0])
				for _, m := range s.servers {
					s.at(m).serve("a", time.Second)
				}
				time.Sleep(3 * time.Second)
				end.of(s, s.servers[0])
				time.Sleep(4 * time.Second)
				s.lead(s.servers[1])
				for range 300 { // until well after all that the former leader had promised has expired
					for _, m := range s.servers[1:] {
						if c := s.at(m).serve("a", 50*time.Millisecond); c.took != 0 {
							t.Fatalf("%s served it after %v, %v after the change", m.name, c.took, time.Since(s.began))
						}
					}
				}
				s.wantLaunches("a", 1)
			})
		})
	}
}

func TestServers_ALeaderThatHandsOverServesOnAndTakesNothingWithIt(t *testing.T) {
	inSite(t, 2, []*fleet.Model{model("a", 1), model("b", 1)}, func(s *site) {
		s.lead(s.servers[0])
		s.at(s.servers[0]).serve("a", time.Second)
		held := s.ask(activator.Ask{Model: "b"})
		s.demote(s.servers[0])
		s.lead(s.servers[1])
		s.wait(held)
		if held.err != nil {
			t.Fatal(held.err)
		}
		held.release(activator.Succeeded)
		if err := s.servers[0].a.Hold("a", time.Minute); !errors.Is(err, activator.ErrFollows) {
			t.Errorf("one that follows was told to hold: %v", err)
		}
		if err := s.servers[1].a.Hold("a", time.Minute); err != nil {
			t.Error(err)
		}
		s.wantLaunches("b", 1)
	})
}

func TestServers_HotModelsAreServedWithoutALeaderWhileTheirPlacesVouch(t *testing.T) {
	inSite(t, 3, []*fleet.Model{model("a", 1), model("b", 1)}, func(s *site) {
		s.lead(s.servers[0])
		for _, id := range []string{"a", "b"} {
			s.at(s.servers[0]).serve(id, time.Second)
		}
		time.Sleep(2 * time.Second)
		s.kill(s.servers[0])
		left := s.servers[1:]
		s.refused[s.engineOf("b").ID] = true
		s.vouch(10*time.Minute, left...)
		for _, m := range left {
			if c := s.at(m).serve("a", 100*time.Millisecond); c.took != 0 {
				t.Errorf("%s served it after %v", m.name, c.took)
			}
		}
		late := s.at(left[0]).ask(activator.Ask{Model: "b"}) // its place does not say that it may
		s.vouch(30*time.Second, left...)
		if s.answered(late) {
			t.Errorf("a request was answered by an instance that nobody vouches for: %v, %v", late.lease, late.err)
		}
		s.lead(left[1])
		s.wait(late)
		if late.err != nil {
			t.Fatal(late.err)
		}
		late.release(activator.Succeeded)
		s.wantLaunches("a", 1)
		s.wantLaunches("b", 1)
	})
}

func TestServers_ALeaderThatIsNotSureServesOnAndPromisesNothing(t *testing.T) {
	inSite(t, 2, []*fleet.Model{model("a", 1)}, func(s *site) {
		s.lead(s.servers[0])
		s.at(s.servers[1]).serve("a", time.Second)
		time.Sleep(2 * time.Second)
		s.servers[0].a.Suspend("it is not certain which server leads")
		s.vouch(10*time.Minute, s.servers...)
		for _, m := range s.servers {
			if c := s.at(m).serve("a", 100*time.Millisecond); c.took != 0 {
				t.Errorf("%s served it after %v", m.name, c.took)
			}
		}
		s.refused[s.engineOf("a").ID] = true // another server has been there
		time.Sleep(5 * time.Second)
		var waits []*client
		for _, m := range s.servers {
			waits = append(waits, s.at(m).ask(activator.Ask{Model: "a"}))
		}
		s.vouch(10*time.Second, s.servers...)
		for _, c := range waits {
			if s.answered(c) {
				t.Errorf("a request was answered on the word of a leader that may be none: %v, %v", c.lease, c.err)
			}
		}
		s.servers[0].a.Resume()
		for _, c := range waits {
			s.wait(c)
			if c.took > 10*time.Second+tablesSoon {
				t.Errorf("answered after %v", c.took)
			}
			c.release(activator.Succeeded)
		}
	})
}

// tablesSoon is how soon a leader's tables are good again once it is sure.
const tablesSoon = 10 * time.Second

func TestServers_WhatAFollowerFindsUnfitIsReplaced(t *testing.T) {
	fails := make(map[string]bool)
	inSite(t, 2, []*fleet.Model{model("a", 1, func(m *fleet.Model) { m.IdleAfter = time.Hour })}, func(s *site) {
		s.lead(s.servers[0])
		c := s.at(s.servers[1]).ask(activator.Ask{Model: "a"})
		s.wait(c)
		unfit := c.lease.Instance
		fails[c.lease.Addr] = true
		c.release(activator.EngineFailed)
		time.Sleep(2 * time.Minute)
		again := s.ask(activator.Ask{Model: "a"})
		time.Sleep(time.Minute)
		if !s.answered(again) {
			t.Fatal("nothing was started in place of what is unfit")
		}
		if again.err != nil || again.lease.Instance == unfit {
			t.Errorf("got %v, %v, want another instance than %s", again.lease, again.err, unfit)
		}
		again.release(activator.Succeeded)
	}, func(c *activator.Config) {
		c.Probe = func(_ context.Context, _ *fleet.Model, addr string) error {
			if fails[addr] {
				return errors.New("no answer")
			}
			return nil
		}
	})
}

func TestServers_OneThatSaysFarewellLeavesItsShares(t *testing.T) {
	inSite(t, 2, []*fleet.Model{model("a", 1)}, func(s *site) {
		s.lead(s.servers[0])
		s.at(s.servers[1]).serve("a", time.Second)
		time.Sleep(2 * time.Second)
		bye := activator.ServersOf(s.servers[1].a).Farewell()
		s.cut(s.servers[1])
		if _, taken, err := activator.ServersOf(s.servers[0].a).Hear(bye); err != nil || !taken {
			t.Fatalf("the farewell was not heard: %v, %v", taken, err)
		}
		var held []*client
		for range 4 { // the whole instance
			held = append(held, s.at(s.servers[0]).ask(activator.Ask{Model: "a"}))
		}
		synctest.Wait()
		for _, c := range held {
			if !s.answered(c) {
				t.Error("a slot is kept for a server that has left")
				s.wait(c)
			}
			c.release(activator.Succeeded)
		}
	})
}
