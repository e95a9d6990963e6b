package activator

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	sharedOf     = 10000 // instances
	sharedPlaces = 4     // of each
	sharedFor    = 5 * time.Second
	askers       = 4 // goroutines, of all servers together
)

// sharers are servers of one cluster in one process, of which the first leads. Their messages are written out as JSON, as between processes, without HTTP.
type sharers struct {
	b       *testing.B
	servers []*Activator
	models  []*fleet.Model
	leases  map[string]*atomic.Int32 // by instance: of all servers
}

// newSharers has so many servers share a fleet of hot instances. It takes as long as shares of an earlier leader might be used.
func newSharers(ctx context.Context, b *testing.B, g *sync.WaitGroup, servers int) *sharers {
	s := &sharers{b: b, leases: make(map[string]*atomic.Int32)}
	for k := range sharedOf / crowdCopies {
		s.models = append(s.models, &fleet.Model{
			ID: fmt.Sprintf("org/model-%d", k), GPUs: 1, MaxConcurrency: sharedPlaces, IdleAfter: time.Hour, Instances: fleet.Range{Min: crowdCopies, Max: crowdCopies},
		})
	}
	for n := range servers {
		a, err := New(Config{Backend: nowhere{}, Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: s.models, Server: fmt.Sprint("server-", n)})
		if err != nil {
			b.Fatal(err)
		}
		s.servers = append(s.servers, a)
		g.Go(func() { a.Run(ctx) })
	}
	leader := s.servers[0]
	g.Go(func() { ServersOf(leader).Lead(ctx, Tenure{Term: 1}) })
	for leading := false; !leading; time.Sleep(time.Millisecond) {
		leader.planning.Lock()
		leading = leader.planner != nil
		leader.planning.Unlock()
	}
	s.furnish()
	for n := range s.servers[1:] {
		s.link(ctx, g, n+1)
	}
	time.Sleep(tablesLast + time.Second)
	s.furnish() // now that engines serve nobody, they can be shared out
	time.Sleep(3 * reportEvery)
	return s
}

// furnish shows the leader slots full of engines that serve nobody.
func (s *sharers) furnish() {
	o := fleet.Observation{Source: "local", Complete: true}
	for k := range sharedOf {
		slot := fmt.Sprint("s", k/8)
		if k%8 == 0 {
			o.Slots = append(o.Slots, fleet.Slot{ID: slot, Pool: fleet.LocalPool, GPUs: 8})
		}
		id := fmt.Sprint("before-", k)
		o.Instances = append(o.Instances, fleet.Sighting{Phase: fleet.PhaseReady, Instance: fleet.Instance{
			ID: id, Model: s.models[k/crowdCopies].ID, Slot: slot, GPU: k % 8, GPUs: 1, Addr: "10.0.0.1:8000", State: fleet.Ready,
		}})
		s.leases[id] = &atomic.Int32{}
	}
	o.At = time.Now()
	tell(s.servers[0], o)
}

// link has a server follow the leader.
func (s *sharers) link(ctx context.Context, g *sync.WaitGroup, n int) {
	f, l := ServersOf(s.servers[n]), ServersOf(s.servers[0])
	g.Go(func() {
		_ = l.Tables(ctx, s.servers[n].cfg.Server, func(tables []*protocol.Table) error {
			var got []*protocol.Table
			s.send(tables, &got)
			for _, t := range got {
				f.Take(t)
			}
			return nil
		})
	})
	g.Go(func() {
		for {
			r, ok := f.NextReport(ctx)
			if !ok {
				return
			}
			var got protocol.Report
			s.send(r, &got)
			if h, taken, err := l.Hear(&got); err == nil && taken {
				f.Told(r, h)
			}
		}
	})
}

func (s *sharers) send(said, got any) {
	text, err := json.Marshal(said)
	if err == nil {
		err = json.Unmarshal(text, got)
	}
	if err != nil {
		s.b.Error(err)
	}
}

