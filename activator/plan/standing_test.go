package plan

import (
	"slices"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/autoscaler"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// side is what one dispatcher holds on the instances of a model, and what it asks for.
type side struct {
	slots, leases []int // by instance
	waits         int
	since         time.Duration
	silent        bool
	unheard       bool // what it was given last
}

func TestDivided(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sides []side
		want  [][]int // by dispatcher, by instance
	}{
		{"what nobody has goes to who can serve fewest more", []side{
			{slots: []int{2, 0}, leases: []int{1, 0}}, {slots: []int{2, 0}, leases: []int{2, 0}}, {slots: []int{0, 2}, leases: []int{0, 0}},
		}, [][]int{{2, 1}, {2, 1}, {0, 2}}},
		{"who has enough keeps what it has, however much more others have", []side{
			{slots: []int{4, 3}, leases: []int{0, 0}}, {slots: []int{0, 1}, leases: []int{0, 1}},
		}, [][]int{{4, 3}, {0, 1}}},
		{"free ones go to who has requests waiting, until both can serve as many more", []side{
			{slots: []int{1, 1}, leases: []int{1, 1}, waits: 1}, {slots: []int{3, 3}, leases: []int{1, 0}},
		}, [][]int{{3, 1}, {1, 3}}},
		{"those in use stay where free ones do", []side{
			{slots: []int{1, 1}, leases: []int{1, 1}, waits: 1}, {slots: []int{3, 3}, leases: []int{3, 0}},
		}, [][]int{{1, 3}, {3, 1}}},
		{"who has none gets one for its next request", []side{
			{slots: []int{4, 4}, leases: []int{1, 1}}, {slots: []int{0, 0}, leases: []int{0, 0}},
		}, [][]int{{1, 4}, {3, 0}}},
		{"where all wait, each has as much of what it needs", []side{
			{slots: []int{4, 4}, leases: []int{4, 4}, waits: 8}, {slots: []int{0, 0}, leases: []int{0, 0}, waits: 8, since: time.Second},
		}, [][]int{{2, 4}, {2, 0}}},
		{"who has none and has waited longest comes before who has one", []side{
			{slots: []int{3, 4}, leases: []int{3, 4}, waits: 9, since: 2}, {slots: []int{1, 0}, leases: []int{1, 0}, waits: 9, since: 2}, {slots: []int{0, 0}, leases: []int{0, 0}, waits: 1, since: 1},
		}, [][]int{{2, 3}, {1, 1}, {1, 0}}},
		{"who waits beside free ones of its own has no use for them", []side{
			{slots: []int{4, 0}, leases: []int{0, 0}, waits: 1}, {slots: []int{0, 4}, leases: []int{0, 1}},
		}, [][]int{{4, 2}, {0, 2}}},
		{"what is on its way to who waits is counted", []side{
			{slots: []int{1, 1}, leases: []int{0, 1}, waits: 1, unheard: true}, {slots: []int{3, 3}, leases: []int{0, 0}},
		}, [][]int{{1, 1}, {3, 3}}},
		{"who is silent keeps what it has while nobody lacks any", []side{
			{slots: []int{2, 4}, leases: []int{2, 4}, silent: true}, {slots: []int{2, 0}, leases: []int{0, 0}},
		}, [][]int{{2, 4}, {2, 0}}},
		{"who is silent gives all where somebody lacks some", []side{
			{slots: []int{2, 4}, leases: []int{2, 4}, silent: true}, {slots: []int{2, 0}, leases: []int{2, 0}, waits: 1},
		}, [][]int{{0, 0}, {4, 4}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := New(Config{Policy: autoscaler.NewFixed(autoscaler.FixedConfig{}), Models: []*fleet.Model{{ID: "m", GPUs: 1, MaxConcurrency: 4}}, Term: 1})
			m := p.models[0]
			for range tt.sides[0].slots {
				i := &instance{m: m}
				i.State = fleet.Ready
				m.instances = append(m.instances, i)
			}
			for _, s := range tt.sides {
				d := &peer{known: !s.silent, demands: []protocol.Demand{{Waiting: s.waits}}, since: []time.Duration{s.since}}
				p.peers = append(p.peers, d)
				for k, i := range m.instances {
					i.holds = append(i.holds, hold{given: []given{{slots: s.slots[k], acked: !s.unheard}}, due: s.slots[k], leases: s.leases[k]})
				}
			}
			p.stepped++
			for k, i := range m.instances {
				targets := p.divided(i, nil)
				for n := range tt.sides {
					i.holds[n].due = targets[n]
					if want := tt.want[n][k]; targets[n] != want {
						t.Errorf("dispatcher %d has %d of instance %d, want %d; all: %v", n, targets[n], k, want, targets)
					}
				}
				if sum(targets) != 4 && !slices.ContainsFunc(tt.sides, func(s side) bool { return s.silent }) {
					t.Errorf("%v are not all there are", targets)
				}
			}
		})
	}
}
