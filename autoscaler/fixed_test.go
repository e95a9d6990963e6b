package autoscaler_test

import (
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

var _ activator.Policy = (*autoscaler.Fixed)(nil)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func TestFixed(t *testing.T) {
	busy := fleet.HotView{ID: "busy", Leases: 1, ReadyAt: ago(time.Hour)}
	idle := func(d time.Duration) fleet.HotView {
		return fleet.HotView{ID: "idle", IdleSince: ago(d), ReadyAt: ago(time.Hour)}
	}
	rows := []struct {
		name   string
		view   fleet.ModelView
		bounds fleet.Range
		hot    int
		need   int
		review time.Duration // from now; 0 = none
		reason string
	}{
		{name: "nobody asks: nothing", reason: "no requests"},
		{
			name: "one waits: one", view: fleet.ModelView{Waiting: 1}, hot: 1, need: 1,
			reason: "1 request waiting and 0 in flight, 64 slots an instance",
		},
		{
			name: "64 fit one, 65 need two", view: fleet.ModelView{Waiting: 5, Inflight: 60, Hot: []fleet.HotView{busy}}, hot: 2, need: 2,
			reason: "5 requests waiting and 60 in flight, 64 slots an instance",
		},
		{
			name: "a thousand at once ask for sixteen at once", view: fleet.ModelView{Waiting: 1000}, hot: 16, need: 16,
			reason: "1000 requests waiting and 0 in flight, 64 slots an instance",
		},
		{
			name: "never above instances.max", view: fleet.ModelView{Waiting: 1000}, bounds: fleet.Range{Max: 4}, hot: 4, need: 16,
			reason: "1000 requests waiting and 0 in flight, 64 slots an instance; instances.max is 4",
		},
		{
			name: "idle for less than idle_after: kept until then", view: fleet.ModelView{IdleSince: ago(12 * time.Second), Hot: []fleet.HotView{idle(12 * time.Second)}},
			hot: 1, review: 18 * time.Second, reason: "idle 12s of 30s",
		},
		{
			name: "idle for idle_after: let go", view: fleet.ModelView{IdleSince: ago(30 * time.Second), Hot: []fleet.HotView{idle(30 * time.Second)}},
			reason: "idle 30s of 30s",
		},
		{
			name: "a spare instance is kept until it has been idle for idle_after", hot: 2, need: 1, review: 10 * time.Second,
			view:   fleet.ModelView{Inflight: 3, Hot: []fleet.HotView{busy, idle(20 * time.Second)}},
			reason: "3 requests in flight, 64 slots an instance; a spare instance idle 20s of 30s",
		},
		{
			name: "instances.min keeps it hot", view: fleet.ModelView{IdleSince: ago(time.Hour), Hot: []fleet.HotView{idle(time.Hour)}},
			bounds: fleet.Range{Min: 1}, hot: 1, reason: "idle 1h0m0s of 30s; instances.min is 1",
		},
		{
			name: "an operator's hold keeps it hot", view: fleet.ModelView{HeldUntil: noon.Add(time.Minute)}, hot: 1, review: time.Minute,
			reason: "no requests; held by the operator for another 1m0s",
		},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			r.view.Model = &fleet.Model{ID: "m", GPUs: 1, MaxConcurrency: 64, IdleAfter: 30 * time.Second, Instances: r.bounds}
			d := autoscaler.NewFixed(autoscaler.FixedConfig{}).Decide(noon, &r.view)
			if d.Hot != r.hot || d.Need != r.need || d.Reason != r.reason {
				t.Errorf("got %d hot, need %d, %q, want %d, %d, %q", d.Hot, d.Need, d.Reason, r.hot, r.need, r.reason)
			}
			var review time.Duration
			if !d.ReviewAt.IsZero() {
				review = d.ReviewAt.Sub(noon)
			}
			if review != r.review {
				t.Errorf("got review in %s, want %s", review, r.review)
			}
		})
	}
}

func TestFixed_CheapestToLose(t *testing.T) {
	f := autoscaler.NewFixed(autoscaler.FixedConfig{})
	small := &fleet.Model{ID: "small", GPUs: 1, MaxConcurrency: 64, IdleAfter: time.Hour}
	large := &fleet.Model{ID: "large", GPUs: 8, MaxConcurrency: 64, IdleAfter: time.Hour}
	value := func(m *fleet.Model, idle time.Duration, copies int) float64 {
		v := fleet.ModelView{Model: m, IdleSince: ago(idle), Hot: make([]fleet.HotView, copies)}
		for i := range v.Hot {
			v.Hot[i].IdleSince = ago(idle)
		}
		return f.Decide(noon, &v).HotValue
	}
	rows := []struct {
		name        string
		less, worth float64
	}{
		{"what was used longer ago is worth less", value(small, time.Minute, 1), value(small, time.Second, 1)},
		{"what starts sooner is worth less", value(small, time.Minute, 1), value(large, time.Minute, 1)},
		{"a further copy is worth less", value(small, time.Minute, 2), value(small, time.Minute, 1)},
	}
	for _, r := range rows {
		if r.less >= r.worth {
			t.Errorf("%s: got %.1f s, want less than %.1f s", r.name, r.less, r.worth)
		}
	}
	f.Observe(fleet.Event{Kind: fleet.EventReady, Model: "small", Took: 10 * time.Minute})
	if a, b := value(small, time.Minute, 1), value(large, time.Minute, 1); a <= b {
		t.Errorf("after a start of ten minutes the small model is worth %.1f s, want more than %.1f s", a, b)
	}
}

func TestFixed_Target(t *testing.T) {
	f := autoscaler.NewFixed(autoscaler.FixedConfig{Target: func(*fleet.Model) int { return 10 }})
	m := &fleet.Model{ID: "m", GPUs: 1, MaxConcurrency: 64}
	if d := f.Decide(noon, &fleet.ModelView{Model: m, Inflight: 11}); d.Hot != 2 {
		t.Errorf("got %d hot for 11 requests at 10 each, want 2", d.Hot)
	}
}
