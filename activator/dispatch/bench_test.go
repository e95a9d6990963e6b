package dispatch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// hotDispatcher is a dispatcher of so many models with so many ready instances of each.
func hotDispatcher(models, instances int) *dispatch.Dispatcher {
	var ms []*fleet.Model
	t := &protocol.Table{To: "self", Incarnation: 1, Term: 1, Seq: 1}
	for i := range models {
		m := &fleet.Model{ID: fmt.Sprintf("org/model-%d", i), GPUs: 1, MaxConcurrency: 64}
		ms = append(ms, m)
		for k := range instances {
			t.Shares = append(t.Shares, protocol.Share{Instance: fmt.Sprintf("%s/%d", m.ID, k), Model: m.ID, Slots: 64, Addr: "127.0.0.1:1"})
		}
	}
	d := dispatch.New(dispatch.Config{ID: "self", Incarnation: 1, Models: ms})
	d.Receive(0, t)
	return d
}

func BenchmarkDispatcher_HotAcquireRelease(b *testing.B) {
	d := hotDispatcher(40, 2)
	ask, l := &dispatch.Ask{Model: "org/model-7", Org: "acme"}, &dispatch.Lease{}
	b.ReportAllocs()
	for i := range b.N {
		if !d.Acquire(time.Duration(i), ask, l) {
			b.Fatal("not granted")
		}
		d.Release(time.Duration(i), l)
	}
}

func BenchmarkDispatcher_QueueAndGrant(b *testing.B) {
	d := hotDispatcher(40, 2)
	held := &dispatch.Lease{}
	for range 128 {
		held = &dispatch.Lease{}
		if !d.Acquire(0, &dispatch.Ask{Model: "org/model-7"}, held) {
			b.Fatal("not granted")
		}
	}
	ask := &dispatch.Ask{Model: "org/model-7", Org: "acme"}
	b.ReportAllocs()
	for i := range b.N {
		w := &struct {
			dispatch.Waiter
			lease dispatch.Lease
		}{}
		if err := d.Enqueue(time.Duration(i), ask, &w.Waiter, &w.lease); err != nil {
			b.Fatal(err)
		}
		d.Release(time.Duration(i), held)
		if held, _ = w.Answer(); held == nil {
			b.Fatal("not granted")
		}
		d.TakeAnswered()
	}
}

// BenchmarkDispatcher_Messages changes one share and demand among 10,000 instances, and reports it.
func BenchmarkDispatcher_Messages(b *testing.B) {
	d := hotDispatcher(1000, 10)
	r := &protocol.Report{}
	d.Report(0, r)
	d.Heard(r.Seq)
	t := &protocol.Table{To: "self", Incarnation: 1, Term: 1, Seq: 1, Partial: true, Shares: []protocol.Share{{Instance: "org/model-7/1", Model: "org/model-7"}}}
	b.ReportAllocs()
	for i := range b.N {
		t.Seq++
		t.Heard = r.Seq
		t.Shares[0].Slots = 32 + i%2
		if !d.Receive(time.Duration(i), t) {
			b.Fatal("not taken")
		}
		d.Report(time.Duration(i), r)
		if len(r.Held) != 1 {
			b.Fatalf("got %d held", len(r.Held))
		}
		d.Heard(r.Seq)
	}
}
