package console

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// largeFleet has 1,000 models and 4,000 instances in 500 slots.
type largeFleet struct{ now fleet.Snapshot }

func newLargeFleet() *largeFleet {
	f := &largeFleet{}
	for m := range 1000 {
		id := fmt.Sprintf("org/model-%d", m)
		f.now.Models = append(f.now.Models, fleet.ModelStatus{State: "hot", Hot: 4, Model: &fleet.Model{ID: id, GPUs: 1}})
	}
	pool := fleet.PoolStatus{Pool: fleet.Pool{Name: "h100", GPUsPerSlot: 8}}
	for s := range 500 {
		slot := fleet.SlotStatus{Slot: fleet.Slot{ID: fmt.Sprintf("slot-%d", s), Pool: "h100", GPUs: 8}}
		for g := range 8 {
			i := fleet.Instance{ID: fmt.Sprintf("i-%d-%d", s, g), Model: fmt.Sprintf("org/model-%d", (8*s+g)%1000), Slot: slot.ID, GPU: g, GPUs: 1, State: fleet.Ready}
			f.now.Instances = append(f.now.Instances, fleet.InstanceStatus{Instance: i, Leases: 1})
			slot.Occupants = append(slot.Occupants, i.ID)
		}
		pool.Slots = append(pool.Slots, slot)
	}
	f.now.Pools = []fleet.PoolStatus{pool}
	return f
}

func (f *largeFleet) Snapshot() *fleet.Snapshot {
	s := f.now
	return &s
}
func (f *largeFleet) Explain(string) (fleet.Explanation, error)  { return fleet.Explanation{}, nil }
func (f *largeFleet) Hold(string, time.Duration) error           { return nil }
func (f *largeFleet) Waiting(string, int) ([]fleet.Waiting, int) { return nil, 0 }
func (f *largeFleet) ServeFirst(string, string, string) bool     { return false }
func (f *largeFleet) EndWaiting(string, string, string) int      { return 0 }
func (f *largeFleet) StopModel(string) error                     { return nil }
func (f *largeFleet) Follow(ctx context.Context, _ uint64, _ func(fleet.Notice) error) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// BenchmarkHub_Look is a look at a large fleet in which two instances have changed, as in 10 changes a second at five looks a second, with the page
// of the fleet and that of the models open. It gives how many bytes each page is sent.
func BenchmarkHub_Look(b *testing.B) {
	f := newLargeFleet()
	h := newHub(f, func() []Server { return nil }, slog.New(slog.DiscardHandler))
	h.look(0)
	slots := h.follow(named{"fleet", fleetGroups("", finding{})}, 0, nil)
	states := h.follow(named{"models", modelsGroups(true)}, 0, nil)
	for _, page := range []*follower{slots, states} {
		page.next()
	}
	sent, n := 0, 0
	for b.Loop() {
		for range 2 {
			n++
			f.now.Instances[n*7919%len(f.now.Instances)].Leases++
			f.now.Models[n*7919%len(f.now.Models)].Inflight++
		}
		h.look(0)
		for _, page := range []*follower{slots, states} {
			text, _ := page.next()
			sent += len(text)
		}
	}
	b.ReportMetric(float64(sent)/float64(b.N), "B/look")
}
