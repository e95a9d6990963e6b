package account_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/account"
)

const (
	mib      = 1 << 20
	patience = 5 * time.Second
)

// request is a request that gives its memory back when it is told to.
type request struct {
	account.Charge
	ended atomic.Bool
}

func (r *request) Reclaim() { r.ended.Store(true) }

func admit(a *account.Accounts, org string) *request {
	r := &request{}
	_ = a.Admit(&r.Charge, &account.Claim{Org: org, Token: org + "-token"}, r)
	return r
}

// hold takes as many bytes as it gets for an organisation, in requests of this size.
func hold(a *account.Accounts, org string, size int64) (requests []*request, held int64) {
	for {
		r := admit(a, org)
		if r.Take(account.Request, size) != nil {
			r.Settle()
			return requests, held
		}
		requests = append(requests, r)
		held += size
	}
}

func settle(requests []*request) {
	for _, r := range requests {
		r.Settle()
	}
}

func TestTake_AloneAnOrganisationLeavesRoomForOthers(t *testing.T) {
	a := account.New(account.Config{Memory: 1024 * mib})
	many, held := hold(a, "hoarder", 32*mib)
	if held != 384*mib {
		t.Errorf("got %d MiB of large bodies, want three quarters of half", held/mib)
	}
	small, held := hold(a, "hoarder", 64<<10)
	if held != 128*mib {
		t.Errorf("got %d MiB of small bodies behind large ones, want half in all", held/mib)
	}
	honest := admit(a, "honest")
	if err := honest.Take(account.Request, 32*mib); err != nil {
		t.Errorf("got %v, want room for another organisation", err)
	}
	honest.Settle()
	settle(many)
	settle(small)
	if got := a.Usage("hoarder"); got != (account.Usage{}) {
		t.Errorf("got %+v, want nothing left", got)
	}
}

// However many organisations hoard, and whatever came first, one that keeps within its share gets memory.
func TestAwait_OneWithinItsShareIsServed(t *testing.T) {
	for hoarders := 1; hoarders <= 6; hoarders++ {
		synctest.Test(t, func(t *testing.T) {
			a := account.New(account.Config{Memory: 1024 * mib})
			var all []*request
			for i := range hoarders {
				for _, size := range []int64{32 * mib, mib, 64 << 10} {
					many, _ := hold(a, fmt.Sprint("hoarder", i), size)
					all = append(all, many...)
				}
			}
			var ending sync.WaitGroup
			ending.Go(func() { // whoever is told to end does so
				for range 1000 {
					for _, r := range all {
						if r.ended.Swap(false) {
							r.Settle()
						}
					}
					time.Sleep(time.Millisecond)
				}
			})
			honest := admit(a, "honest")
			if err := honest.Await(account.Request, 32*mib, patience, nil); err != nil {
				t.Errorf("%d hoarders: got %v, want the honest organisation served", hoarders, err)
			}
			ending.Wait()
			honest.Settle()
			settle(all)
		})
	}
}

func TestAwait_AHoarderWaitsForItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account.New(account.Config{Memory: 64 * mib})
		held, _ := hold(a, "hoarder", mib)
		began := time.Now()
		next := admit(a, "hoarder")
		if err := next.Await(account.Request, mib, patience, nil); !errors.Is(err, account.ErrShare) || time.Since(began) != patience {
			t.Errorf("got %v after %v, want its share refused after %v", err, time.Since(began), patience)
		}
		for _, r := range held {
			if r.ended.Load() {
				t.Error("a request was ended for its own organisation")
			}
		}
		time.AfterFunc(time.Second, held[0].Settle)
		if err := next.Await(account.Request, mib, patience, nil); err != nil {
			t.Errorf("got %v, want what was given back", err)
		}
		next.Settle()
		settle(held[1:])
	})
}

func TestAwait_EndsWithItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account.New(account.Config{Memory: mib})
		held, _ := hold(a, "hoarder", 64<<10)
		next, gone := admit(a, "hoarder"), make(chan struct{}, 1)
		time.AfterFunc(time.Second, func() { gone <- struct{}{} })
		began := time.Now()
		if err := next.Await(account.Request, 64<<10, patience, gone); err == nil || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want the wait ended with its request", err, time.Since(began))
		}
		next.Settle()
		settle(held)
	})
}

// One body always finds room: the only one of its organisation is not measured by the share.
func TestTake_AFirstRequestMayExceedTheShare(t *testing.T) {
	a := account.New(account.Config{Memory: 1024 * mib})
	var all []*request
	for i := range 64 { // their share is 16 MiB
		r := admit(a, fmt.Sprint("other", i))
		if err := r.Take(account.Request, 9*mib); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	first := admit(a, "large")
	if err := first.Take(account.Request, 32*mib); err != nil {
		t.Errorf("got %v, want the first one taken", err)
	}
	second := admit(a, "large")
	if err := second.Take(account.Request, mib); !errors.Is(err, account.ErrShare) {
		t.Errorf("got %v, want the second one refused", err)
	}
	settle(append(all, first, second))
}

func TestReclaim_NotOfWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account.New(account.Config{Memory: 64 * mib})
		var all []*request
		for i := range 8 {
			many, _ := hold(a, fmt.Sprint("hoarder", i), 64<<10)
			all = append(all, many...)
		}
		for _, r := range all {
			r.Join()
			r.Run()
		}
		honest := admit(a, "honest")
		if err := honest.Await(account.Request, mib, patience, nil); !errors.Is(err, account.ErrFull) {
			t.Errorf("got %v, want no room", err)
		}
		for _, r := range all {
			if r.ended.Load() {
				t.Error("a request was ended while an engine worked on it")
			}
		}
		settle(append(all, honest))
	})
}

