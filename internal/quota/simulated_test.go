package quota

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// content is what the simulated tables hold. Its clock may be set.
type content struct {
	ahead    time.Duration // of ours is its clock
	versions int64
	heard    map[string]time.Time
	blocks   map[account.Period]map[string]block
	drawn    map[account.Period]map[string]time.Time // when it was last worked out how large a server's block is to be; the real tables do not have that
	spent    map[spentAt]int64
	moved    map[string]int // records of each log
}

// spentAt is a row of what logs have brought.
type spentAt struct {
	spentKey
	server string
}

func newContent() *content {
	return &content{
		heard: map[string]time.Time{}, blocks: map[account.Period]map[string]block{}, drawn: map[account.Period]map[string]time.Time{}, spent: map[spentAt]int64{}, moved: map[string]int{},
	}
}

func (c *content) clone() *content {
	n := *c
	n.heard, n.spent, n.moved, n.blocks, n.drawn = maps.Clone(c.heard), maps.Clone(c.spent), maps.Clone(c.moved), cloneEach(c.blocks), cloneEach(c.drawn)
	return &n
}

func cloneEach[V any](all map[account.Period]map[string]V) map[account.Period]map[string]V {
	n := make(map[account.Period]map[string]V, len(all))
	for of, some := range all {
		n[of] = maps.Clone(some)
	}
	return n
}

// spentIn gives what logs have brought of a period, by server.
func (c *content) spentIn(of account.Period) map[string]int64 {
	all := map[string]int64{}
	for at, cost := range c.spent {
		if at.org == of.Org && at.token == of.Token && of.From <= at.day && at.day < of.To {
			all[at.server] += cost
		}
	}
	return all
}

// reserved is what a period's servers may spend, and have spent, in all.
func (c *content) reserved(of account.Period) (sum int64) {
	all := c.spentIn(of)
	for server, b := range c.blocks[of] {
		all[server] = max(all[server], b.granted)
	}
	for _, n := range all {
		sum += n
	}
	return sum
}

// String shows what the tables hold.
func (c *content) String() string {
	text := fmt.Sprintf("version %d, clock %s", c.versions, c.ahead)
	for _, of := range slices.SortedFunc(maps.Keys(c.blocks), compare) {
		text += fmt.Sprintf(" %q %d: %v, spent %v", of.Token, of.From, c.blocks[of], c.spentIn(of))
	}
	return text
}

// simulated is the book of one life of a server.
type simulated struct {
	*faultsim.Link[content]
	server string
}

// write takes the lock of the one writer first.
func (s simulated) write(ctx context.Context, f func(page) error) error {
	return s.Write(ctx, func(tx *faultsim.Tx[content]) error {
		if err := tx.Lock(ctx, "writer"); err != nil {
			return err
		}
		p := &simulatedPage{Tx: tx}
		if err := f(p); err != nil || len(p.drew) == 0 {
			return err
		}
		at := time.Now()
		return tx.Change(ctx, func(c *content) {
			for _, of := range p.drew {
				if c.drawn[of] == nil {
					c.drawn[of] = map[string]time.Time{}
				}
				c.drawn[of][s.server] = at
			}
		})
	})
}

func (s simulated) version(ctx context.Context) (version int64, err error) {
	err = s.Read(ctx, func(c *content) { version = c.versions })
	return version, err
}

func (s simulated) askedFor(ctx context.Context, server string) (map[account.Period]bool, error) {
	all := map[account.Period]bool{}
	err := s.Read(ctx, func(c *content) {
		for of, blocks := range c.blocks {
			mine, drew := blocks[server]
			for other, b := range blocks {
				if drew && other != server && b.wished > mine.answered {
					all[of] = true
				}
			}
		}
	})
	return all, err
}

func (s simulated) left(ctx context.Context, server string) (map[account.Period]bool, error) {
	all := map[account.Period]bool{}
	err := s.Read(ctx, func(c *content) {
		for of, blocks := range c.blocks {
			if _, drew := blocks[server]; drew {
				all[of] = true
			}
		}
	})
	return all, err
}

func (s simulated) spentBy(ctx context.Context, but string, from int64) (map[spentKey]fleet.NanoUSD, error) {
	all := map[spentKey]fleet.NanoUSD{}
	err := s.Read(ctx, func(c *content) {
		for at, cost := range c.spent {
			if at.server != but && at.day >= from {
				all[at.spentKey] += fleet.NanoUSD(cost)
			}
		}
	})
	return all, err
}

type simulatedPage struct {
	*faultsim.Tx[content]
	drew []account.Period // whose blocks were looked at
}

func (p *simulatedPage) now(ctx context.Context) (time.Time, error) {
	c, err := p.View(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(c.ahead), nil
}

func (p *simulatedPage) heard(ctx context.Context, from, to time.Time) (all []string, err error) {
	c, err := p.View(ctx)
	if err != nil {
		return nil, err
	}
	for server, at := range c.heard {
		if at.After(from) && !at.After(to) {
			all = append(all, server)
		}
	}
	return all, nil
}

func (p *simulatedPage) blocks(ctx context.Context, of account.Period) (map[string]block, error) {
	c, err := p.View(ctx)
	if err != nil {
		return nil, err
	}
	p.drew = append(p.drew, of)
	return maps.Clone(c.blocks[of]), nil
}

func (p *simulatedPage) spent(ctx context.Context, of account.Period) (all []spentOn, err error) {
	c, err := p.View(ctx)
	if err != nil {
		return nil, err
	}
	for at, cost := range c.spent {
		if at.org == of.Org && at.token == of.Token && of.From <= at.day && at.day < of.To {
			all = append(all, spentOn{at.server, at.day, cost})
		}
	}
	return all, nil
}

func (p *simulatedPage) put(ctx context.Context, of account.Period, server string, b block) error {
	return p.Change(ctx, func(c *content) {
		if c.blocks[of] == nil {
			c.blocks[of] = map[string]block{}
		}
		c.blocks[of][server] = b
	})
}

func (p *simulatedPage) bump(ctx context.Context) (version int64, err error) {
	if err := p.Change(ctx, func(c *content) { c.versions++ }); err != nil {
		return 0, err
	}
	c, err := p.View(ctx)
	if err != nil {
		return 0, err
	}
	return c.versions, nil
}

func (p *simulatedPage) beat(ctx context.Context, server string, at time.Time) error {
	return p.Change(ctx, func(c *content) { c.heard[server] = at })
}

func (p *simulatedPage) leave(ctx context.Context, server string, before int64) error {
	return p.Change(ctx, func(c *content) {
		delete(c.heard, server)
		for of := range c.blocks {
			if of.To < before {
				delete(c.blocks, of)
			}
		}
	})
}
