package activator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Of four requests two go on, and of six and more instances that a policy may have wished only two are needed: whoever has had no request for idle_after is let go,
// once. Then nobody asks any more.
func TestIdleAfter_BoundsEveryInstanceUnderEveryPolicy(t *testing.T) {
	for name, p := range map[string]activator.Policy{
		"fixed": autoscaler.NewFixed(autoscaler.FixedConfig{}), "kpa": autoscaler.NewKPA(autoscaler.KPAConfig{}),
		"hybrid": autoscaler.NewHybrid(autoscaler.HybridConfig{}), "adaptive": autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}),
	} {
		t.Run(name, func(t *testing.T) {
			few := model("few", 1, func(m *fleet.Model) {
				m.MaxConcurrency, m.IdleAfter, m.Instances.Max = 1, 3*time.Second, 8
			})
			inWorld(t, []*fleet.Model{few}, func(w *world) {
				w.startTime = time.Second
				var clients []*client
				for range 4 {
					clients = append(clients, w.ask(activator.Ask{Model: "few", Org: "acme"}))
					w.idleAtMost(few.IdleAfter, time.Second)
				}
				w.idleAtMost(few.IdleAfter, 20*time.Second)
				for left, c := range clients {
					if c.err != nil || !c.ready {
						t.Fatalf("client %d got no lease: %v", left, c.err)
					}
				}
				clients[0].release(activator.Succeeded)
				clients[1].release(activator.Succeeded)
				w.idleAtMost(few.IdleAfter, 20*time.Second)
				w.wantHotFor(2, 2*time.Minute)
				clients[2].release(activator.Succeeded)
				clients[3].release(activator.Succeeded)
				w.idleAtMost(few.IdleAfter, 20*time.Second)
				w.wantHotFor(0, 2*time.Minute)
			}, func(cfg *activator.Config) { cfg.Policy = p })
		})
	}
}

// idleAtMost lets time pass in which no instance stays hot for longer than that without a request.
func (w *world) idleAtMost(most, span time.Duration) {
	w.Helper()
	const step = 100 * time.Millisecond
	for range span / step {
		time.Sleep(step)
		synctest.Wait()
		s := w.a.Snapshot()
		for _, i := range s.Instances {
			if i.State == fleet.Ready && !i.IdleSince.IsZero() && time.Since(i.IdleSince) > most+step {
				w.Fatalf("%s is hot after %s without a request, want at most %s: %s", i.ID, time.Since(i.IdleSince), most, s.Models[0].Desired.Reason)
			}
		}
	}
}

// wantHotFor lets time pass in which nothing is started, and so many stay hot.
func (w *world) wantHotFor(want int, span time.Duration) {
	w.Helper()
	w.mu.Lock()
	launches := w.launches["few"]
	w.mu.Unlock()
	for range span / time.Second {
		time.Sleep(time.Second)
		synctest.Wait()
		if m := w.a.Snapshot().Models[0]; m.Hot != want {
			w.Fatalf("%d are hot, want %d: %s", m.Hot, want, m.Desired.Reason)
		}
	}
	w.wantLaunches("few", launches)
}
