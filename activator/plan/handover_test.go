package plan

import (
	"cmp"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// inherits gives the stage's planner what one before has left.
func (g *stage) inherits(h *protocol.Handover) {
	g.p.cfg.Former = h
	g.p.succession = newSuccession(g.p.cfg.Term, h)
}

// finds has an instance found, ready, and its engine say nothing of how many requests it serves.
func (g *stage) finds(id string) {
	s := foundOnNode()
	s.ID = id
	g.is(s)
	s.Phase, s.Running = fleet.PhaseReady, fleet.Uncounted
	g.probed(s)
}

// hearsOther has the planner hear a report of a server named other.
func (g *stage) hearsOther(r protocol.Report) {
	r.From = "other"
	g.p.Hear(g.now, &r)
	g.step()
}

// TestHandover_AnIdleEngineGoesOnceAllHaveSpokenWhomItsLeaderHasNamed: though it does not say that it serves nobody. On the word of a leader of another term it does not, nor does one of which the
// last leader did not know who had leases.
func TestHandover_AnIdleEngineGoesOnceAllHaveSpokenWhomItsLeaderHasNamed(t *testing.T) {
	self, other := protocol.Holder{Server: "self", Life: 1}, protocol.Holder{Server: "other", Life: 3}
	answers := []protocol.Report{{Incarnation: 3, Seq: 9, AckTerm: 7, AckSeq: 1}, {Incarnation: 3, Seq: 10, AckTerm: 7, AckSeq: 3}}
	for _, row := range []struct {
		name  string
		id    string // of the instance; "" = 6-1
		left  *protocol.Handover
		said  []protocol.Report // by the other
		stays bool
	}{
		{name: "all have spoken", left: &protocol.Handover{Term: 6, Since: 6, Holders: []protocol.Holder{self}}},
		{name: "two have spoken", left: &protocol.Handover{Term: 6, Since: 2, Holders: []protocol.Holder{self, other}}, said: answers},
		{name: "a later life has spoken", left: &protocol.Handover{Term: 6, Since: 2, Holders: []protocol.Holder{self, other}}, said: []protocol.Report{{Incarnation: 4, Seq: 1}}},
		{name: "one has ended", left: &protocol.Handover{Term: 6, Since: 2, Holders: []protocol.Holder{self, other}}, said: []protocol.Report{{Incarnation: 4, Seq: 1, Farewell: true}}},
		{name: "nobody is named", left: &protocol.Handover{Term: 6, Since: 6}},
		{name: "it is older than what is covered, and known", id: "1-1", left: &protocol.Handover{Term: 6, Since: 2, Known: []string{"1-1"}}},
		{name: "it is older than what is covered", id: "1-1", left: &protocol.Handover{Term: 6, Since: 2, Known: []string{"1-2"}}, stays: true},
		{name: "its name is nobody's", id: "by-hand", left: &protocol.Handover{Term: 6, Since: 2}, stays: true},
		{name: "one is silent", left: &protocol.Handover{Term: 6, Since: 2, Holders: []protocol.Holder{self, other}}, stays: true},
		{name: "an earlier life has spoken", left: &protocol.Handover{Term: 6, Since: 2, Holders: []protocol.Holder{self, other}}, said: []protocol.Report{{Incarnation: 2, Seq: 9}}, stays: true},
		{name: "one has not acknowledged its shares", left: &protocol.Handover{Term: 6, Since: 2, Holders: []protocol.Holder{self, other}}, said: answers[:1], stays: true},
		{name: "one speaks to the leader before", left: &protocol.Handover{Term: 6, Since: 2, Holders: []protocol.Holder{self, other}}, said: []protocol.Report{{Incarnation: 3, Seq: 9, AckTerm: 6, AckSeq: 7}}, stays: true},
		{name: "of the term before that", left: &protocol.Handover{Term: 5, Since: 2, Holders: []protocol.Holder{self}}, stays: true},
		{name: "nothing is left", stays: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTerm(t, nil, 3)
			g.inherits(row.left)
			g.finds(cmp.Or(row.id, "6-1"))
			g.pass(5 * time.Second)
			for _, r := range row.said {
				g.hearsOther(r)
				g.pass(time.Second)
			}
			for k := range 65 { // it has been idle for a minute
				if last := len(row.said) - 1; last > 0 {
					r := row.said[last]
					r.Seq, r.AckSeq = r.Seq+uint64(k)+1, 1000 // whatever it is told
					g.hearsOther(r)
				}
				g.pass(time.Second)
			}
			if row.stays {
				g.wantNo(fleet.ActStop)
			} else {
				g.takes(fleet.ActStop, nil)
			}
		})
	}
}

// TestHandover_NamesWhoMayHaveLeases: also those whom the leader before had named and who were not heard; not those who have ended, nor those who are silent for long and had nothing.
func TestHandover_NamesWhoMayHaveLeases(t *testing.T) {
	g := newTerm(t, nil, 3)
	g.inherits(&protocol.Handover{Term: 6, Since: 2, Known: []string{"1-1"}, Holders: []protocol.Holder{{Server: "self", Life: 1}, {Server: "far", Life: 9}}})
	g.finds("6-1")
	s := foundOnNode()
	s.ID = "1-2" // older than what was covered
	g.is(s)
	s.Phase, s.Running = fleet.PhaseReady, 0
	g.pass(5 * time.Second)
	for _, id := range []string{"busy", "idle"} {
		if id == "idle" {
			g.p.Suspend("so that nobody is given anything more")
		}
		for _, r := range []protocol.Report{{Seq: 1}, {Seq: 2, AckTerm: 7, AckSeq: 1}, {Seq: 3, AckTerm: 7, AckSeq: 3}} {
			r.From, r.Incarnation = id, 3
			if id == "busy" {
				r.Held = []protocol.Held{{Instance: "6-1", Leases: 1}}
			}
			g.p.Hear(g.now, &r)
			g.pass(time.Second)
		}
	}
	g.p.Hear(g.now, &protocol.Report{From: "ended", Incarnation: 4, Seq: 1, Farewell: true})
	g.p.Hear(g.now, &protocol.Report{From: "new", Incarnation: 4, Seq: 1})
	far, self, busy, idle, fresh := protocol.Holder{Server: "far", Life: 9}, protocol.Holder{Server: "self", Life: 1}, protocol.Holder{Server: "busy", Life: 3}, protocol.Holder{Server: "idle", Life: 3}, protocol.Holder{Server: "new", Life: 4}
	want := &protocol.Handover{Term: 7, Since: 2, Holders: []protocol.Holder{far, self, busy, idle, fresh}}
	if diff := gocmp.Diff(want, HandOver(g.p, g.now)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	g.pass(20 * time.Second)
	g.hears(&fleet.Observation{Source: "probe", At: g.epoch.Add(g.now), Instances: []fleet.Sighting{s}}) // it serves nobody
	g.pass(time.Second)
	want.Known, want.Holders = []string{"1-2"}, []protocol.Holder{far, self, busy, fresh} // the new one has not said what it holds
	if diff := gocmp.Diff(want, HandOver(g.p, g.now)); diff != "" {
		t.Errorf("later: -want +got:\n%s", diff)
	}
}
