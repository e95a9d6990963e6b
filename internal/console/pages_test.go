package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// asOperator is a browser of an operator.
func (w *world) asOperator() *browser {
	b := w.browser(w.operator)
	b.signIn(adminToken)
	return b
}

// TestFleet_ShowsNodesBreakersAndServers: the page says how each node stands, why a breaker is open, what waits and why, and who leads.
func TestFleet_ShowsNodesBreakersAndServers(t *testing.T) {
	w := newWorld(t)
	w.fleet.set(func(s *fleetSnapshot) {
		s.At = w.now
		s.Nodes = []fleet.NodeStatus{
			{Node: fleet.Node{ID: "n-1", Name: "alpha", GPUs: 8, Used: 3}, Held: 2},
			{Node: fleet.Node{ID: "n-2", Name: "beta", GPUs: 8, Condition: fleet.PlaceDraining}},
			{Node: fleet.Node{ID: "n-3", Name: "gamma", GPUs: 8}, AvoidUntil: w.now.Add(time.Minute), AvoidWhy: "its driver does not answer"},
			{Node: fleet.Node{ID: "n-4", Name: "delta", GPUs: 8}, Gone: true},
		}
		s.Instances = []fleet.InstanceStatus{
			{Instance: fleet.Instance{ID: "i-1", Model: "m/one", Node: "n-1", GPUs: 2, State: fleet.Ready}, Breaker: "open", BreakerWhy: "no answer in time"},
		}
		s.Models[1].Waiting, s.Models[1].Outlook = 3, fleet.Outlook{Answer: fleet.Busy, Reason: "waits for 2 GPUs in use"}
	})
	got := w.asOperator().get("/fleet")
	for _, want := range []string{
		">alpha<", "2 of 8", ">draining<", ">avoided<", "its driver does not answer", ">gone<", "no answer in time", ">open<", "waits for 2 GPUs in use", ">here<", ">leads<",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page of the fleet does not say %q", want)
		}
	}
	if got := w.asOperator().get("/fleet?q=beta"); strings.Contains(got.body, ">alpha<") || !strings.Contains(got.body, ">beta<") {
		t.Error("a search for a node does not give that node alone")
	}
}

// TestDecisions_AreShownWithTheirReasons: each move of an instance is there, the newest first, and can be searched.
func TestDecisions_AreShownWithTheirReasons(t *testing.T) {
	w := newWorld(t)
	w.run()
	b := w.asOperator()
	follow := b.follow(liveURLOf(t, b.get("/fleet")))
	w.fleet.tell(fleet.Notice{ID: 1, At: w.now, Model: "m/one", Instance: "i-1", To: fleet.Starting, Reason: "1 request waiting"})
	if got := follow.next(); !strings.Contains(got, "1 request waiting") {
		t.Errorf("got %q, want the decision", got)
	}
	if got := b.get("/decisions"); !strings.Contains(got.body, "1 request waiting") {
		t.Error("the page of decisions does not have it")
	}
	if got := b.get("/decisions?q=idle"); strings.Contains(got.body, "1 request waiting") || !strings.Contains(got.body, "No decision matches") {
		t.Error("a search for another reason gives it all the same")
	}
}

// TestTables_AreSearchedAndSorted: by the query string alone.
func TestTables_AreSearchedAndSorted(t *testing.T) {
	w := newWorld(t)
	w.token("acme", tenant.ScopeInference)
	w.token("zoo", tenant.ScopeUsageRead)
	w.fleet.waiting = []fleet.Waiting{{Model: "m/one", Org: "acme", Request: "r-1", Place: 1, Since: w.now}}
	b := w.asOperator()
	for _, row := range []struct{ path, has, hasNot string }{
		{"/models?q=two", "/model/m/two", "/model/m/one"},
		{"/models?q=nothing", "No model matches", "/model/m/one"},
		{"/tokens?q=usage:read", "<td>zoo</td>", "<td>acme</td>"},
		{"/tokens?q=nothing", "No token matches", "<td>acme</td>"},
		{"/queue?q=zoo", "Nobody matches", "r-1"},
		{"/queue?q=acme", "r-1", "Nobody matches"},
		{"/activations?q=nothing", "No activation matches", "No activation yet"},
		{"/invoices?q=nothing", "No invoice matches", "No invoice yet"},
		{"/kit?q=second", ">second<", ">third<"},
	} {
		got := b.get(row.path)
		if !strings.Contains(got.body, row.has) || strings.Contains(got.body, row.hasNot) {
			t.Errorf("%s: got no %q, or %q\n%s", row.path, row.has, row.hasNot, got.body)
		}
	}
	for path, first := range map[string]string{"/models?sort=-name": "/model/m/two", "/models?sort=name": "/model/m/one"} {
		body := b.get(path).body
		one, two := strings.Index(body, "/model/m/one"), strings.Index(body, "/model/m/two")
		if (two < one) != (first == "/model/m/two") {
			t.Errorf("%s: want %s first", path, first)
		}
	}
	for _, column := range []string{"org", "-org", "used", "state", "nonsense"} {
		if got := b.get("/tokens?sort=" + column); got.status != http.StatusOK {
			t.Errorf("sorted by %s: got %d", column, got.status)
		}
	}
}

// TestPages_SayThatTheyCannotBeShown: where what a page shows cannot be read, it says which page that is, and offers to try again.
func TestPages_SayThatTheyCannotBeShown(t *testing.T) {
	w := newWorld(t)
	b := w.asOperator()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for path, title := range map[string]string{
		"/usage": "Usage cannot be shown now", "/requests": "Requests cannot be shown now", "/invoices": "Invoices cannot be shown now", "/models": "Models cannot be shown now",
		"/tokens": "Tokens cannot be shown now",
	} {
		got := b.get(path)
		if got.status != http.StatusInternalServerError || !strings.Contains(got.body, title) || !strings.Contains(got.body, "Try again") || !strings.Contains(got.body, "<nav") {
			t.Errorf("%s: got %d\n%s\nwant a page that says %q, with a link to try again and those to other pages", path, got.status, got.body, title)
		}
	}
}
