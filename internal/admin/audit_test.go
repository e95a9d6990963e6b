package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/admin/spec"
	"github.com/pilotlight-io/pilotlight/internal/audit"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// doing is how a route is asked to change something, and what the audit log says of it then.
type doing struct{ path, body, action, subject string }

// doings has one for each route that changes something. A route that is added needs one here.
func (w *world) doings() map[string]doing {
	w.t.Helper()
	ctx := w.t.Context()
	for _, org := range []string{"acme", "zoo"} {
		_, err := w.tenants.CreateOrg(ctx, tenant.NewOrg{Name: org})
		check(w.t, err)
	}
	_, token, err := w.tenants.CreateToken(ctx, tenant.NewToken{Org: "acme"})
	check(w.t, err)
	_, other, err := w.tenants.CreateToken(ctx, tenant.NewToken{Org: "acme"})
	check(w.t, err)
	month := inAClosableMonth()
	record := &ledger.Record{
		Org: "acme", TokenID: token.ID, Model: "acme/a", Instance: "i-1", GPUs: 2, Start: fleet.Hot, ReceivedAt: month, DispatchedAt: month,
		Billed: time.Second, Upstream: time.Second, Price: 8_250_000_000, Status: ledger.Complete,
	}
	check(w.t, w.ledger.Append(record))
	w.move()
	w.fleet.waiting = []fleet.Waiting{{Model: "acme/b", Org: "acme", Request: "r-1", Place: 1, Since: began}}
	const file = `org "imported" {}`
	return map[string]doing{
		"POST /api/orgs":                   {"/api/orgs", `{"name": "new"}`, "org.create", "org/new"},
		"PATCH /api/orgs/{name}":           {"/api/orgs/acme", `{"rpm": 7}`, "org.update", "org/acme"},
		"POST /api/tokens":                 {"/api/tokens", `{"org": "acme"}`, "token.create", "token/"},
		"PATCH /api/tokens/{id}":           {"/api/tokens/" + token.ID, `{"rpm": 7}`, "token.update", "token/" + token.ID},
		"DELETE /api/tokens/{id}":          {"/api/tokens/" + other.ID, "", "token.revoke", "token/" + other.ID},
		"POST /api/import":                 {"/api/import", fmt.Sprintf(`{"name": "orgs.hcl", "content": %q}`, file), "org.import", "file/orgs.hcl"},
		"POST /api/models/{id}/start":      {"/api/models/acme/a/start", `{"for": "10m"}`, "model.start", "model/acme/a"},
		"POST /api/models/{id}/stop":       {"/api/models/acme/a/stop", "", "model.stop", "model/acme/a"},
		"POST /api/queue":                  {"/api/queue", `{"action": "end", "model": "acme/b", "org": "acme"}`, "queue.end", "model/acme/b"},
		"PATCH /api/pools/{name}":          {"/api/pools/local", `{"slot_idle": "1m"}`, "pool.tune", "pool/local"},
		"DELETE /api/orphans/{id}":         {"/api/orphans/job-1", "", "orphan.stop", "orphan/job-1"},
		"POST /api/config":                 {"/api/config", `{"name": "p.hcl", "content": "x"}`, "config.apply", "config"},
		"POST /api/invoices":               {"/api/invoices", fmt.Sprintf(`{"month": %q}`, month.Format("2006-01")), "month.close", "month/" + month.Format("2006-01")},
		"POST /api/corrections":            {"/api/corrections", fmt.Sprintf(`{"record": %q, "reason": "a test"}`, record.ID), "record.correct", "record/" + record.ID},
		"POST /api/webhooks/{name}/resume": {"/api/webhooks/billing/resume", "", "webhook.resume", "webhook/billing"},
		"POST /api/store/prune":            {"/api/store/prune", "", "store.prune", "store"},
	}
}

// notAudited are operations of the public API, where a request is a usage record and tokens are in the router's own test, and what only computes.
var notAudited = []string{
	"POST /api/pools/{name}/what-if",
	"POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/responses", "POST /v1/messages",
	"POST /v1/organization/tokens", "DELETE /v1/organization/tokens/{id}",
}

