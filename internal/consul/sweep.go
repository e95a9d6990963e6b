package consul

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// silentMost is how long the supervisor's check of a slot's engines may have run out before they are taken out of Consul. With the check's own
	// time and the longest query it makes less than a minute.
	silentMost  = 30 * time.Second
	sweepWithin = 5 * time.Second
	// returnWithin is how long an agent may bring back what was taken out of the catalogue, at the most.
	returnWithin = 5 * time.Minute
)

// place is where Consul has a service.
type place struct{ node, service string }

// sweeper takes engines out of Consul whose supervisor was killed. Their agent would do so by itself, but Consul lets no agent do it before a minute and
// a half after the check has run out.
type sweeper struct {
	silent map[place]time.Time // since when the supervisor was seen to be silent
	taken  map[place]time.Time // when it was taken out: what its agent brings back goes at once
	failed bool                // it was logged that services cannot be removed
}

// see notes which of our slots' supervisors are silent.
func (s *sweeper) see(now time.Time, cluster string, entries []*api.ServiceEntry) {
	before := s.silent
	s.silent = make(map[place]time.Time)
	for _, e := range entries {
		if e == nil || e.Service == nil || e.Node == nil || e.Service.Meta[MetaCluster] != cluster || !unsupervised(e) {
			continue
		}
		p := place{e.Node.Node, e.Service.ID}
		since, known := before[p]
		if _, returned := s.taken[p]; returned {
			since, known = time.Time{}, true
		}
		if !known {
			since = now
		}
		s.silent[p] = since
	}
	maps.DeleteFunc(s.taken, func(_ place, at time.Time) bool { return now.Sub(at) > returnWithin })
}

// take notes that one is taken out.
func (s *sweeper) take(now time.Time, p place) {
	if s.taken == nil {
		s.taken = make(map[place]time.Time)
	}
	s.taken[p] = now
	s.failed = false
}

// unsupervised reports whether a slot's supervisor has not said for the time of its check that it lives.
func unsupervised(e *api.ServiceEntry) bool {
	for _, c := range e.Checks {
		if c != nil && c.CheckID == supervisedID(e.Service.ID) {
			return c.Status == api.HealthCritical
		}
	}
	return false
}

// forget has everything be seen for the first time again.
func (s *sweeper) forget() { s.silent, s.taken = nil, nil }

// left is how long until one has been silent for too long; 0 = all are heard.
func (s *sweeper) left(now time.Time, most time.Duration) (left time.Duration) {
	for _, since := range s.silent {
		if d := max(since.Add(most).Sub(now), time.Millisecond); left == 0 || d < left {
			left = d
		}
	}
	return left
}

// sweep takes out of Consul what has been silent for too long.
func (c *Consul) sweep(ctx context.Context, now time.Time, entries []*api.ServiceEntry) {
	c.sweeper.see(now, c.cfg.Cluster, entries)
	for p, since := range c.sweeper.silent {
		if now.Sub(since) < c.cfg.Silent {
			continue
		}
		err := c.remove(ctx, p)
		_, again := c.sweeper.taken[p]
		switch {
		case err == nil && again: // its agent has brought it back, or the list was read before
			c.sweeper.take(now, p)
			c.cfg.Log.Debug("an engine is taken out of Consul again", "service", p.service, "node", p.node)
		case err == nil:
			c.sweeper.take(now, p)
			c.cfg.Log.Info("an engine is taken out of Consul: its supervisor has fallen silent", "service", p.service, "node", p.node)
		case !c.sweeper.failed && ctx.Err() == nil:
			c.sweeper.failed = true
			c.cfg.Log.Warn("an engine whose supervisor has fallen silent cannot be taken out of Consul", "service", p.service, "node", p.node, "reason", err)
		}
		if err != nil {
			c.sweeper.silent[p] = now // not again and again
		}
	}
}

// remove deregisters a service from our agent, where it is that one's, else from the catalogue: then its own agent may bring it back until its check
// has it forgotten.
func (c *Consul) remove(ctx context.Context, p place) error {
	ctx, cancel := context.WithTimeout(ctx, sweepWithin)
	defer cancel()
	err := c.client.Agent().ServiceDeregisterOpts(p.service, (&api.QueryOptions{}).WithContext(ctx))
	var status api.StatusError
	if err == nil || !errors.As(err, &status) || status.Code != http.StatusNotFound {
		return wrapped("deregistering from the agent", err)
	}
	_, err = c.client.Catalog().Deregister(&api.CatalogDeregistration{Node: p.node, ServiceID: p.service}, (&api.WriteOptions{}).WithContext(ctx))
	return wrapped("deregistering from the catalogue", err)
}

// wrapped says what was done when an error came.
func wrapped(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
