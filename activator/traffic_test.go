package activator_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestTraffic_ADay sends a day of bursts to ten models that do not fit together, through crashes and failed starts: every request is
// answered, nobody is cut off (the world watches), and at the end everything is at zero.
func TestTraffic_ADay(t *testing.T) {
	var models []*fleet.Model
	for i, gpus := range []int{1, 1, 1, 2, 2, 4, 4, 4, 8, 8} {
		models = append(models, model(fmt.Sprint("m", i), gpus, func(m *fleet.Model) { m.Queue.MaxWait = time.Hour }))
	}
	inWorld(t, models, func(w *world) {
		r := rand.New(rand.NewPCG(7, 7))
		var clients sync.WaitGroup
		var mu sync.Mutex
		served, failed := 0, 0
		for range 24 * 60 {
			time.Sleep(time.Minute)
			if r.IntN(3) > 0 {
				continue
			}
			m := models[r.IntN(len(models))].ID
			if r.IntN(30) == 0 {
				w.mu.Lock()
				w.failNext[m] = 1
				w.mu.Unlock()
			}
			for range 1 + r.IntN(12) {
				org, takes, crash := fmt.Sprint("org", r.IntN(3)), time.Duration(1+r.IntN(90))*time.Second, r.IntN(300) == 0
				clients.Go(func() {
					c := w.ask(activator.Ask{Model: m, Org: org})
					<-c.done
					mu.Lock()
					defer mu.Unlock()
					if c.err != nil {
						failed++
						t.Errorf("%s: %v after %s", m, c.err, c.took)
						return
					}
					served++
					mu.Unlock()
					time.Sleep(takes)
					if crash {
						w.mu.Lock()
						e := w.engines[c.lease.Instance]
						w.mu.Unlock()
						w.exit(e, "killed")
					}
					c.release(activator.Succeeded)
					mu.Lock()
				})
			}
		}
		clients.Wait()
		time.Sleep(time.Hour)
		for _, m := range models {
			w.wantState(m.ID, "cold")
		}
		if served < 2000 {
			t.Errorf("got %d served and %d failed, want some thousands", served, failed)
		}
		t.Logf("%d served, %d failed", served, failed)
	})
}
