package console

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// typical is what a request to a model took and cost of late, on average.
type typical struct {
	Requests int64 // 0 = nothing is shown
	Took     time.Duration
	Cost     fleet.NanoUSD
	OfAll    bool // it is the mean over all organisations', not over the visitor's own
}

const (
	typicalSpan = 30 * 24 * time.Hour // how far back it looks
	commonAge   = time.Minute         // after which the means of all organisations are measured anew

	// Whose token has no usage:read sees a mean of the own organisation's requests only where no single one can be told from it, and anybody sees one of
	// all organisations' only where no single organisation can.
	fewestOwn     = 10
	fewestCommon  = 100
	fewestSharing = 3 // organisations
)

// typicals measures what requests took and cost, by model: for operators those of everybody; for callers those of their organisation, and where it has made
// too few, those of all organisations together.
func (v *visit) typicals(ctx context.Context) (map[string]typical, error) {
	own, err := v.c.usedByModel(ctx, v.org(), v.c.Now())
	if err != nil {
		return nil, err
	}
	fewest := int64(fewestOwn)
	if v.may(tenant.ScopeUsageRead) {
		fewest = 1
	}
	all := map[string]typical{}
	for model, s := range own {
		if s.Requests >= fewest {
			all[model] = s.mean(false)
		}
	}
	if v.isOperator() {
		return all, nil
	}
	common, err := v.common.get(ctx, &v.c)
	if err != nil {
		return nil, err
	}
	for model, s := range common {
		if _, has := all[model]; !has && s.Requests >= fewestCommon && s.orgs >= fewestSharing {
			all[model] = s.mean(true)
		}
	}
	return all, nil
}

// used sums up requests to one model.
type used struct {
	ledger.UsageRow
	orgs int // whose requests they are
}

func (u *used) mean(ofAll bool) typical {
	return typical{u.Requests, time.Duration(u.BilledUS/u.Requests) * time.Microsecond, u.Cost / fleet.NanoUSD(u.Requests), ofAll}
}

// usedByModel sums up the requests of an organisation, "" = of all, by model.
func (c *Config) usedByModel(ctx context.Context, org string, now time.Time) (map[string]*used, error) {
	today := now.UTC().Truncate(24 * time.Hour)
	q := ledger.Query{Org: org, From: today.Add(-typicalSpan), To: today.Add(24 * time.Hour), Limit: ledger.MaxUsageLimit}
	sums := map[string]*used{}
	for {
		rows, next, err := c.Ledger.Usage(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			r := &rows[i]
			if r.Requests == 0 {
				continue // corrections alone
			}
			s := sums[r.Model]
			if s == nil {
				s = &used{}
				sums[r.Model] = s
			}
			s.Add(r)
			s.orgs++ // there is one row of an organisation and a model
		}
		if next == "" {
			return sums, nil
		}
		q.Cursor = next
	}
}

// common is what all organisations' requests took and cost. It is measured once for all pages, at most each commonAge.
type common struct {
	asking singleflight.Group
	last   atomic.Pointer[measured]
}

// measured is immutable.
type measured struct {
	at      time.Time
	byModel map[string]*used
}

func (m *common) get(ctx context.Context, c *Config) (map[string]*used, error) {
	now := c.Now()
	if last := m.last.Load(); last != nil && now.Sub(last.at) < commonAge {
		return last.byModel, nil
	}
	found, err, _ := m.asking.Do("", func() (any, error) {
		byModel, err := c.usedByModel(ctx, "", now)
		if err == nil {
			m.last.Store(&measured{now, byModel})
		}
		return byModel, err
	})
	if err != nil {
		return nil, err
	}
	return found.(map[string]*used), nil
}
