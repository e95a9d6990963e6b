package activator

import (
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// hold is what one dispatcher may hold on one instance: the most of the slots in any table that it may be going by, the slots
// that an earlier planner gave it, and the leases that it reported.
type hold struct {
	given   []given // oldest first; those before the last acknowledged one are forgotten
	foreign int
	leases  int
	before  int           // leases in the report before
	idleAt  time.Duration // since when it has no lease here; valid while it has none
}

// given is the number of slots in the tables from one on.
type given struct {
	table uint64
	slots int
	acked bool
}

// slots gives what the next table says.
func (h *hold) slots() int {
	if len(h.given) == 0 {
		return 0
	}
	return h.given[len(h.given)-1].slots
}

// settled reports whether the dispatcher has seen what the last table says.
func (h *hold) settled() bool { return len(h.given) == 0 || h.given[len(h.given)-1].acked }

func (h *hold) acknowledge(table uint64) {
	last := -1
	for k := range h.given {
		if h.given[k].table <= table {
			h.given[k].acked = true
			last = k
		}
	}
	if last > 0 {
		h.given = slices.Delete(h.given, 0, last)
	}
	if len(h.given) == 1 && h.given[0].slots == 0 && h.given[0].acked {
		h.given = h.given[:0]
	}
}

// bound gives the most leases that the dispatcher may have on the instance now or before it acknowledges.
func (p *Planner) bound(i *instance, n int) int {
	h := &i.holds[n]
	b := h.foreign
	if !p.unsound.leaseBlind {
		b = max(b, h.leases)
	}
	for k := range h.given {
		b = max(b, h.given[k].slots)
	}
	return b
}

// void forgets what a lapsed dispatcher held, once the engine itself, asked afterwards, has said that it serves nobody.
func (p *Planner) void(i *instance, n int) {
	d := p.peers[n]
	quiet := i.asked && i.running == 0 && i.runningAt > p.lapsedAt(d)
	if d.lapsed && (quiet || p.unsound.noRunning) && p.bound(i, n) > 0 {
		i.holds[n] = hold{idleAt: i.holds[n].idleAt}
		d.dirty = true
	}
}

// revoked reports whether nobody has or can get a lease on the instance.
func (p *Planner) revoked(i *instance) bool {
	for n := range i.holds {
		if p.bound(i, n) > 0 && !p.unsound.noAck {
			return false
		}
	}
	return p.proven(i)
}

// proven reports whether nobody but the dispatchers that are known can have a lease on an adopted instance: what an earlier planner gave
// has expired, and the engine, asked since, has said that it serves nobody. Until then shares are only confirmed.
func (p *Planner) proven(i *instance) bool {
	if i.adopted && p.cfg.TTL > 0 && i.asked && i.running == 0 && i.runningAt > p.started+p.cfg.TTL {
		i.clean = true
	}
	return !i.adopted || p.cfg.TTL == 0 || i.clean
}

// share sets every dispatcher's slots of every instance: lowers at once, raises only into what nobody else may hold.
func (p *Planner) share(now time.Duration) {
	p.lapse(now)
	for _, i := range p.instances {
		for n := range i.holds {
			p.void(i, n)
		}
		p.shareOut(i)
	}
}

// lapse notes which dispatchers have not been heard for too long, and whose demand therefore no longer asks for GPUs.
func (p *Planner) lapse(now time.Duration) {
	for _, d := range p.peers {
		if lapsed := p.isLapsed(d, now); lapsed != d.lapsed {
			d.lapsed = lapsed
			for _, m := range p.models {
				p.sum(now, m)
			}
		}
	}
}

func (p *Planner) shareOut(i *instance) {
	switch {
	case i.State != fleet.Ready:
		for n := range i.holds {
			p.give(i, n, 0)
		}
	case !p.proven(i):
		for n := range i.holds { // confirm, no more
			p.give(i, n, max(i.holds[n].foreign, i.holds[n].slots()))
		}
	case p.unsound.overshare:
		for n := range i.holds {
			p.give(i, n, i.m.capacity)
		}
	case p.unbalanced(i):
		p.divide(i)
	}
}

// unbalanced reports whether the slots should be divided anew: some are free, or one dispatcher lacks what another has to spare.
func (p *Planner) unbalanced(i *instance) bool {
	sum, lacking, spare := 0, false, false
	for n, d := range p.peers {
		slots, dem := i.holds[n].slots(), &d.demands[i.m.index]
		sum += slots
		lacking = lacking || dem.Waiting > 0 && !d.lapsed && (slots == 0 || len(p.peers) > 1)
		spare = spare || slots > 0 && (slots > dem.Inflight+dem.Waiting || d.lapsed)
		if lacking && slots == 0 {
			return true
		}
	}
	return sum < i.m.capacity || lacking && spare && len(p.peers) > 1
}

// divide gives each dispatcher its slots.
func (p *Planner) divide(i *instance) {
	targets := p.targets(i)
	total := 0
	for n := range i.holds {
		if targets[n] < i.holds[n].slots() {
			p.give(i, n, targets[n])
		}
	}
	for n := range i.holds {
		total += p.bound(i, n)
	}
	for n := range i.holds {
		own := p.bound(i, n)
		allowed := min(targets[n], i.m.capacity-(total-own))
		if allowed > i.holds[n].slots() {
			p.give(i, n, allowed)
			total += max(allowed-own, 0)
		}
	}
}

// targets divides the instance's slots: first one for each that has waiters, the longest wait first; then by what each still lacks;
// then evenly.
func (p *Planner) targets(i *instance) []int {
	targets := make([]int, len(p.peers))
	left := i.m.capacity
	for ; left > 0; left-- {
		best := -1
		for n, d := range p.peers {
			if d.known && !d.lapsed && (best < 0 || p.hungrier(i.m, n, best, targets)) {
				best = n
			}
		}
		if best < 0 {
			break
		}
		targets[best]++
	}
	return targets
}

// hungrier reports whether dispatcher n should get the next slot rather than k.
func (p *Planner) hungrier(m *model, n, k int, targets []int) bool {
	dn, dk := &p.peers[n].demands[m.index], &p.peers[k].demands[m.index]
	firstN, firstK := targets[n] == 0 && dn.Waiting > 0, targets[k] == 0 && dk.Waiting > 0
	if firstN != firstK {
		return firstN
	}
	if firstN {
		return p.peers[n].since[m.index] < p.peers[k].since[m.index]
	}
	lackN, lackK := max(dn.Waiting+dn.Inflight-targets[n], 0), max(dk.Waiting+dk.Inflight-targets[k], 0)
	if lackN != lackK {
		return lackN > lackK
	}
	return targets[n] < targets[k]
}

// give writes a number of slots into the dispatcher's next table.
func (p *Planner) give(i *instance, n, slots int) {
	h, d := &i.holds[n], p.peers[n]
	if h.slots() == slots || !d.known {
		return
	}
	d.dirty = true
	if k := len(h.given) - 1; k >= 0 && h.given[k].table == d.table+1 {
		h.given[k].slots = slots
		return
	}
	h.given = append(h.given, given{table: d.table + 1, slots: slots})
}

// buildTables makes a table for each dispatcher that must learn something, or that has not acknowledged for too long. Only the
// timer sends again: sending again whenever an acknowledgement lags never ends.
func (p *Planner) buildTables(now time.Duration) {
	if p.lookAhead(now) {
		for _, d := range p.peers {
			d.dirty = true
		}
	}
	for n, d := range p.peers {
		late := p.cfg.Resend > 0 && d.ackSeq != d.table && now >= d.tableAt+p.cfg.Resend
		beat := p.cfg.TTL > 0 && now >= d.tableAt+p.cfg.TTL/4
		if d.seq > 0 && (d.dirty || late || beat) {
			p.tables = append(p.tables, p.tableFor(now, n))
		}
	}
}

func (p *Planner) tableFor(now time.Duration, n int) *protocol.Table {
	d := p.peers[n]
	d.table++
	d.tableAt, d.dirty = now, false
	t := &protocol.Table{
		To: d.id, Incarnation: d.incarnation, Term: p.cfg.Term, Seq: d.table, Stamp: d.stamp, Heard: d.seq, TTL: p.cfg.TTL,
	}
	if t.Hello = !d.known; t.Hello {
		return t
	}
	if d.plain == 0 {
		d.plain = d.table
	}
	for _, i := range p.instances {
		if slots := i.holds[n].slots(); slots > 0 {
			t.Shares = append(t.Shares, protocol.Share{
				Instance: i.ID, Model: i.Model, Addr: i.Addr, Slots: slots, GPUs: i.GPUs, Spare: i.spare, From: i.from,
				Took: i.readyAt - i.began, ReadyFor: now - i.readyAt,
			})
		}
	}
	for _, m := range p.models {
		if m.outlook.Answer != "" {
			o := m.outlook
			o.ETA = max(o.ETA-(now-m.outlookAt), 0)
			t.Outlooks = append(t.Outlooks, o)
		}
	}
	return t
}
