package main

import (
	"context"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/peers"
)

// passOn gives what has the server that leads answer operators; nil = this is the only server.
func (s *server) passOn() func(context.Context, admin.Call) (*admin.Reply, error) {
	m := s.c.Member
	if m == nil {
		return nil
	}
	return func(ctx context.Context, c admin.Call) (*admin.Reply, error) {
		if _, leads := m.term(); leads {
			return nil, nil
		}
		t := m.ties.Load()
		if t == nil {
			return nil, peers.ErrNotLeading
		}
		a, err := t.link.Operate(ctx, peers.Call{
			Method: c.Method, URI: c.URI, Body: c.Body, Admin: c.By.Name, Role: string(c.By.Role), From: c.From, Request: c.Request, Via: s.hostName,
		})
		if err != nil {
			return nil, err
		}
		return &admin.Reply{Status: a.Status, Type: a.Type, Body: a.Body}, nil
	}
}

// operate answers what another server has passed on.
func (s *server) operate(ctx context.Context, c peers.Call) (*peers.Answer, error) {
	r := s.admin.Answer(ctx, admin.Call{
		Method: c.Method, URI: c.URI, Body: c.Body, By: access.Admin{Name: c.Admin, Role: access.Role(c.Role)}, From: c.From, Request: c.Request,
	})
	return &peers.Answer{Status: r.Status, Type: r.Type, Body: r.Body}, nil
}

// followers lists the servers that follow this one.
func (m *member) followers() (all []admin.ServerInfo) {
	t := m.ties.Load()
	if _, leads := m.term(); t == nil || !leads {
		return nil
	}
	for _, p := range t.hub.Members() {
		all = append(all, admin.ServerInfo{
			Host: p.Host, PID: p.PID, Version: p.Version, StartedAt: admin.Time{Time: p.StartedAt}, API: p.API, Admin: p.Admin,
			Config: p.Config, LagMS: time.Since(p.HeardAt).Milliseconds(), Differs: append([]string{}, p.Differences...),
		})
	}
	return all
}
