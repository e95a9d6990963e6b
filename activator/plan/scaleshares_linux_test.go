package plan

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

const (
	hop         = time.Millisecond // that a message is on its way
	serviceMean = time.Second
	trafficOf   = 1000 // instances of a benchmark
	trafficRuns = 20 * time.Second
)

// traffic is callers of the servers of a team, in virtual time: each asks again and again for a model of its own, at any of the servers, and has a lease for about
// a second. A lease beyond an instance's places ends the run, whichever servers gave it.
type traffic struct {
	*team
	events  moments
	wakeAt  time.Duration   // the leader
	telling []bool          // by server: a report is on its way
	weights []int           // of the servers, for callers
	leased  map[string]int  // by instance, of all servers
	total   int             // of leased
	since   time.Duration   // when total was counted last
	used    time.Duration   // leases x time
	waits   []time.Duration // of all requests
}

// moment is something that happens at a time.
type moment struct {
	at    time.Duration
	order int // of those at the same time
	does  func()
}

type moments struct {
	all  []moment
	made int
}

// Len, Less, Swap, Push and Pop are container/heap's.
func (m *moments) Len() int { return len(m.all) }

func (m *moments) Less(i, j int) bool {
	a, b := &m.all[i], &m.all[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (m *moments) Swap(i, j int) { m.all[i], m.all[j] = m.all[j], m.all[i] }
func (m *moments) Push(x any)    { m.all = append(m.all, x.(moment)) }

func (m *moments) Pop() any {
	last := len(m.all) - 1
	x := m.all[last]
	m.all = m.all[:last]
	return x
}

func (t *traffic) in(d time.Duration, does func()) {
	t.events.made++
	heap.Push(&t.events, moment{t.now + d, t.events.made, does})
}

// newTraffic has so many callers for each ten places, at servers as the weights say.
func newTraffic(b testing.TB, count, perTen int, weights []int) *traffic {
	t := &traffic{team: newTeam(b, len(weights), count), telling: make([]bool, len(weights)), weights: weights, leased: make(map[string]int)}
	for server := range weights {
		d, leases := t.of(server)
		for _, held := range leases {
			for _, l := range held {
				d.Release(t.now, l)
			}
		}
	}
	t.second()
	t.post = func(table *protocol.Table) {
		for n := range t.others {
			if t.id(n) == table.To {
				t.in(hop, func() {
					t.others[n].d.Receive(t.now, table)
					t.after(n + 1)
				})
			}
		}
	}
	for n := range t.others {
		t.in(beatEvery*time.Duration(n)/time.Duration(len(weights)), func() { t.beat(n) })
	}
	for k := range t.models {
		for range copiesEach * leasesEach * perTen / 10 {
			t.in(time.Duration(t.random.Int64N(int64(serviceMean))), func() { t.ask(t.models[k].ID) })
		}
	}
	return t
}

// run lets time pass, of which the first part, a fourth as long, does not count.
func (t *traffic) run(d time.Duration) {
	end := t.now + d/4 + d
	t.in(d/4, func() { t.used, t.since, t.waits = 0, t.now, nil })
	for {
		at := t.events.all[0].at
		if t.wakeAt < at {
			t.now = max(t.wakeAt, t.now)
			t.leader()
			continue
		}
		if t.now = at; at >= end {
			break
		}
		heap.Pop(&t.events).(moment).does()
	}
	t.count(0)
}

// leader exchanges what there is with its own dispatcher.
func (t *traffic) leader() {
	t.exchange()
	t.wakeAt = never
	if at, ok := t.p.Next(t.now); ok {
		t.wakeAt = max(at, t.now+1)
	}
	if at, ok := t.d.Next(); ok {
		t.wakeAt = min(t.wakeAt, max(at, t.now+1))
	}
	t.answered(0)
}

const never = time.Duration(1<<63 - 1)

// after does what follows from something that has happened at a server.
func (t *traffic) after(server int) {
	t.answered(server)
	switch d, _ := t.of(server); {
	case server == 0 && d.ReportDue(t.now):
		t.leader()
	case server == 0:
		if at, ok := d.Next(); ok {
			t.wakeAt = min(t.wakeAt, at)
		}
	case dispatch.Urgent(d):
		t.tell(server - 1)
	}
}

// beat has a server report each second.
func (t *traffic) beat(n int) {
	t.tell(n)
	t.in(beatEvery, func() { t.beat(n) })
}

// tell sends a report, one at a time.
func (t *traffic) tell(n int) {
	if t.telling[n+1] {
		return
	}
	t.telling[n+1] = true
	f, said := t.others[n], &protocol.Report{}
	f.d.Report(t.now, said)
	t.in(hop, func() {
		taken := t.p.Hear(t.now, said)
		t.leader()
		t.in(hop, func() {
			if t.telling[n+1] = false; taken {
				f.d.Heard(said.Seq)
			}
			t.after(n + 1)
		})
	})
}

// ask sends a caller's next request.
func (t *traffic) ask(model string) {
	server, turn := 0, t.random.IntN(sum(t.weights))
	for turn >= t.weights[server] {
		turn -= t.weights[server]
		server++
	}
	d, _ := t.of(server)
	ask, l := &dispatch.Ask{Model: model, Org: "acme"}, &dispatch.Lease{}
	if d.Acquire(t.now, ask, l) {
		t.begins(server, l, t.now)
	} else if err := d.Enqueue(t.now, ask, &dispatch.Waiter{Value: t.now}, l); err != nil {
		t.b.Fatal(err)
	}
	t.after(server)
}

func sum(all []int) (s int) {
	for _, n := range all {
		s += n
	}
	return s
}

// answered goes on with those who have waited.
func (t *traffic) answered(server int) {
	d, _ := t.of(server)
	for _, w := range d.TakeAnswered() {
		l, err := w.Answer()
		if err != nil {
			t.b.Fatal(err)
		}
		t.begins(server, l, w.Value.(time.Duration))
	}
}

// begins serves a request.
func (t *traffic) begins(server int, l *dispatch.Lease, asked time.Duration) {
	t.waits = append(t.waits, t.now-asked)
	t.count(1)
	if t.leased[l.Instance]++; t.leased[l.Instance] > leasesEach {
		t.b.Fatalf("%d leases on %s, which has %d places", t.leased[l.Instance], l.Instance, leasesEach)
	}
	t.in(time.Duration(t.random.ExpFloat64()*float64(serviceMean)), func() {
		d, _ := t.of(server)
		t.count(-1)
		t.leased[l.Instance]--
		d.Release(t.now, l)
		t.after(server)
		t.ask(l.Model.ID)
	})
}

// wait gives a quantile of how long requests have waited.
func (t *traffic) wait(quantile float64) time.Duration {
	slices.Sort(t.waits)
	return t.waits[int(quantile*float64(len(t.waits)-1))]
}

func (t *traffic) count(change int) {
	t.used += time.Duration(t.total) * (t.now - t.since)
	t.total, t.since = t.total+change, t.now
}

// BenchmarkScale_Shares is what of the instances' places several servers can use together, and how long their callers wait for one, in virtual time: with two callers
// for each place, at all servers alike (full), with seven for ten places (fit), and with most of those at one server (uneven).
func BenchmarkScale_Shares(b *testing.B) {
	for _, load := range []struct {
		name   string
		perTen int
		uneven bool
	}{{"full", 20, false}, {"fit", 7, false}, {"uneven", 7, true}} {
		for _, servers := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("%s/servers=%d", load.name, servers), func(b *testing.B) {
				weights := slices.Repeat([]int{1}, servers)
				if load.uneven {
					weights[servers-1] = 3 * servers
				}
				var t *traffic
				for b.Loop() {
					t = newTraffic(b, trafficOf, load.perTen, weights)
					t.run(trafficRuns)
				}
				b.ReportMetric(100*t.used.Seconds()/trafficRuns.Seconds()/float64(leasesEach*trafficOf), "%")
				b.ReportMetric(t.wait(0.5).Seconds()*1000, "p50-ms")
				b.ReportMetric(t.wait(0.99).Seconds()*1000, "p99-ms")
			})
		}
	}
}

// TestShares_FollowCallers: while there are places for all, it must not matter to callers how many servers share them.
func TestShares_FollowCallers(t *testing.T) {
	for _, weights := range [][]int{{1, 1, 1, 1}, {9, 1, 1, 1}} {
		s := newTraffic(t, 80, 7, weights)
		s.run(5 * time.Second)
		if got := s.wait(0.99); got > 50*time.Millisecond {
			t.Errorf("callers in the proportions %v wait %v at p99, want 50 ms at most", weights, got)
		}
	}
}

// TestLapse_SlotsAreNotLookedAtForEver: a search looks first at slots where something leaves, and at all of them.
func TestLapse_SlotsAreNotLookedAtForEver(t *testing.T) {
	s := newTeam(t, 2, 80)
	for _, silent := range []time.Duration{tablesLast, 2 * tablesLast} {
		s.now += silent
		s.exchange()
		s.second()
		for _, q := range s.p.pools {
			if slots := q.byEase[somethingLeaves]; len(slots) > 0 {
				t.Errorf("%d slots are taken for some where something leaves, after a server was silent for %v", len(slots), silent)
			}
		}
	}
}
