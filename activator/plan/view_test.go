package plan

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// checkView holds that a snapshot made of changes is what the planner would show as a whole.
func (h *history) checkView() {
	if mix(uint64(h.now))%64 != 0 {
		return // nobody looks
	}
	got, want := h.view.Apply(h.planner.TakeChanges(h.now)), h.planner.Snapshot(h.now)
	for k := range min(len(got.Models), len(want.Models)) {
		m, w := &got.Models[k], want.Models[k].Outlook
		if m.Waiting == 0 {
			m.Outlook = w // nobody is told, and so it is not renewed as time goes by
		}
		if (m.Outlook.ETA - w.ETA).Abs() <= time.Second {
			m.Outlook.ETA = w.ETA // it is renewed where it is off by more
		}
	}
	if reflect.DeepEqual(got, want) {
		return
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b *fleet.Model) bool { return a == b }), cmp.Comparer(func(a, b *fleet.Spec) bool { return a == b })); diff != "" {
		h.fail("a snapshot made of changes differs (-want +got):\n%s", diff)
	}
}

// BenchmarkSnapshot is what a look at a fleet of 4,000 instances costs the planner, with as many changes as come in between: whole, and as changes. The
// rest of the latter is done outside of it.
func BenchmarkSnapshot(b *testing.B) {
	c := newCrowd(b, 4000, 0, false)
	var view View
	n := 0
	change := func() {
		for range 2 {
			n++
			c.acquire(c.models[n*7919%len(c.models)].ID)
		}
		c.exchange()
	}
	run := func(name string, look func() func()) {
		b.Run(fmt.Sprint("4000/", name), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				change()
				b.StartTimer()
				rest := look()
				b.StopTimer()
				rest()
				b.StartTimer()
			}
		})
	}
	run("whole", func() func() { c.p.Snapshot(c.now); return func() {} })
	run("changes", func() func() {
		changes := c.p.TakeChanges(c.now)
		return func() { view.Apply(changes) }
	})
}
