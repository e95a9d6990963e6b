package account

import (
	"errors"
	"sync/atomic"
	"time"
)

// Limited is whose limit of requests at once is meant.
type Limited struct{ Org, Token string } // token "" = the organisation's

// Shares is where servers share limits of requests at once: see Several servers in the package's doc. It is safe for concurrent use.
type Shares interface {
	// Ask waits until this server may have more of a limit than before, but no longer than until a moment. false = it may not, or the time has passed.
	Ask(of Limited, until time.Time) bool
}

// askWithin is the default of Config.AskWithin.
const askWithin = 50 * time.Millisecond

// sharing is what the accounts of one of several servers have in common.
type sharing struct {
	shares Shares
	within time.Duration
	made   time.Time
	until  atomic.Int64 // its shares are good for so long, in nanoseconds since it was made
}

// part is what this server has of one limit.
type part struct {
	limit int   // of requests at once, when it was last asked for; 0 = none
	share int64 // so many of them may be here: less than are, where others have taken what those have that run
	of    int   // of a limit of so many: of a lower one it may be too much
	next  int64 // what share is to be once the store knows
	peak  int64 // the most that were here since it was last looked at
}

// most is how many requests may be here at this moment.
func (s *sharing) most(p *part) int64 {
	if int64(time.Since(s.made)) >= s.until.Load() {
		return 0
	}
	if p.limit < p.of {
		return 0
	}
	return p.share
}

// enter tries again to take a request's part of its limits, as long as a share is all that is in its way and this server may have more of it.
func (s *sharing) enter(t *Token, claim *Claim, standing Standing, err error) (Standing, error) {
	until := time.Now().Add(s.within)
	for more := true; more; {
		why := (*LimitError)(nil)
		if !errors.As(err, &why) || !why.ofShare {
			return standing, err
		}
		of := Limited{Org: t.Org.Name}
		if why.OfToken {
			of.Token = t.ID
		}
		more = s.shares.Ask(of, until)
		standing, err = t.enter(claim, true) // also where there is no more: one that was here may have ended
	}
	return standing, err
}

// SharePool is what the store says of a limit, for one of its servers.
type SharePool struct {
	Others  int  // the sum of the others' shares
	Alive   int  // others that were heard of lately
	Wished  bool // one of the others lacks something
	Waiting int  // requests here that wait for more
}

// Lease says until when this server's shares are good, as the store has them; the time has a monotonic reading. Before the first Lease they are not.
func (a *Accounts) Lease(until time.Time) { a.shared.until.Store(int64(until.Sub(a.shared.made))) }

// DrawShare says how large this server's share of a limit is to be. Where that is less than before, it holds from now on; where it is more, from GrantShare
// on, which is to be called when the store has it. lacks = those who wait need more than that.
//
// A share is never less than the requests that are here. Of those that are here though the others leave no room for them, none is replaced when it ends.
func (a *Accounts) DrawShare(of Limited, pool SharePool) (share int, lacks bool) {
	g, locked := a.gateOf(of)
	locked.gates.Lock()
	defer locked.gates.Unlock()
	p, open := &g.part, g.open.Load()
	need := open + int64(pool.Waiting)
	room := max(int64(p.limit-pool.Others), 0)
	next := max(p.share, open)
	switch {
	case pool.Waiting > 0:
		next = max(next, need)
		if spare := max(room-next, 0); pool.Alive == 0 {
			next += spare
		} else if !pool.Wished {
			next += (spare + 1) / 2
		}
	case pool.Wished:
		next -= (next - open + 1) / 2
	}
	p.next = min(next, room)
	p.share, p.of = min(p.share, p.next), p.limit
	return int(max(p.next, open)), pool.Waiting > 0 && p.next < need
}

// GrantShare has a share hold that the store knows of.
func (a *Accounts) GrantShare(of Limited) {
	g, locked := a.gateOf(of)
	locked.gates.Lock()
	defer locked.gates.Unlock()
	g.part.share = g.part.next
}

// DropShares forgets all shares, and gives the limits of which requests are here.
func (a *Accounts) DropShares() (used []Limited) {
	a.tokens.Range(func(_, v any) bool {
		t := v.(*Token)
		if t.gate.drop(t.Org) {
			used = append(used, Limited{t.Org.Name, t.ID})
		}
		return true
	})
	a.orgs.Range(func(_, v any) bool {
		if o := v.(*Org); o.gate.drop(o) {
			used = append(used, Limited{Org: o.Name})
		}
		return true
	})
	return used
}

func (g *gate) drop(o *Org) (used bool) {
	o.gates.Lock()
	defer o.gates.Unlock()
	g.part.share, g.part.next = 0, 0
	return g.part.limit > 0 && g.open.Load() > 0
}

// ReturnShare lowers a share to what requests have needed since the last time and half of an equal part, where so many others are alive; all = to what they need
// at this moment. It gives what is left, which the store is to learn by a DrawShare, and whether no request has used the limit since the last time.
func (a *Accounts) ReturnShare(of Limited, alive int, all bool) (share int, unused bool) {
	g, locked := a.gateOf(of)
	locked.gates.Lock()
	defer locked.gates.Unlock()
	p, open := &g.part, g.open.Load()
	switch {
	case all:
		p.share = min(p.share, open)
	case alive > 0:
		p.share = min(p.share, max(p.peak, open, int64(p.limit/(2*(alive+1)))))
	}
	unused = p.peak == 0 && open == 0
	p.peak = open
	return int(max(p.share, open)), unused
}

// SpareShare reports whether this server has more of a limit than its requests use.
func (a *Accounts) SpareShare(of Limited) bool {
	g, locked := a.gateOf(of)
	locked.gates.Lock()
	defer locked.gates.Unlock()
	return g.part.share > g.open.Load()
}

// gateOf gives a limit's gate, and whose gates guard it.
func (a *Accounts) gateOf(of Limited) (*gate, *Org) {
	if of.Token != "" {
		t := a.token(of.Org, of.Token)
		return &t.gate, t.Org
	}
	o, _ := a.orgs.LoadOrStore(of.Org, &Org{Name: of.Org, all: a})
	return &o.(*Org).gate, o.(*Org)
}
