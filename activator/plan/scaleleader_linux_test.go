package plan

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const burstOf = 100 // instances that are replaced at once

// leaseBack ends a lease of some server, which then reports.
func (t *team) leaseBack() {
	for {
		k, server := t.random.IntN(len(t.hot)), t.random.IntN(len(t.others)+1)
		d, leases := t.of(server)
		held := leases[t.hot[k].ID]
		if len(held) == 0 {
			continue
		}
		leases[t.hot[k].ID] = held[1:]
		t.event(func() {
			d.Release(t.now, held[0])
			if server > 0 {
				t.report(t.others[server-1])
			}
		})
		t.take(k, server)
		return
	}
}

// replace ends so many instances, and has others take their places.
func (t *team) replace(many int) {
	if t.turns == nil {
		t.turns = t.random.Perm(len(t.hot))
	}
	t.apart = max(eventsApart, settled*time.Duration(many)/time.Duration(len(t.hot))) // none ends so soon that its start is taken for a failed one
	ended := make(map[string]int)
	t.event(func() {
		for range many {
			k := t.turns[t.next]
			t.next = (t.next + 1) % len(t.hot)
			gone := t.hot[k]
			gone.Gone, gone.Failure = true, "killed"
			t.lead(func() {
				t.p.Observe(t.now, &fleet.Observation{Source: t.sourceOf(k), At: t.p.at(t.now), Instances: []fleet.Sighting{gone}})
			})
			for server := range len(t.others) + 1 {
				d, leases := t.of(server)
				for _, l := range leases[gone.ID] {
					d.Release(t.now, l)
				}
				delete(leases, gone.ID)
			}
			ended[fmt.Sprint(gone.Slot, " ", gone.GPU)] = k
		}
		t.settle()
		acts := t.p.TakeActs()
		if len(acts) != many {
			t.b.Fatalf("got %d acts, want %d launches", len(acts), many)
		}
		for n := range acts {
			k, is := ended[fmt.Sprint(acts[n].Slot, " ", acts[n].GPU)]
			if !is || acts[n].Kind != fleet.ActLaunch {
				t.b.Fatalf("got %+v, want a launch where one has ended", acts[n])
			}
			t.hot[k] = t.sighting(k, acts[n].Instance)
			t.hot[k].Model = acts[n].Model
			t.lead(func() { t.p.Accepted(t.now, &acts[n], nil) })
			t.lead(func() {
				t.p.Observe(t.now, &fleet.Observation{Source: t.sourceOf(k), At: t.p.at(t.now), Instances: []fleet.Sighting{t.hot[k]}})
			})
		}
	})
}

// joins has a server begin anew.
func (t *team) joins() {
	t.event(func() { t.begin(t.next % len(t.others)) })
	t.next++
}

func (t *team) metrics(b *testing.B) {
	report(b, t.spent, "cpu-")
	slices.Sort(t.sizes)
	b.ReportMetric(float64(t.sizes[len(t.sizes)/2]), "p50-bytes")
}

// BenchmarkScale_Leader is what an event costs the server that leads, and how many bytes it says and hears for it, by the number of servers, itself counted, and
// of instances: a lease that is given back (back), an instance that ends and is replaced (replaced), a hundred at once (burst), a second in which
// nothing happens (second), and a server that comes, its share of all that there is included (joins).
func BenchmarkScale_Leader(b *testing.B) {
	for _, event := range []struct {
		name string
		does func(*team)
		most int // of them are enough
	}{
		{"back", (*team).leaseBack, 2000},
		{"replaced", func(t *team) { t.replace(1) }, 300},
		{"burst", func(t *team) { t.replace(burstOf) }, 20},
		{"second", func(t *team) { t.event(func() { t.second() }) }, 100},
		{"joins", (*team).joins, 10},
	} {
		for _, at := range []struct{ servers, count int }{{1, 10000}, {4, 10000}, {16, 10000}, {16, 1000}} {
			if event.name == "joins" && at.servers == 1 {
				continue
			}
			b.Run(fmt.Sprintf("%s/servers=%d/%d", event.name, at.servers, at.count), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				t := newTeam(b, at.servers, at.count)
				t.spent = nil
				for n := 0; b.Loop(); n++ {
					if n < event.most {
						event.does(t)
					}
				}
				t.metrics(b)
			})
		}
	}
}