// ask has requests come to the servers in turn until ctx is done, and gives how many were served, and how many were not though they waited for as long
// as others were served. Half of what there is is in use. Each lease is counted on its instance, whoever gave it; that of a waiter once it is looked at.
func (s *sharers) ask(ctx context.Context, seed uint64) (served, not int) {
	random, window := rand.New(rand.NewPCG(seed, 7)), make([]func() bool, sharedOf*sharedPlaces/2/askers)
	for k := 0; ctx.Err() == nil; k = (k + 1) % len(window) {
		if window[k] != nil {
			if window[k]() {
				served++
			} else {
				not++
			}
		}
		l, w, err := s.servers[(int(seed)+k)%len(s.servers)].Acquire(Ask{Model: s.models[random.IntN(len(s.models))].ID, Org: "acme"})
		if err != nil {
			s.b.Error(err)
			return served, not
		}
		if l != nil {
			s.lent(l)
		}
		window[k] = func() bool {
			if w != nil {
				if l = s.waited(w); l == nil {
					return false
				}
			}
			s.leases[l.Instance].Add(-1)
			l.Release(Succeeded)
			return true
		}
	}
	for _, end := range window {
		if end != nil {
			end()
		}
	}
	return served, not
}

// waited gives the lease that a waiter has got by now, or nil.
func (s *sharers) waited(w *Waiter) *Lease {
	if !w.answered() {
		w.Leave()
		return nil
	}
	l, err := w.Answer()
	if err != nil {
		s.b.Error(err)
		return nil
	}
	s.lent(l)
	return l
}

// lent counts a lease.
func (s *sharers) lent(l *Lease) {
	if n := s.leases[l.Instance].Add(1); n > sharedPlaces {
		s.b.Errorf("%d leases on %s, which has %d places", n, l.Instance, sharedPlaces)
	}
}

// look adds up what the servers hold on each instance at one moment.
func (s *sharers) look() {
	for _, a := range s.servers {
		a.leasing.Lock()
		defer a.leasing.Unlock()
	}
	held := make(map[string]int)
	for _, a := range s.servers {
		for _, i := range a.dispatcher.Instances() {
			if held[i.ID] += i.Leases; held[i.ID] > sharedPlaces {
				s.b.Errorf("%d leases on %s, which has %d places", held[i.ID], i.ID, sharedPlaces)
			}
		}
	}
}

// spentCPU gives the CPU time of this process.
func spentCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkScale_Sharing is what a lease costs of all CPU there is, messages and planner included, by the number of servers that give leases at once on 10,000
// instances; and how many leases a second come of it on this machine's cores. A lease beyond an instance's places ends the run.
func BenchmarkScale_Sharing(b *testing.B) {
	for _, servers := range []int{1, 4} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			ctx, stop := context.WithCancel(b.Context())
			var g sync.WaitGroup
			s := newSharers(ctx, b, &g, servers)
			var served, not atomic.Int64
			var spent, took time.Duration
			for b.Loop() {
				asking, end := context.WithTimeout(ctx, sharedFor)
				before, began := spentCPU(), time.Now()
				var all sync.WaitGroup
				for n := range askers {
					all.Go(func() {
						yes, no := s.ask(asking, uint64(n))
						served.Add(int64(yes))
						not.Add(int64(no))
					})
				}
				for asking.Err() == nil {
					time.Sleep(sharedFor / 20)
					s.look()
				}
				all.Wait()
				end()
				spent, took = spent+spentCPU()-before, took+time.Since(began)
			}
			stop()
			g.Wait()
			b.ReportMetric(float64(spent.Nanoseconds())/1e3/float64(served.Load()), "cpu-us/lease")
			b.ReportMetric(float64(served.Load())/took.Seconds(), "leases/s")
			b.ReportMetric(100*float64(not.Load())/float64(served.Load()+not.Load()), "%")
		})
	}
}