func (w *world) entries(q audit.Query) []audit.Entry {
	w.t.Helper()
	page, _, err := w.audit.List(w.t.Context(), q)
	check(w.t, err)
	return page
}

// TestAudit_EveryRouteThatChangesLeavesAnEntry walks the OpenAPI documents: done, and failing.
func TestAudit_EveryRouteThatChangesLeavesAnEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *admin.Config) { c.Webhooks, c.Orphans = &fakeWebhooks{}, oneOrphan{} })
	doings, walked := w.doings(), 0
	public, err := spec.Load(admin.PublicOpenAPI())
	check(t, err)
	for _, o := range slices.Concat(document().Operations(), public.Operations()) {
		route := o.String()
		if strings.HasPrefix(route, "GET ") || slices.Contains(notAudited, route) {
			continue
		}
		walked++
		d, ok := doings[route]
		if !ok {
			t.Errorf("%s: say in doings how it is asked, and what the audit log says of it", route)
			continue
		}
		method, _, _ := strings.Cut(route, " ")
		id := fmt.Sprintf("request-%d", walked)
		status, body, header := w.ask(method, d.path, d.body, "X-Request-Id", id)
		if status/100 != 2 || header.Get("X-Request-Id") != id {
			t.Errorf("%s: got %d %s %v, want it done", route, status, body, header)
		}
		w.wantEntry(route, id, d, false)
		// What is wrong with a body, or with what it is about, is refused, and is in the log as well.
		id += "-failing"
		failing := d
		failing.body = strings.Replace(d.body, "{", `{"mood": 1, `, 1)
		if d.body == "" || route == "PATCH /api/pools/{name}" {
			failing.path += "-none"
			if route == "POST /api/models/{id}/stop" {
				failing.path = "/api/models/none/stop"
			}
			if route == "POST /api/store/prune" {
				failing.path, failing.body = d.path, `{"mood": 1}`
			}
			if route == "POST /api/webhooks/{name}/resume" {
				failing.path = "/api/webhooks/none/resume"
			}
		}
		if status, body, _ := w.ask(method, failing.path, failing.body, "X-Request-Id", id); status/100 != 4 {
			t.Errorf("%s failing: got %d %s", route, status, body)
		}
		w.wantEntry(route, id, d, true)
	}
	if walked != len(doings) || walked < 16 {
		t.Errorf("walked %d routes, want all %d", walked, len(doings))
	}
}

func (w *world) wantEntry(route, request string, d doing, failed bool) {
	w.t.Helper()
	entries := slices.DeleteFunc(w.entries(audit.Query{Limit: 1000}), func(e audit.Entry) bool { return e.Request != request })
	if len(entries) == 0 {
		w.t.Errorf("%s: got no entry", route)
		return
	}
	e := entries[len(entries)-1] // the others are of what an import has changed
	if e.Actor != "root" || e.Via != audit.API || e.From != "127.0.0.1" || time.Since(e.At.Time) > time.Minute || (e.Error != "") != failed {
		w.t.Errorf("%s, failed %v: got %+v", route, failed, e)
	}
	noun, _, _ := strings.Cut(d.action, ".")
	if !failed && (e.Action != d.action || !strings.HasPrefix(e.Subject, d.subject)) || failed && !strings.HasPrefix(e.Action, noun+".") {
		w.t.Errorf("%s: got %s of %s, want %s of %s", route, e.Action, e.Subject, d.action, d.subject)
	}
}

// oneOrphan is a back end with one orphan, job-1.
type oneOrphan struct{}

func (oneOrphan) Orphans(context.Context) ([]fleet.Orphan, error) { return nil, nil }

func (oneOrphan) StopOrphan(_ context.Context, id, _ string) (fleet.Orphan, error) {
	if id != "job-1" {
		return fleet.Orphan{}, fleet.ErrNoOrphan
	}
	return fleet.Orphan{ID: id, Kind: fleet.OrphanSlot, Why: fleet.OrphanOfCluster, Cluster: "old"}, nil
}

