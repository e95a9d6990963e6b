package shares

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/faultsim"
)

// content is what the simulated tables hold.
type content struct {
	beats  map[string]int64
	shares map[account.Limited]map[string]row
}

func newContent() *content {
	return &content{beats: map[string]int64{}, shares: map[account.Limited]map[string]row{}}
}

func (c *content) clone() *content {
	n := &content{beats: maps.Clone(c.beats), shares: map[account.Limited]map[string]row{}}
	for of, rows := range c.shares {
		n.shares[of] = maps.Clone(rows)
	}
	return n
}

// sum is what all servers have of a limit.
func (c *content) sum(of account.Limited) (sum int) {
	for _, r := range c.shares[of] {
		sum += r.share
	}
	return sum
}

// String shows what the tables hold.
func (c *content) String() string {
	text := fmt.Sprint(c.beats)
	for _, of := range slices.SortedFunc(maps.Keys(c.shares), compare) {
		text += fmt.Sprintf(" %s/%s%v", of.Org, of.Token, c.shares[of])
	}
	return text
}

// simulated is the book of one life of a server.
type simulated struct{ *faultsim.Link[content] }

func (s simulated) write(ctx context.Context, f func(page) error) error {
	return s.Write(ctx, func(tx *faultsim.Tx[content]) error { return f(simulatedPage{tx}) })
}

func (s simulated) beats(ctx context.Context, but string) (all map[string]int64, err error) {
	err = s.Read(ctx, func(c *content) {
		all = maps.Clone(c.beats)
		delete(all, but)
	})
	return all, err
}

func (s simulated) lacked(ctx context.Context, server string) (all []lack, err error) {
	err = s.Read(ctx, func(c *content) {
		for of, rows := range c.shares {
			for _, other := range rows {
				if rows[server].share > 0 && other.server != server && other.lacks > 0 {
					all = append(all, lack{of, other.server})
				}
			}
		}
	})
	return all, err
}

func (s simulated) listen(ctx context.Context, told func(string)) error { return s.Listen(ctx, told) }

type simulatedPage struct{ *faultsim.Tx[content] }

func (p simulatedPage) beat(ctx context.Context, server string) (bool, error) {
	known, err := p.knows(ctx, server)
	if err == nil && known {
		err = p.Change(ctx, func(c *content) { c.beats[server]++ })
	}
	return known, err
}

func (p simulatedPage) knows(ctx context.Context, server string) (bool, error) {
	if err := p.Lock(ctx, server); err != nil {
		return false, err
	}
	c, err := p.View(ctx)
	if err != nil {
		return false, err
	}
	_, known := c.beats[server]
	return known, nil
}

func (p simulatedPage) join(ctx context.Context, server string) error {
	if err := p.Lock(ctx, server); err != nil {
		return err
	}
	return p.Change(ctx, func(c *content) { c.beats[server]++ })
}

func (p simulatedPage) leave(ctx context.Context, server string) error {
	if err := p.Lock(ctx, server); err != nil {
		return err
	}
	return p.Change(ctx, func(c *content) { delete(c.beats, server) })
}

func (p simulatedPage) giveUp(ctx context.Context, server string, beats int64) (bool, error) {
	if err := p.Lock(ctx, server); err != nil {
		return false, err
	}
	c, err := p.View(ctx)
	if err != nil {
		return false, err
	}
	if got, known := c.beats[server]; !known || got != beats {
		return false, nil
	}
	return true, p.Change(ctx, func(c *content) { delete(c.beats, server) })
}

func (p simulatedPage) drop(ctx context.Context, server string) error {
	return p.Change(ctx, func(c *content) {
		for _, rows := range c.shares {
			delete(rows, server)
		}
	})
}

func (p simulatedPage) touch(ctx context.Context, of account.Limited) error { return p.Lock(ctx, of) }

func (p simulatedPage) shares(ctx context.Context, of account.Limited) ([]row, error) {
	c, err := p.View(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(c.shares[of])), nil
}

func (p simulatedPage) put(ctx context.Context, of account.Limited, r row) error {
	return p.Change(ctx, func(c *content) {
		if c.shares[of] == nil {
			c.shares[of] = map[string]row{}
		}
		if c.shares[of][r.server] = r; r.share == 0 && r.lacks == 0 {
			delete(c.shares[of], r.server)
		}
	})
}

func (p simulatedPage) tell(_ context.Context, what string) error {
	p.Tell(what)
	return nil
}
