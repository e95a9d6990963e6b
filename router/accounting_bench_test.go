package router_test

import (
	"context"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// BenchmarkAccounting is all that a request pays for being somebody's: its token is found, its limits are taken, its budget is metered, room for its
// record is kept, and the record is appended, with an organisation and a token that have every limit there is. The promise is at most 20 µs and 10
// allocations.
func BenchmarkAccounting(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := store.Open(ctx, b.TempDir()+"/p.db")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	tenants, err := tenant.New(ctx, s, tenant.Config{})
	if err != nil {
		b.Fatal(err)
	}
	records, err := ledger.Open(ctx, ledger.Config{Dir: b.TempDir(), Store: s})
	if err != nil {
		b.Fatal(err)
	}
	defer records.Close()
	ran := make(chan error, 1)
	go func() { ran <- records.Run(ctx) }()
	many, much := 1_000_000_000, fleet.NanoUSD(1e18)
	limits := tenant.LimitsChange{RPM: &many, Concurrency: &many, Budget: &much}
	if _, err := tenants.CreateOrg(ctx, tenant.NewOrg{Name: "acme", Limits: limits}); err != nil {
		b.Fatal(err)
	}
	secret, _, err := tenants.CreateToken(ctx, tenant.NewToken{Org: "acme", Limits: limits})
	if err != nil {
		b.Fatal(err)
	}
	const price = fleet.NanoUSD(8_250_000_000)
	accounts := account.New(account.Config{Memory: 1 << 30, Cost: ledger.Cost})
	accounts.SetBudget("acme", "", account.Budget{Limit: much, Period: "monthly", Window: tenant.Monthly.Window})
	var charge account.Charge
	b.ReportAllocs()
	for b.Loop() {
		grant, err := tenants.Authenticate(secret)
		if err != nil {
			b.Fatal(err)
		}
		of := func(l tenant.Limits) account.Limits { return account.Limits{RPM: l.RPM, Concurrency: l.Concurrency} }
		now := time.Now()
		claim := account.Claim{Org: grant.Org, Token: grant.TokenID, OrgLimits: of(grant.OrgLimits), TokenLimits: of(grant.TokenLimits), At: now}
		if err := accounts.Admit(&charge, &claim, nil); err != nil {
			b.Fatal(err)
		}
		rate := account.Rate{GPUs: 1, Price: price}
		if err := charge.MaySpend(rate); err != nil {
			b.Fatal(err)
		}
		room, err := records.Reserve()
		if err != nil {
			b.Fatal(err)
		}
		charge.Join()
		if err := charge.Spend(rate, true, nil); err != nil {
			b.Fatal(err)
		}
		charge.Run()
		charge.Dispatched(now)
		until := charge.Bill(now, now, now.Add(time.Second))
		r := ledger.Record{
			ID: ledger.NewID(), Org: grant.Org, TokenID: grant.TokenID, Model: chatModel, Instance: "i-1", GPUs: 1, Start: fleet.Hot, ReceivedAt: now, DispatchedAt: now,
			Upstream: time.Second, Billed: until.Sub(now), Price: price, Status: ledger.Complete, PromptTokens: 500, CompletionTokens: 100,
		}
		if err := room.Append(&r); err != nil {
			b.Fatal(err)
		}
		charge.Settle()
	}
	b.StopTimer()
	cancel()
	if err := <-ran; err != nil {
		b.Fatal(err)
	}
}
