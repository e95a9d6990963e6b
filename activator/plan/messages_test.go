package plan

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/dispatch"
	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// FuzzMessages takes what other servers may say, a line of JSON each: neither machine panics, promises what it has not, or stops answering its own side.
func FuzzMessages(f *testing.F) {
	seed := func(messages ...any) {
		var text bytes.Buffer
		for _, m := range messages {
			if err := json.NewEncoder(&text).Encode(m); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(text.Bytes())
	}
	report := protocol.Report{
		From: "other", Incarnation: 1, Seq: 1, Stamp: time.Second, AckTerm: 7, Demands: []protocol.Demand{{Model: "a", Waiting: 3, Inflight: 1, Oldest: time.Minute, Arrivals: 9}},
		Held: []protocol.Held{{Instance: "3-1", Slots: 4, Leases: 2}}, Condemned: []string{"3-1"},
	}
	more := report
	more.Seq, more.Partial, more.Held = 2, true, []protocol.Held{{Instance: "3-1"}}
	table := protocol.Table{
		To: "self", Incarnation: 1, Term: 7, Seq: 3, Stamp: time.Second, TTL: time.Minute,
		Shares: []protocol.Share{{Instance: "7-1", Model: "a", Addr: "127.0.0.1:1", Slots: 4, GPUs: 1}}, Outlooks: []protocol.Outlook{{Known: true}},
	}
	hello, gone := table, table
	hello.Hello, hello.Term = true, 8
	gone.Partial, gone.Seq, gone.Shares = true, 4, []protocol.Share{{Instance: "7-1"}}
	seed(report, more)
	seed(table, gone, report)
	seed(hello, table)
	f.Fuzz(func(t *testing.T, text []byte) {
		g := newStage(t, nil, stageModel("a", "", 1, 2))
		ask, lease := &dispatch.Ask{Model: "a", Org: "o"}, &dispatch.Lease{}
		for line := range bytes.Lines(text) {
			var r protocol.Report
			if json.Unmarshal(line, &r) == nil && r.From != "self" {
				g.p.Hear(g.now, &r)
			}
			var told protocol.Table
			if json.Unmarshal(line, &told) == nil {
				g.d.Receive(g.now, &told)
			}
			if g.d.Acquire(g.now, ask, lease) {
				g.d.Release(g.now, lease)
			}
			g.now += time.Second
			g.step()
			for _, h := range g.r.Held {
				if h.Leases < 0 || h.Slots < 0 {
					t.Errorf("this server says that it holds %+v", h)
				}
			}
		}
	})
}
