package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// look sees to the server's check and session, and finds out whose the lock is. Consul has the lock delay for all of it.
func (l *Lock) look(ctx context.Context) {
	asking, cancel := context.WithTimeoutCause(ctx, lockDelay, errors.New("no answer in time"))
	defer cancel()
	err := l.contend(asking)
	if ctx.Err() != nil {
		return
	}
	if err != nil && asking.Err() != nil {
		err = context.Cause(asking)
	}
	l.conclude(blame(err))
}

// contend takes the lock if nobody has it, unless it only looks.
func (l *Lock) contend(ctx context.Context) error {
	if !l.cfg.Looks {
		if err := l.renew(ctx); err != nil {
			return fmt.Errorf("registering this server: %w", err)
		}
		if err := l.begin(ctx); err != nil {
			return fmt.Errorf("making a session: %w", err)
		}
	}
	asked := time.Now()
	pair, meta, err := l.client.KV().Get(LockKey(l.cfg.Cluster), l.query(ctx, true))
	if err != nil {
		return fmt.Errorf("reading the key %s: %w", LockKey(l.cfg.Cluster), err)
	}
	if pair == nil {
		pair = &api.KVPair{}
	}
	last := l.saw(pair)
	l.index = 0
	if pair.Session != "" && pair.Session != l.session || l.cfg.Looks {
		l.index = meta.LastIndex
	}
	if l.cfg.Looks {
		return nil
	}
	if pair.Session == "" && !l.overtaken(last) {
		l.finds(&last)
		ours, err := l.acquire(ctx, l.session, l.largest())
		if sessionLost(err) {
			l.session = ""
			return nil
		}
		if err != nil {
			return fmt.Errorf("taking the lock at %s: %w", LockKey(l.cfg.Cluster), err)
		}
		if ours {
			l.hold(asked)
		}
		return nil
	}
	if pair.Session == l.session {
		l.hold(asked)
	}
	return nil
}

// await waits until it is time to look again: at once where another server gives the lock up.
func (l *Lock) await(ctx context.Context) {
	began := time.Now()
	if l.index > 0 {
		ctx, cancel := context.WithTimeout(ctx, lookEvery)
		defer cancel()
		q := l.query(ctx, false)
		q.WaitIndex, q.WaitTime = l.index, lookEvery
		pair, meta, err := l.client.KV().Get(LockKey(l.cfg.Cluster), q)
		if err == nil && pair != nil && (pair.Session == "" && !l.cfg.Looks || l.cfg.Looks && meta.LastIndex != l.index) {
			return
		}
	}
	pause(ctx, lookEvery-time.Since(began))
}

// renew keeps the server's check passing, and registers the server where its agent does not know it.
func (l *Lock) renew(ctx context.Context) error {
	if l.registered && time.Since(l.renewed) < checkTTL/4 {
		return nil
	}
	now := time.Now()
	if l.registered {
		err := l.client.Agent().UpdateTTLOpts(l.id, "", api.HealthPassing, l.query(ctx, false))
		if err == nil {
			l.renewed = now
			return nil
		}
		var status api.StatusError
		if !errors.As(err, &status) || status.Code == 403 {
			return err
		}
	}
	service := &api.AgentServiceRegistration{
		ID: l.id, Name: ServerService, Meta: map[string]string{MetaCluster: l.cfg.Cluster},
		Check: &api.AgentServiceCheck{
			CheckID: l.id, Name: "lives", TTL: checkTTL.String(), Status: api.HealthPassing, DeregisterCriticalServiceAfter: forgetServerAfter,
		},
	}
	l.registered = true // even where the answer is not heard
	err := l.client.Agent().ServiceRegisterOpts(service, api.ServiceRegisterOpts{}.WithContext(ctx))
	if err == nil {
		l.renewed = now
	}
	return err
}

// begin makes a session where there is none. One whose check the servers do not know yet is made at the next look.
func (l *Lock) begin(ctx context.Context) error {
	if l.session != "" {
		return nil
	}
	session := &api.SessionEntry{
		Name: l.id, LockDelay: lockDelay, Behavior: api.SessionBehaviorRelease,
		NodeChecks: []string{"serfHealth"}, ServiceChecks: []api.ServiceCheck{{ID: l.id}},
	}
	id, _, err := l.client.Session().Create(session, l.write(ctx))
	l.session = id
	return err
}

// acquire takes the lock with the session, or writes its value anew where that has it already.
func (l *Lock) acquire(ctx context.Context, session string, term uint64) (bool, error) {
	value, err := json.Marshal(claim{Server: l.cfg.Server, ID: l.id, At: l.cfg.At, Term: term})
	if err != nil {
		return false, err
	}
	ours, _, err := l.client.KV().Acquire(&api.KVPair{Key: LockKey(l.cfg.Cluster), Value: value, Session: session}, l.write(ctx))
	return ours, err
}

// sessionLost reports whether Consul does not know the session any more.
func sessionLost(err error) bool {
	return err != nil && strings.Contains(err.Error(), "invalid session")
}

// leave gives the lock up, so that another server need not wait for a delay, and then all the rest.
func (l *Lock) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	l.mu.Lock()
	l.confirmed = time.Time{}
	l.mu.Unlock()
	if l.session != "" {
		left := l.left()
		if err := l.release(ctx, left); err != nil && left != nil {
			l.cfg.Log.Warn("nothing is left for the next server: the lock does not take it", "reason", err)
			_ = l.release(ctx, nil)
		}
		_, _ = l.client.Session().Destroy(l.session, l.write(ctx))
	}
	if l.registered {
		_ = l.client.Agent().ServiceDeregisterOpts(l.id, l.query(ctx, false))
	}
}

// release gives the lock up, if it is ours, and in the same moment leaves something there.
func (l *Lock) release(ctx context.Context, left json.RawMessage) error {
	value, err := json.Marshal(claim{Server: l.cfg.Server, ID: l.id, Term: l.largest(), Left: left})
	if err != nil {
		return err
	}
	_, _, err = l.client.KV().Release(&api.KVPair{Key: LockKey(l.cfg.Cluster), Value: value, Session: l.session}, l.write(ctx))
	return err
}

func (l *Lock) query(ctx context.Context, consistent bool) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: consistent}).WithContext(ctx)
}

func (l *Lock) write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{}).WithContext(ctx)
}
