package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/peers"
)

// sharesCluster reports whether servers of the config serve together: each is a member of its cluster. They need what all of them can reach: a store, and a lock.
func sharesCluster(c *config.Config) bool {
	return c.Backend.Kind == config.BackendNomad && c.Store.Kind == config.StorePostgres
}

// memberConfig is what a member needs. All fields are required.
type memberConfig struct {
	Listener net.Listener                           // for the other servers
	At       string                                 // where they reach it
	NewLock  func(looks bool) (*consul.Lock, error) // of the cluster; looks = it never takes it
	Log      *slog.Logger
}

// member is a server among several of its cluster. All of them serve; whoever has the lock leads, and the others follow that one.
//
//	           the lock is ours: a term, a fence, a planner
//	follows ──────────────────────────────────────────────► leads
//	   ▲  stopped: the lock is given up, then requests drain    │
//	   └──── lost: another has it, or may have ─────────────────┘
type member struct {
	c       memberConfig
	metrics *metrics.Set
	looks   *consul.Lock // tells who leads, also when this server contends no more

	now  atomic.Pointer[lead]  // the present try for the lock, or the tenure; nil = there is none
	ties atomic.Pointer[ties]  // to the others; nil = the key is not known yet
	met  atomic.Bool           // it has led and heard what runs, or followed, once
	part atomic.Pointer[shown] // of the config in force

	heirs atomic.Bool // it has led last, and there are others who may lead next
}

// ties are a member's to the others.
type ties struct {
	hub  *peers.Hub
	link *peers.Link
}

// shown is what of a config others are told.
type shown struct {
	parts   peers.Parts
	version string
	models  map[string]*fleet.Model
}

const (
	contendAgain = 250 * time.Millisecond
	leadAgain    = time.Second // after a try that has failed: another server may do better
)

func newMember(c memberConfig) (*member, error) {
	looks, err := c.NewLock(true)
	if err != nil {
		return nil, err
	}
	m := &member{c: c, metrics: metrics.NewSet(), looks: looks}
	m.metrics.NewGauge("pilotlight_leader", func() float64 {
		if m.leads() {
			return 1
		}
		return 0
	})
	return m, nil
}

// leads reports whether this server leads, and is certain of it.
func (m *member) leads() bool {
	l := m.now.Load()
	return l != nil && l.leads()
}

// term gives the term in which this server leads, certain or not; false = it does not lead.
func (m *member) term() (uint64, bool) {
	if l := m.now.Load(); l != nil && l.begun.Load() && l.err() == nil {
		return l.term, true
	}
	return 0, false
}

// standing tells how this server stands, or, where it does not lead, what is known of who does.
func (m *member) standing() consul.Standing {
	if l := m.now.Load(); l != nil && l.begun.Load() {
		s, _ := l.standing()
		return s
	}
	s, _ := m.looks.Standing()
	return s
}

// leader tells where the server that leads is reached; "" = nobody leads, or this server does.
func (m *member) leader() (at string, changed <-chan struct{}) {
	s, changed := m.looks.Standing()
	if s.At == m.c.At {
		return "", changed
	}
	return s.At, changed
}

// run contends for the lead, and leads, until ctx is done; then it gives the lead up at once, and returns nil.
func (m *member) run(ctx context.Context, s *server) error {
	for ctx.Err() == nil {
		again := contendAgain
		if err := m.contend(ctx, s); err != nil && ctx.Err() == nil {
			m.c.Log.Warn("not leading", "reason", err)
			if !errors.Is(err, errTakenOver) {
				again = leadAgain
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
	return nil
}

// contend waits for the lock, leads while it has it, and gives it up.
func (m *member) contend(ctx context.Context, s *server) error {
	lock, err := m.c.NewLock(false)
	if err != nil {
		return err
	}
	surveying, blind := context.WithCancel(ctx)
	var survey sync.WaitGroup
	defer survey.Wait()
	defer blind()
	survey.Go(func() { s.backEnd.survey(surveying) })
	l := newLead(lock, m.c.Log)
	defer m.now.Store(nil)
	m.now.Store(l)
	l.contend()
	defer l.yield()
	if !l.await(ctx) {
		return nil
	}
	began := time.Now()
	blind()
	learned, err := m.remember(ctx, s)
	if err != nil {
		return err
	}
	if err := l.begin(ctx, s.store, s.backEnd.Backend, s.c.Now()); err != nil {
		return err
	}
	m.c.Log.Info("this server leads", "term", l.term, "took", time.Since(began).Round(time.Millisecond))
	survey.Wait() // the planner's own observers tell from now on
	leading, stop := context.WithCancel(ctx)
	left := make(chan *protocol.Handover, 1)
	var planning sync.WaitGroup
	planning.Go(func() {
		activator.ServersOf(s.activator).Lead(leading, activator.Tenure{Term: l.term, Learned: learned, Former: m.former(l), Left: func(h *protocol.Handover) { left <- h }})
	})
	err = l.keep(ctx, s.activator, s.backEnd.Backend)
	stop()
	if h := <-left; err == nil {
		m.leave(l, s, h)
	}
	m.now.Store(nil)
	l.yield()
	planning.Wait()
	if t := m.ties.Load(); t != nil {
		t.hub.Forget()
	}
	m.c.Log.Info("this server leads no more", "term", l.term, "reason", err)
	return err
}

// former gives what the server that led before has left; nil = nothing that can be read.
func (m *member) former(l *lead) *protocol.Handover {
	text := l.lock.Found()
	if text == nil {
		return nil
	}
	h, err := protocol.DecodeHandover(text)
	if err != nil {
		m.c.Log.Warn("what the server has left that led before is not understood: engines that were found, and do not say how many they serve, are kept as after a crash", "term", l.term, "reason", err)
		return nil
	}
	return h
}

// leave has what the next server may go by left in the lock.
func (m *member) leave(l *lead, s *server, h *protocol.Handover) {
	m.heirs.Store(slices.ContainsFunc(h.Holders, func(o protocol.Holder) bool { return o.Server != s.ledger.Server() }))
	text, err := h.Encode(consul.LeavesMost)
	if err != nil || text == nil {
		m.c.Log.Warn("nothing is left for the next server: too many might have leases", "term", l.term, "reason", err)
		return
	}
	l.lock.Leave(text)
}

// remember reads anew from the store what a planner begins with.
func (m *member) remember(ctx context.Context, s *server) ([]fleet.Learned, error) {
	learned, err := s.store.Learned(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what past activations took: %w", err)
	}
	if err := s.recall(ctx); err != nil {
		return nil, err
	}
	if _, err := s.configurer.foreign.read(ctx, s.c.Now(), m.part.Load().models); err != nil {
		return nil, fmt.Errorf("reading other servers' models: %w", err)
	}
	return learned, s.configurer.again(ctx)
}

// guardedMember is a back end that does nothing but in the tenure of which an act is.
type guardedMember struct {
	activator.Backend
	member *member
}

// Do is the back end's own, once it is certain that nobody else leads.
func (g guardedMember) Do(ctx context.Context, act fleet.Act) error {
	l := g.member.now.Load()
	if l == nil || !l.begun.Load() || l.term != act.Term {
		return fmt.Errorf("not acting for term %d: %w", act.Term, fleet.ErrFenced)
	}
	return guarded{g.Backend, l}.Do(ctx, act)
}
