package plan

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	tablesLast = 12 * time.Second // as servers have it
	beatEvery  = time.Second
)

// team is a fleet of hot instances that several servers share: one leads, and the others exchange their messages with it in JSON. What is measured is the
// leader's part: reading reports, all that the planner does with them, its own dispatcher, and writing tables. HTTP is not there.
type team struct {
	*crowd
	others []*follower
	work   time.Duration // of the leader's CPU, since the event began
	bytes  int           // of messages, likewise
	sizes  []int         // of events
}

// follower is a server that does not lead.
type follower struct {
	d      *dispatch.Dispatcher
	life   uint64
	sentAt time.Duration
	mail   [][]byte
	leases map[string][]*dispatch.Lease // by instance
}

func newTeam(b testing.TB, servers, count int) *team {
	c := &crowd{b: b, leases: make(map[string][]*dispatch.Lease), apart: eventsApart, random: rand.New(rand.NewPCG(7, 7))}
	t := &team{crowd: c}
	for k := range count / copiesEach {
		c.models = append(c.models, &fleet.Model{
			ID: fmt.Sprintf("org/model-%d", k), GPUs: 1, Pool: "pool", MaxConcurrency: leasesEach, IdleAfter: time.Hour, Instances: fleet.Range{Min: copiesEach, Max: copiesEach},
		})
	}
	c.p = New(Config{
		Policy: autoscaler.NewAdaptive(autoscaler.AdaptiveConfig{}), Models: c.models, Term: 1, Epoch: time.Unix(1e9, 0), TTL: tablesLast, Resend: time.Second, Self: "self",
		Pools: []fleet.Pool{{Name: "pool", GPUsPerSlot: slotGPUs, Slots: fleet.Range{Max: (count + slotGPUs - 1) / slotGPUs}, SlotIdle: time.Hour}},
	})
	c.d = dispatch.New(dispatch.Config{ID: "self", Incarnation: 1, Models: c.models})
	c.post = t.carry
	for n := range servers - 1 {
		t.others = append(t.others, &follower{leases: make(map[string][]*dispatch.Lease)})
		t.begin(n)
	}
	c.furnish(count)
	t.settle()
	for range 1 + int(tablesLast/beatEvery) { // then nothing of an earlier leader's shares can be left
		t.second()
	}
	for n := 0; n < count; n += slotGPUs {
		o := &fleet.Observation{Source: c.sourceOf(n), At: c.p.at(c.now), Instances: slices.Clone(c.hot[n:min(n+slotGPUs, count)])}
		for k := range o.Instances {
			o.Instances[k].Running = 0
		}
		c.p.Observe(c.now, o)
	}
	t.settle()
	for k := range c.hot { // half of what there is is in use
		t.take(k, k%servers)
		t.take(k, (k+1)%servers)
	}
	for range int(settled / beatEvery) {
		t.second()
	}
	if acts := c.p.TakeActs(); len(acts) > 0 {
		b.Fatalf("got %v to do, want nothing", acts)
	}
	return t
}

// id gives a server's name.
func (t *team) id(n int) string { return fmt.Sprint("server-", n) }

// carry takes a table that the leader has for another.
func (t *team) carry(table *protocol.Table) {
	for n, f := range t.others {
		if t.id(n) == table.To {
			text, err := json.Marshal(table)
			if err != nil {
				t.b.Fatal(err)
			}
			f.mail = append(f.mail, text)
		}
	}
}

// lead has the leader do something, and measures it.
func (t *team) lead(what func()) {
	before := cpu()
	what()
	t.exchange()
	t.work += cpu() - before
}

// settle exchanges messages until all is said that is urgent.
func (t *team) settle() {
	for range 64 {
		t.lead(func() {})
		quiet := true
		for _, f := range t.others {
			for _, text := range f.mail {
				var table protocol.Table
				t.read(text, &table)
				f.d.Receive(t.now, &table)
				quiet = false
			}
			f.mail = f.mail[:0]
			f.d.TakeAnswered()
			if dispatch.Urgent(f.d) {
				t.report(f)
				quiet = false
			}
		}
		if quiet {
			return
		}
	}
	t.b.Fatal("messages without end")
}

func (t *team) read(text []byte, into any) {
	t.bytes += len(text)
	if err := json.Unmarshal(text, into); err != nil {
		t.b.Fatal(err)
	}
}

// report sends what a server has to say.
func (t *team) report(f *follower) {
	var said, got protocol.Report
	f.d.Report(t.now, &said)
	f.sentAt = t.now
	text, err := json.Marshal(&said)
	if err != nil {
		t.b.Fatal(err)
	}
	taken := false
	t.lead(func() {
		t.read(text, &got)
		taken = t.p.Hear(t.now, &got)
	})
	if taken {
		f.d.Heard(said.Seq)
	}
}

// begin begins a life of a server that does not lead.
func (t *team) begin(n int) {
	f := t.others[n]
	f.life++
	f.d = dispatch.New(dispatch.Config{ID: t.id(n), Incarnation: f.life, Models: t.models})
	clear(f.leases)
}

// second lets a second pass: every server reports, and is told what it has to be told.
func (t *team) second() {
	t.now += beatEvery
	for _, f := range t.others {
		t.report(f)
	}
	t.settle()
}

// pass lets time pass, in which servers report as ever.
func (t *team) pass(d time.Duration) {
	t.now += d
	for _, f := range t.others {
		if t.now >= f.sentAt+beatEvery {
			t.report(f)
		}
	}
	t.settle()
}

// of gives a server's dispatcher, and its leases. Number 0 leads.
func (t *team) of(server int) (*dispatch.Dispatcher, map[string][]*dispatch.Lease) {
	if server == 0 {
		return t.d, t.leases
	}
	return t.others[server-1].d, t.others[server-1].leases
}

// take has a server lease an instance of the model of that one, if it has a place there.
func (t *team) take(k, server int) {
	d, leases := t.of(server)
	l := &dispatch.Lease{}
	if d.Acquire(t.now, &dispatch.Ask{Model: t.hot[k].Model, Org: "acme"}, l) {
		leases[l.Instance] = append(leases[l.Instance], l)
	}
}

// event measures what follows from something that happens.
func (t *team) event(what func()) {
	t.pass(t.apart)
	t.work, t.bytes = 0, 0
	what()
	t.settle()
	t.spent, t.sizes = append(t.spent, t.work), append(t.sizes, t.bytes)
}