func TestCounts(t *testing.T) {
	a := account.New(account.Config{Memory: mib})
	one, two := admit(a, "acme"), &request{}
	_ = a.Admit(&two.Charge, &account.Claim{Org: "acme", Token: "other"}, two)
	two.Join()
	two.Run()
	one.Join()
	one.Force(account.Answer, 2*mib)
	if got, want := a.Usage("acme"), (account.Usage{Bytes: 2 * mib, Waiting: 1, Running: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := a.Requests("other"); got != 1 {
		t.Errorf("got %d requests of the token, want 1", got)
	}
	var text bytes.Buffer
	a.Metrics().WritePrometheus(&text)
	if want := "pilotlight_body_bytes{kind=\"answer\"} 2097152\n"; !strings.Contains(text.String(), want) {
		t.Errorf("got %s, want %s", &text, want)
	}
	one.Settle()
	one.Settle()
	two.Settle()
	if got := a.Usage("acme"); got != (account.Usage{}) {
		t.Errorf("got %+v, want nothing left", got)
	}
}

func TestAccounts_Concurrent(t *testing.T) {
	const size = 64 * mib
	a := account.New(account.Config{Memory: size})
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 2000 {
				r := &concurrent{ended: make(chan struct{}, 1)}
				_ = a.Admit(&r.Charge, &account.Claim{Org: fmt.Sprint(i % 3), Token: fmt.Sprint(i)}, r)
				for range random.IntN(8) {
					if r.Await(account.Request, int64(random.IntN(4*mib)+1), time.Millisecond, r.ended) != nil {
						break
					}
				}
				r.Join()
				r.Run()
				r.Settle()
			}
		})
	}
	g.Wait()
	for i := range 3 {
		if got := a.Usage(fmt.Sprint(i)); got != (account.Usage{}) {
			t.Errorf("got %+v, want nothing left", got)
		}
	}
	if all, held := hold(a, "one", mib); held != size/2 {
		t.Errorf("got %d held, want half: nobody else holds anything", held)
	} else {
		settle(all)
	}
}

type concurrent struct {
	account.Charge
	ended chan struct{}
}

func (r *concurrent) Reclaim() { r.ended <- struct{}{} }

func TestCharge_AllocatesNothing(t *testing.T) {
	a := account.New(account.Config{Memory: 64 * mib})
	r := admit(a, "acme")
	r.Settle()
	if allocs := testing.AllocsPerRun(100, func() {
		_ = a.Admit(&r.Charge, &account.Claim{Org: "acme", Token: "acme-token"}, r)
		_ = r.Take(account.Request, 64<<10)
		r.Join()
		r.Run()
		r.Free(account.Request)
		_ = r.Take(account.Answer, 1<<10)
		r.Settle()
	}); allocs > 0 {
		t.Errorf("got %v allocations a request, want none", allocs)
	}
}

func BenchmarkCharge(b *testing.B) {
	a := account.New(account.Config{Memory: 64 * mib})
	r := admit(a, "acme")
	r.Settle()
	for b.Loop() {
		_ = a.Admit(&r.Charge, &account.Claim{Org: "acme", Token: "acme-token"}, r)
		_ = r.Take(account.Request, 1<<10)
		r.Join()
		r.Run()
		r.Settle()
	}
}

// TestTake_WhatIsRefusedIsInNobodysWay: there is room for what is taken here, however many others ask for more than there is at the same time.
func TestTake_WhatIsRefusedIsInNobodysWay(t *testing.T) {
	a := account.New(account.Config{Memory: 16 * mib})
	requests, _ := hold(a, "full", mib)
	defer settle(requests)
	var stop atomic.Bool
	var others sync.WaitGroup
	for i := range 8 {
		others.Go(func() {
			r := admit(a, fmt.Sprint("other", i))
			defer r.Settle()
			for !stop.Load() {
				if err := r.Take(account.Request, 15*mib); err == nil {
					t.Error("got 15 MiB, want them refused")
					return
				}
			}
		})
	}
	r := admit(a, "mine")
	for range 20_000 {
		if err := r.Take(account.Request, 1024); err != nil {
			t.Errorf("got %v, want 1 KiB: there is room for it", err)
			break
		}
		r.Give(account.Request, 1024)
	}
	r.Settle()
	stop.Store(true)
	others.Wait()
}
