package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// leaseChange ends one of the leases of an instance.
func (c *crowd) leaseChange() {
	i := &c.hot[c.busy()]
	c.timed(func() { c.release(i.ID, 1) })
	c.acquire(i.Model)
	c.exchange()
}

// sighted is another word on an instance.
func (c *crowd) sighted() {
	k := c.random.IntN(len(c.hot))
	o := &fleet.Observation{Source: c.sourceOf(k), At: c.p.at(c.now + c.apart), Instances: []fleet.Sighting{c.hot[k]}}
	o.Instances[0].Running = 0
	c.timed(func() { c.p.Observe(c.now, o) })
}

// becomesIdle ends all leases of an instance.
func (c *crowd) becomesIdle() {
	i := &c.hot[c.busy()]
	c.timed(func() { c.release(i.ID, leasesEach) })
	for range leasesEach {
		c.acquire(i.Model)
	}
	c.exchange()
}

// replaced ends a busy instance, whose requests wait until another is ready in its place: three events, or four.
func (c *crowd) replaced() {
	if c.turns == nil {
		c.turns = c.random.Perm(len(c.hot))
	}
	for len(c.leases[c.hot[c.turns[c.next]].ID]) < leasesEach {
		c.next = (c.next + 1) % len(c.hot)
	}
	k := c.turns[c.next]
	c.next = (c.next + 1) % len(c.hot)
	c.apart = max(eventsApart, settled/time.Duration(len(c.hot))) // none ends so soon that its start is taken for a failed one
	i := c.hot[k]
	c.release(i.ID, leasesEach)
	waiters := make([]dispatch.Waiter, leasesEach)
	gone := i
	gone.Gone, gone.Failure = true, "killed"
	c.timed(func() {
		c.p.Observe(c.now, &fleet.Observation{Source: c.sourceOf(k), At: c.p.at(c.now), Instances: []fleet.Sighting{gone}})
		for n := range waiters {
			if err := c.d.Enqueue(c.now, &dispatch.Ask{Model: i.Model, Org: "acme", Retry: true, Avoid: i.ID}, &waiters[n], &dispatch.Lease{}); err != nil {
				c.b.Fatal(err)
			}
		}
	})
	acts := c.p.TakeActs()
	if len(acts) != 1 || acts[0].Kind != fleet.ActLaunch || acts[0].Slot != i.Slot || acts[0].GPU != i.GPU {
		c.b.Fatalf("got %+v, want one launch in the place of %+v", acts, i)
	}
	c.timed(func() { c.p.Accepted(c.now, &acts[0], nil) })
	c.hot[k] = c.sighting(k, acts[0].Instance)
	c.timed(func() {
		c.p.Observe(c.now, &fleet.Observation{Source: c.sourceOf(k), At: c.p.at(c.now), Instances: []fleet.Sighting{c.hot[k]}})
	})
	if c.nodes {
		c.timed(func() { c.p.Observe(c.now, c.ready(c.hot[k])) })
	}
	for _, w := range c.d.TakeAnswered() {
		l, err := w.Answer()
		if err != nil {
			c.b.Fatal(err)
		}
		c.leases[l.Instance] = append(c.leases[l.Instance], l)
	}
	if len(c.leases[acts[0].Instance]) != leasesEach {
		c.b.Fatal("who waited is not served")
	}
	c.exchange()
}
