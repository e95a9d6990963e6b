package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// TestTypical_ByWhoAsks: any token sees what a request to a model usually takes and costs, of its own organisation's requests, or of all organisations'
// where no single one can be told from them; how many there were, only one that may read usage.
func TestTypical_ByWhoAsks(t *testing.T) {
	const seen, common, nothing = `<td class="number">1.00 s</td>`, `<td class="number">1.00 s*</td>`, `<td class="number none">–</td>`
	for _, row := range []struct {
		name    string
		ours    int            // requests of acme, who looks
		others  map[string]int // of others, by organisation
		scope   tenant.Scope
		want    string
		onModel string
	}{
		{"nobody has asked", 0, nil, tenant.ScopeInference, nothing, ""},
		{"so few that one could be told", 9, nil, tenant.ScopeInference, nothing, ""},
		{"enough of one's own", 10, nil, tenant.ScopeInference, seen, "Usual cost"},
		{"one of one's own, and a right to read it", 1, nil, tenant.ScopeUsageRead, seen, "Usual cost"},
		{"those of one other organisation", 0, map[string]int{"zoo": 200}, tenant.ScopeInference, nothing, ""},
		{"those of two others", 0, map[string]int{"zoo": 100, "uni": 100}, tenant.ScopeInference, nothing, ""},
		{"those of two others and oneself", 1, map[string]int{"zoo": 98, "uni": 1}, tenant.ScopeInference, common, "of all organisations"},
		{"too few of three", 0, map[string]int{"zoo": 97, "uni": 1, "lab": 1}, tenant.ScopeInference, nothing, ""},
		{"enough of three others", 0, map[string]int{"zoo": 98, "uni": 1, "lab": 1}, tenant.ScopeInference, common, "of all organisations"},
		{"enough of three others, and a right to read one's own", 0, map[string]int{"zoo": 98, "uni": 1, "lab": 1}, tenant.ScopeUsageRead, common, "of all organisations"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			for range row.ours {
				w.used("acme", "m/one")
			}
			for org, n := range row.others {
				for range n {
					w.used(org, "m/one")
				}
			}
			b := w.signedIn(row.scope)
			if got := b.get("/models?q=one"); !strings.Contains(got.body, row.want) {
				t.Errorf("the list of models has no %q:\n%s", row.want, got.body)
			}
			counts := strings.Contains(b.get("/models").body, "Requests, 30 days")
			if want := row.scope == tenant.ScopeUsageRead; counts != want {
				t.Errorf("numbers of requests are shown: got %v, want %v", counts, want)
			}
			if got := b.get("/model/m/one"); strings.Contains(got.body, "Usual cost") != (row.onModel != "") || !strings.Contains(got.body, row.onModel) {
				t.Errorf("the model's page says %q, which is not as wanted:\n%s", row.onModel, got.body)
			}
		})
	}
}

// TestTypical_OrderTellsNoCounts: a list sorted by how often models are used is in no order for whose token may not know it.
func TestTypical_OrderTellsNoCounts(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		w.used("acme", "m/one")
	}
	for range 20 {
		w.used("acme", "m/two")
	}
	first := func(b *browser, column string) string {
		got := b.get("/models?sort=" + column)
		if got.status != http.StatusOK || !strings.Contains(got.body, "/model/m/one") || !strings.Contains(got.body, "/model/m/two") {
			t.Fatalf("got %d\n%s", got.status, got.body)
		}
		if strings.Index(got.body, "/model/m/one") < strings.Index(got.body, "/model/m/two") {
			return "m/one"
		}
		return "m/two"
	}
	reader, other := w.signedIn(tenant.ScopeUsageRead), w.signedIn(tenant.ScopeInference)
	if up, down := first(reader, "used"), first(reader, "-used"); up != "m/two" || down != "m/one" {
		t.Errorf("who may read usage: got %s first, and the other way round %s", up, down)
	}
	if up, down := first(other, "used"), first(other, "-used"); up != down {
		t.Errorf("who may not: got %s first, and the other way round %s, want no order", up, down)
	}
}

// TestActivations_PercentilesAreLive: an open page is sent how long starts took, in the order that it is sorted by.
func TestActivations_PercentilesAreLive(t *testing.T) {
	w := newWorld(t)
	w.run()
	page := w.asOperator().get("/activations?sort=-p50")
	if !strings.Contains(page.body, "Nothing is measured yet") {
		t.Errorf("a page with no activation says\n%s", page.body)
	}
	follow := w.asOperator().follow(liveURLOf(t, page))
	ended := func(number int, load time.Duration) {
		began := w.now.Add(time.Duration(number) * time.Minute)
		w.fleet.set(func(s *fleetSnapshot) {
			s.Activations = append(s.Activations, fleet.Activation{
				ID: uint64(number), Model: "m/one", Instance: fmt.Sprintf("i-%d", number), From: fleet.Cold, Began: began, Ended: began.Add(time.Second + load),
				Phases: []fleet.PhaseTime{{Phase: fleet.PhaseLoading, At: began.Add(time.Second)}},
			})
		})
	}
	ended(1, 20*time.Second)
	got := follow.next()
	if whole, queued := strings.Index(got, ">whole<"), strings.Index(got, ">queued<"); !strings.Contains(got, `hx-target="#figures"`) || !strings.Contains(got, "21.00 s") || whole < 0 || queued < whole {
		t.Errorf("got %q, want the percentiles, the whole first", got)
	}
	ended(2, 40*time.Second)
	if got := follow.next(); !strings.Contains(got, "41.00 s") || strings.Contains(got, ">queued</th><td class=\"number\">1<") {
		t.Errorf("got %q, want what has changed of the percentiles", got)
	}
}