// TestAudit_DryRunsChangeNothing, and so have no entry.
func TestAudit_DryRunsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/api/config?dry_run=true", "/api/import?dry_run=true"} {
		if status, body, _ := w.ask("POST", path, `{"name": "p.hcl", "content": "org \"a\" {}"}`); status != 200 {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	if got := w.entries(audit.Query{}); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestAudit_SaysWhatWasAndWhatIs of organisations and tokens, an import's each by itself.
func TestAudit_SaysWhatWasAndWhatIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(method, path, body string) {
		t.Helper()
		if status, answer, _ := w.ask(method, path, body); status/100 != 2 {
			t.Fatalf("%s %s: got %d %s", method, path, status, answer)
		}
	}
	ask("POST", "/api/orgs", `{"name": "acme", "rpm": 5}`)
	ask("PATCH", "/api/orgs/acme", `{"rpm": 6, "models": ["acme/a"]}`)
	ask("PATCH", "/api/orgs/acme", `{"state": "suspended", "now": true}`)
	ask("PATCH", "/api/orgs/acme", `{"state": "active"}`)
	ask("POST", "/api/import", `{"name": "f.hcl", "content": "org \"acme\" {\n rpm = 8\n}\norg \"zoo\" {}"}`)
	var got []string
	for _, e := range slices.Backward(w.entries(audit.Query{})) {
		got = append(got, fmt.Sprintf("%s %s %s > %s", e.Action, e.Subject, e.Before, e.After))
	}
	for i, want := range []string{
		`org.create org/acme null > {"budget_period":"monthly","budget_raise":null,"budget_soft":false,"budget_usd":"0.00","concurrency":0,"models":[],"rpm":5,"state":"active"}`,
		`org.update org/acme {"models":[],"rpm":5} > {"models":["acme/a"],"rpm":6}`,
		`org.suspend org/acme {"state":"active"} > {"cut_at":"`,
		`org.resume org/acme {"state":"suspended"} > {"state":"active"}`,
		`org.import file/f.hcl null > {"orgs":2,"tokens":0}`,
		`org.update org/acme {"rpm":6} > {"rpm":8}`,
		`org.create org/zoo null > {`,
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("entry %d of %q: want %s", i+1, got, want)
		}
	}
}

// TestAudit_NoSecretOfATokenOrAURL: neither what was answered, nor what was sent, nor the admin token is in the log.
func TestAudit_NoSecretOfATokenOrAURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ask("POST", "/api/orgs", `{"name": "acme"}`)
	_, body, _ := w.ask("POST", "/api/tokens", `{"org": "acme", "name": "n"}`)
	var issued struct{ Token string }
	check(t, json.Unmarshal([]byte(body), &issued))
	w.ask("POST", "/api/config", `{"name": "https://u:hunter2@x.test/p.hcl", "content": "x"}`)
	w.ask("DELETE", "/api/tokens/"+issued.Token, "")
	w.ask("POST", "/api/orgs", fmt.Sprintf(`{"name": "acme/%s"}`, issued.Token))
	_, all, _ := w.ask("GET", "/api/audit", "")
	for _, secret := range []string{issued.Token, "hunter2", adminToken} {
		if secret == "" || strings.Contains(all, secret) {
			t.Errorf("got %q in %s", secret, all)
		}
	}
	if strings.Count(all, `"id"`) != 5 {
		t.Errorf("got %s, want five entries", all)
	}
}

// TestAudit_IsReadPageByPage with every filter, by the client.
func TestAudit_IsReadPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.ask("POST", "/api/orgs", fmt.Sprintf(`{"name": "org-%d"}`, i))
	}
	q := admin.AuditQuery{Actor: "root", Action: "org.create", Subject: "org", From: "2020-01-01", Limit: 2}
	var got []int64
	for {
		page, err := w.client.Audit(t.Context(), q)
		check(t, err)
		for _, e := range page.Entries {
			got = append(got, e.ID)
		}
		if page.NextCursor == nil {
			break
		}
		q.Cursor = *page.NextCursor
	}
	if !slices.Equal(got, []int64{5, 4, 3, 2, 1}) {
		t.Errorf("got %v", got)
	}
	for _, query := range []string{"cursor=x", "from=yesterday", "limit=0", "mood=good"} {
		if status, body, _ := w.ask("GET", "/api/audit?"+query, ""); status != 400 {
			t.Errorf("%s: got %d %s, want 400", query, status, body)
		}
	}
}
