package plan

import (
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// sharing gives the dispatchers their shares of the instances: it lowers them at once, and raises them only into what nobody else may hold.
type sharing struct {
	*state
	targets []int // used again and again
}

// divideAll sets the shares of every instance of which something has changed.
func (p *sharing) divideAll(now time.Duration) {
	dirty := p.sharesDirty
	p.sharesDirty = p.sharesDirty[:0:0]
	for _, i := range dirty {
		i.sharesDirty = false
		if p.instanceOf[i.ID] != i {
			continue
		}
		for n := range i.holds {
			p.void(now, i, n)
		}
		p.shareOut(now, i)
	}
}

// void forgets what a lapsed dispatcher held, once nothing of it can be left.
func (p *sharing) void(now time.Duration, i *instance, n int) {
	d := p.peers[n]
	if d.lapsed && i.holds[n].bound() > 0 && p.emptySince(now, i, d.lapsedAt()) {
		i.holds[n] = hold{idleAt: i.holds[n].idleAt, claimed: i.holds[n].claimed}
		p.tellShare(d, i)
		p.changed(i)
	}
}

// emptySince reports whether nobody can have a lease on the instance any more who could get none after that moment: the engine, asked since, has said that it
// serves nobody, or hangs, and serves nobody any more; or the longest request that there may be has ended.
func (p *sharing) emptySince(now time.Duration, i *instance, at time.Duration) bool {
	if longest := i.m.Timeouts.Total; longest > 0 && now > at+longest {
		return true
	}
	return i.seen != nil && (i.seen.Asked && i.seen.Running == 0 && i.seen.RunningAt > at || i.seen.Hangs && now > at)
}

// revoked reports whether nobody has or can get a lease on the instance.
func (p *sharing) revoked(now time.Duration, i *instance) bool {
	for n := range i.holds {
		if i.holds[n].bound() > 0 {
			return false
		}
	}
	return p.isProven(now, i)
}

// isProven reports whether nobody but the dispatchers that are known can have a lease on an adopted instance: it was not ready yet when this life began, or all have been heard
// who may have one by the word of the planner before, or what an earlier planner gave has expired, and nothing of it can be left. Until then only what was confirmed is divided.
func (p *sharing) isProven(now time.Duration, i *instance) bool {
	if i.trust == adopted && (p.cfg.TTL == 0 || p.neverServed(i) || p.accountedFor(i) || p.emptySince(now, i, p.started+p.cfg.TTL)) {
		i.trust = proven
	}
	return i.trust != adopted
}

// neverServed reports whether nobody listened at the instance's address when this planner's life had begun: no planner before it can have found it ready.
func (p *sharing) neverServed(i *instance) bool {
	return i.seen != nil && i.seen.Refused && i.seen.RefusedAt >= p.started
}

// accountedFor reports whether everybody was heard who may have leases on an instance of an earlier planner. While it is not known to be ready, what they have of it stays as it is.
func (p *sharing) accountedFor(i *instance) bool {
	return len(p.succession.unheard) == 0 && p.succession.covers(i.ID) && !i.mayServe()
}

func (p *sharing) shareOut(now time.Duration, i *instance) {
	proven := p.isProven(now, i)
	switch {
	case i.State != fleet.Ready && !i.mayServe():
		for n := range i.holds {
			p.give(i, n, 0)
		}
	case p.paused != "" && p.cfg.TTL > 0:
		// Another planner may be sharing it out: nothing more is given. Resume has it looked at again.
	case i.mayServe() || !proven && i.inherits():
		for n := range i.holds { // confirm, no more
			p.give(i, n, max(i.holds[n].foreign, i.holds[n].slots()))
		}
	default:
		p.divide(i)
	}
}

// divide gives each dispatcher its slots.
func (p *sharing) divide(i *instance) {
	p.targets = p.divided(i, p.targets)
	targets, total := p.targets, 0
	for n := range i.holds {
		if targets[n] < i.holds[n].slots() {
			p.give(i, n, targets[n])
		}
	}
	for n := range i.holds {
		total += i.holds[n].bound()
	}
	for n := range i.holds {
		own := i.holds[n].bound()
		allowed := min(targets[n], i.shareable()-(total-own))
		if allowed > i.holds[n].slots() {
			p.give(i, n, allowed)
			total += max(allowed-own, 0)
		}
		i.holds[n].due = targets[n]
	}
}

// give writes a number of slots into the dispatcher's next table.
func (p *sharing) give(i *instance, n, slots int) {
	h, d := &i.holds[n], p.peers[n]
	h.due = slots
	if h.slots() == slots || !d.known {
		return
	}
	p.tellShare(d, i)
	if k := len(h.given) - 1; k >= 0 && h.given[k].table == d.table+1 {
		h.given[k].slots = slots
		return
	}
	h.given = append(h.given, given{table: d.table + 1, slots: slots})
	d.unsettled = append(d.unsettled, i)
}

// tellShare has the dispatcher's next table tell the instance's share.
func (s *state) tellShare(d *peer, i *instance) {
	d.tell = true
	d.shares = append(d.shares, i)
}

// tellOutlook has every dispatcher's next table tell the model's outlook.
func (s *state) tellOutlook(m *model) {
	for _, d := range s.peers {
		d.tell = true
		d.outlooks = append(d.outlooks, m)
	}
}

// buildTables makes a table for each dispatcher that must learn something, or that has not acknowledged for too long. Only the
// timer sends again: sending again whenever an acknowledgement lags never ends.
func (p *sharing) buildTables(now time.Duration) {
	finds := p.finds(now)
	for n, d := range p.peers {
		beat := d.ttl > 0 && now >= d.tableAt+d.ttl/4
		if d.seq > 0 && (d.tell || d.late(now) || beat) && !(finds && d.known) {
			p.tables = append(p.tables, p.tableFor(now, n))
		}
		next := alarm{now: now}
		if finds {
			next.due(p.findsUntil())
		}
		if d.ttl > 0 {
			next.due(d.tableAt + d.ttl/4)
		}
		if d.ttl > 0 && !d.near {
			next.due(d.lapsedAt())
		}
		if d.resend > 0 && !d.acknowledged() {
			next.due(d.unackedAt + d.resend)
		}
		p.alarms.set(&d.timer, &next)
	}
}

func (p *sharing) tableFor(now time.Duration, n int) *protocol.Table {
	d := p.peers[n] // Its tables end a little before the planner takes them for ended: a planner may be the last to hear that it is none any more.
	if d.late(now) {
		d.whole = true
	}
	if d.whole || d.acknowledged() {
		d.unackedAt = now
	}
	d.table++
	t := &protocol.Table{
		To: d.id, Incarnation: d.incarnation, Term: p.cfg.Term, Seq: d.table, Stamp: d.pledged, Heard: d.seq, TTL: d.ttl - d.ttl/8,
	}
	d.tableAt, d.tell = now, false
	if t.Hello = !d.known; t.Hello {
		return t
	}
	if d.plain == 0 {
		d.plain = d.table
	}
	// What is lost is said again by a whole table, once its acknowledgement is late.
	shares, outlooks := d.shares, d.outlooks
	if t.Partial = !d.whole; !t.Partial {
		shares, outlooks = p.instances, p.models
	}
	for _, i := range shares {
		if slots := i.slotsFor(n); slots > 0 || t.Partial {
			t.Shares = append(t.Shares, protocol.Share{
				Instance: i.ID, Model: i.Model, Addr: i.Addr, Slots: slots, GPUs: i.GPUs, Spare: i.spare, From: i.from,
				Took: max(i.readyAt-i.began, 0), ReadyFor: now - i.readyAt, Unproven: i.unproven,
			})
		}
	}
	for _, m := range outlooks {
		if m.outlook.Answer != "" || m.outlook.Parked || t.Partial {
			o := m.outlook
			o.Model = m.ID
			o.ETA = max(o.ETA-(now-m.outlookAt), 0)
			t.Outlooks = append(t.Outlooks, o)
		}
	}
	d.whole, d.shares, d.outlooks = false, d.shares[:0], d.outlooks[:0]
	return t
}

// slotsFor gives what the next table says of the instance to a dispatcher; one that is gone has none.
func (i *instance) slotsFor(n int) int {
	if n >= len(i.holds) {
		return 0
	}
	return i.holds[n].slots()
}
