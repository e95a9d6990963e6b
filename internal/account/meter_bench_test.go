package account_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
)

func BenchmarkSpend(b *testing.B) {
	for _, running := range []int{0, 1000} {
		b.Run(fmt.Sprint(running), func(b *testing.B) {
			a := metered()
			a.SetBudget("acme", "", monthly(1<<60))
			a.SetBudget("acme", "t", monthly(1<<60))
			for range running {
				if _, err := begin(a, "acme", "t", 1); err != nil {
					b.Fatal(err)
				}
			}
			s := &spender{ended: make(chan struct{})}
			b.ReportAllocs()
			for b.Loop() {
				_ = a.Admit(&s.Charge, &account.Claim{Org: "acme", Token: "t"}, s)
				_ = s.MaySpend(account.Rate{GPUs: 1, Price: price})
				_ = s.Spend(account.Rate{GPUs: 1, Price: price}, true, s)
				now := time.Now()
				s.Dispatched(now)
				s.Bill(now, now, now)
				s.Settle()
			}
		})
	}
}
