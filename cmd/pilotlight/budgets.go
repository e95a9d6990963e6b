package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/quota"
	"github.com/pilotlight-io/pilotlight/internal/shares"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

// openAccounts makes the accounts, which know what has been spent before in every period that goes on. Where other servers may share the store, what they
// may spend and have at once is drawn from it.
func (s *server) openAccounts(ctx context.Context) (err error) {
	c := account.Config{Memory: int64(s.c.Config.API.BodyBudget), Cost: ledger.Cost}
	if s.c.Config.Store.Kind == config.StorePostgres {
		s.quota, err = quota.New(quota.Config{Store: s.store, Server: s.ledger.Server(), DeniedFor: quota.DeniedFor, Log: s.log("budgets")})
		if err != nil {
			return err
		}
		if s.shares, err = shares.New(shares.Config{Store: s.store, Server: s.ledger.Server(), Log: s.log("limits")}); err != nil {
			return err
		}
		c.Quota, c.Shares = s.quota, s.shares
	}
	accounts := account.New(c)
	from := s.c.Now()
	for _, p := range tenant.Periods() {
		if begun, _ := p.Window(s.c.Now()); begun.Before(from) {
			from = begun
		}
	}
	err = s.ledger.Spent(ctx, from, func(d ledger.Spent) {
		if d.Others {
			accounts.CountOthers(d.Org, d.TokenID, d.Day, d.Cost)
		} else {
			accounts.Count(d.Org, d.TokenID, d.Day, d.Cost)
		}
	})
	s.accounts = accounts
	return err
}

// corrected counts a correction in the budgets of its record. What is corrected before the accounts are made, they read.
func (s *server) corrected(r *ledger.Record) {
	if s.accounts != nil {
		s.accounts.Count(r.Org, r.TokenID, r.DispatchedAt, r.Cost)
	}
}

// tellBudgets tells of budgets that are half, four fifths or all spent, until ctx is done and all is told: an event, a log line and, where configured, a
// webhook. Each is told once, over restarts too.
func (s *server) tellBudgets(ctx context.Context) error {
	s.accounts.Notices(ctx, func(n account.Notice) {
		for failing := false; ; failing = true {
			err := s.tellBudget(ctx, n)
			if err == nil {
				return
			}
			if !failing {
				s.log("budgets").Error("a notice of a budget cannot be kept, and is tried again", "org", n.Org, "percent", n.Percent, "reason", err)
			}
			select {
			case <-ctx.Done(): // the next start finds it anew
				return
			case <-time.After(time.Second):
			}
		}
	})
	return nil
}

func (s *server) tellBudget(ctx context.Context, n account.Notice) error {
	told := &fleet.BudgetNotice{
		Org: n.Org, TokenID: n.Token, Percent: n.Percent, Limit: n.Limit, Spent: n.Spent, Soft: n.Soft, Period: n.Period, Begins: n.Begins, Resets: n.Resets,
	}
	first, err := s.webhooks.Notify(context.WithoutCancel(ctx), webhook.Notice{
		ID: budgetNoticeID(told), Event: webhook.EventBudgetThreshold, Org: n.Org, At: n.At, Data: admin.NewBudgetEvent(told),
	})
	if err != nil || !first {
		return err
	}
	s.log("budgets").Warn("a budget is spent", "org", n.Org, "token", n.Token, "percent", n.Percent, "limit_usd", n.Limit, "spent_usd", n.Spent,
		"period", n.Period, "resets_at", n.Resets, "soft", n.Soft)
	s.activator.Announce(fleet.Notice{At: n.At, Reason: fmt.Sprintf("%d %% of the %s budget is spent", n.Percent, n.Period), Budget: told})
	return nil
}

// budgetNoticeID is the same for the same period, limit and level of the same budget.
func budgetNoticeID(n *fleet.BudgetNotice) string {
	return strings.Join([]string{
		webhook.EventBudgetThreshold, n.Org, n.TokenID, n.Period, n.Begins.Format(time.DateOnly), n.Limit.String(), fmt.Sprintf("%03d", n.Percent), // of one moment, the least is sent first
	}, "/")
}
