package main

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/pilotlight-io/pilotlight/internal/telemetry/scrapes"
)

func hasRunbook(t *testing.T, r *rulefmt.Rule) {
	t.Helper()
	text, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "/docs/runbooks.md#")
	if anchor != strings.ToLower(r.Alert) {
		t.Errorf("%s: got runbook %q, want the anchor of its name", r.Alert, r.Annotations["runbook_url"])
	}
	_, section, found := strings.Cut(string(text), "\n## "+r.Alert+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, part := range []string{"**Means**: ", "**See**: ", "**Do**: "} {
		if !found || !strings.Contains(section, part) {
			t.Errorf("%s: the runbook has no %s", r.Alert, part)
		}
	}
	if r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
		t.Errorf("%s: got no summary or severity", r.Alert)
	}
}

// faults says what of a scrape is another in trouble, which an alert must tell: for each, a selector of series that are there, and what they are then, so many
// steps of half a minute later.
var faults = map[string]struct {
	series string
	then   func(was float64, step int) float64
}{
	"PilotlightDown":      {`up`, becomes(0)},
	"NobodyLeads":         {`pilotlight_leader`, becomes(0)},
	"SourceLost":          {`pilotlight_source_up{source="local"}`, becomes(0)},
	"StartsFail":          {`pilotlight_failures_total{model="` + observedModel + `",cause="weights"}`, grows(1)},
	"PlaceFails":          {`pilotlight_place_failures_total{place="local-0"}`, grows(1)},
	"BreakerOpen":         {`pilotlight_breaker_state`, becomes(2)},
	"QueueStands":         {`pilotlight_queue_depth{model="` + observedModel + `"}`, becomes(3)},
	"StartsAreSlow":       {`pilotlight_activation_seconds_bucket{model="` + observedModel + `",from="cold",le=~"1200|1800|\\+Inf"}`, grows(1)},
	"BodiesRefused":       {`pilotlight_bodies_refused_total{reason="full"}`, grows(2)},
	"ConnectionsRefused":  {`pilotlight_connections_refused_total{listener="public",reason="full"}`, grows(2)},
	"UsageNotMoved":       {`pilotlight_ledger_wal_records`, becomes(5000)},
	"UsageDamaged":        {`pilotlight_ledger_damaged_blocks`, becomes(1)},
	"RetentionHeld":       {`pilotlight_ledger_retention_held`, becomes(1)},
	"MonthNotClosed":      {`pilotlight_ledger_months_to_close`, becomes(1)},
	"BudgetUsedUp":        {`pilotlight_budget_left_usd{org="dev"}`, becomes(0)},
	"WebhookNotDelivered": {`pilotlight_webhook_state{state="failing"}`, becomes(1)},
	"AccessLogDropsLines": {`pilotlight_access_log_dropped_total`, grows(5)},
	"TracesDropped":       {`pilotlight_spans_dropped_total{reason="export_failed"}`, grows(5)},
	"EnginesFailRequests": {`pilotlight_requests_total{model="` + observedModel + `",code="200"}`, nil}, // see below
	"ModelCannotBeServed": {`pilotlight_requests_total{model="` + observedModel + `",code="200"}`, nil},
}

func becomes(v float64) func(float64, int) float64 {
	return func(float64, int) float64 { return v }
}

func grows(by float64) func(float64, int) float64 {
	return func(was float64, step int) float64 { return was + by*float64(step) }
}

// codes are the status of answers that some alerts tell of; their series are there only once there was one.
var codes = map[string]string{"EnginesFailRequests": "502", "ModelCannotBeServed": "503"}

// alertsFire shows each alert scrapes of a healthy server, then of one in its own trouble, then of a healthy one again. Their base is a scrape of a real one.
func alertsFire(t *testing.T, rules []rulefmt.Rule, base scrapes.Scrape) {
	const every = 30 * time.Second
	for _, r := range rules {
		fault, known := faults[r.Alert]
		if !known {
			t.Errorf("%s is driven by nothing", r.Alert)
			continue
		}
		r.For = min(r.For, 20*60e9) // days would say nothing else
		at := base.Fits(matches(t, fault.series)...)
		if len(at) == 0 {
			t.Errorf("%s: the server does not show %s", r.Alert, fault.series)
			continue
		}
		history, now := scrapes.NewHistory(), time.Unix(1_800_000_000, 0)
		steps := int(time.Duration(r.For)/every) + 24
		for step := range steps {
			now = now.Add(every)
			history.Add(now, base)
			if history.Fires(t, &r, now, every) {
				t.Errorf("%s fires on a healthy server, after %v", r.Alert, time.Duration(step)*every)
				break
			}
		}
		fired := false
		for step := range steps {
			now = now.Add(every)
			bad := slices.Clone(base)
			for _, i := range at {
				if code := codes[r.Alert]; code != "" {
					l := labels.NewBuilder(bad[i].Labels).Set("code", code).Labels()
					bad = append(bad, scrapes.Series{Labels: l, Value: float64(1 + step)})
				} else {
					bad[i].Value = fault.then(bad[i].Value, step+1)
				}
			}
			history.Add(now, bad)
			fired = fired || history.Fires(t, &r, now, every)
		}
		if !fired {
			t.Errorf("%s does not fire in %v of its trouble", r.Alert, time.Duration(steps)*every)
		}
		if strings.Contains(r.Expr, "[6h]") || strings.Contains(r.Expr, "[1h]") || strings.Contains(r.Expr, "[30m]") {
			continue // it looks back for long
		}
		for range 48 {
			now = now.Add(every)
			history.Add(now, base)
		}
		if history.Fires(t, &r, now, every) {
			t.Errorf("%s still fires long after its trouble", r.Alert)
		}
	}
}

// brokenModelIsTold scrapes the server while a model's engine really does not start. Half a minute of the history is a request.
func brokenModelIsTold(t *testing.T, s *observed, rules []rulefmt.Rule, base scrapes.Scrape) {
	const every = 30 * time.Second
	history, now := scrapes.NewHistory(), time.Unix(1_800_000_000, 0)
	for range 4 {
		now = now.Add(every)
		history.Add(now, base)
	}
	failed := matches(t, `pilotlight_failures_total{model="`+brokenModel+`",cause="engine"}`)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if a, err := s.chat(t.Context(), brokenModel, false, "X-Pilotlight-Max-Wait", "5s"); err != nil || a.status != http.StatusServiceUnavailable {
			t.Fatalf("got %+v, %v; want 503", a, err)
		}
		if bad := s.scrape(t); bad[bad.Fits(failed...)[0]].Value >= 3 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("got %v failures in 20 s, want 3", bad[bad.Fits(failed...)[0]].Value)
		}
	}
	told := map[string]bool{"StartsFail": false, "ModelCannotBeServed": false}
	for range 24 {
		if a, err := s.chat(t.Context(), brokenModel, false, "X-Pilotlight-Max-Wait", "5s"); err != nil || a.status != http.StatusServiceUnavailable {
			t.Fatalf("got %+v, %v; want 503", a, err)
		}
		now = now.Add(every)
		history.Add(now, s.scrape(t))
		for _, r := range rules {
			if _, watched := told[r.Alert]; watched && history.Fires(t, &r, now, every) {
				told[r.Alert] = true
			}
		}
	}
	for name, fired := range told {
		if !fired {
			t.Errorf("%s does not fire while a model's engine does not start", name)
		}
	}
}
