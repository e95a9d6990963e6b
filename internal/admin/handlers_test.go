package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

func TestOrgs(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	created, err := w.client.CreateOrg(ctx, admin.NewOrg{Name: "acme", Models: []string{"acme/a"}})
	check(t, err)
	if created.Name != "acme" || created.State != tenant.Active || !cmp.Equal(created.Models, []string{"acme/a"}) {
		t.Errorf("got %+v", created)
	}
	suspended, none := tenant.Suspended, []string{}
	changed, err := w.client.UpdateOrg(ctx, "acme", admin.OrgChange{State: &suspended, Models: &none})
	check(t, err)
	shown, err := w.client.Org(ctx, "acme")
	check(t, err)
	if changed.State != tenant.Suspended || len(changed.Models) != 0 || !cmp.Equal(changed, shown) {
		t.Errorf("got %+v, then %+v, want it suspended and with all models", changed, shown)
	}
	active := tenant.Active
	_, err = w.client.UpdateOrg(ctx, "acme", admin.OrgChange{State: &active})
	check(t, err)
	orgs, err := w.client.Orgs(ctx)
	check(t, err)
	if len(orgs) != 1 || orgs[0].State != tenant.Active {
		t.Errorf("got %+v, want the one org, active again", orgs)
	}
}

func TestOrgSuspend_NowIsACut(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	_, err := w.client.CreateOrg(ctx, admin.NewOrg{Name: "acme"})
	check(t, err)
	for _, now := range []bool{false, true, true} { // also where it is suspended already
		suspended := tenant.Suspended
		_, err := w.client.UpdateOrg(ctx, "acme", admin.OrgChange{State: &suspended, Now: now})
		check(t, err)
		org, err := w.tenants.Org(ctx, "acme")
		check(t, err)
		if org.State != tenant.Suspended || (org.CutAt != nil) != now {
			t.Errorf("now %v: got %+v", now, org)
		}
	}
}

func TestOrgChange_IsAllOrNothing(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	_, err := w.client.CreateOrg(ctx, admin.NewOrg{Name: "acme"})
	check(t, err)
	for _, body := range []string{`{"models": ["acme/a"], "state": "asleep"}`, `{"state": "suspended", "models": ["none"]}`, `{"state": "suspended", "colour": 1}`} {
		if status, _, _ := w.ask("PATCH", "/api/orgs/acme", body); status != 400 {
			t.Errorf("%s: got %d, want 400", body, status)
		}
	}
	if org, err := w.client.Org(ctx, "acme"); err != nil || org.State != tenant.Active || len(org.Models) != 0 {
		t.Errorf("got %+v, %v, want it untouched", org, err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	_, err := w.client.CreateOrg(ctx, admin.NewOrg{Name: "acme"})
	check(t, err)
	issued, err := w.client.CreateToken(ctx, admin.NewToken{Org: "acme", Name: "ci", Scopes: []tenant.Scope{tenant.ScopeInference}, Keepalive: "chunk", Expires: "90d"})
	check(t, err)
	if grant, err := w.tenants.Authenticate(issued.Secret); err != nil || grant.TokenID != issued.ID {
		t.Errorf("the secret does not work: %v, %v", grant, err)
	}
	if left := time.Until(issued.ExpiresAt.Time); left < 89*24*time.Hour || left > 91*24*time.Hour {
		t.Errorf("it expires in %v, want 90 days", left)
	}
	forever, err := w.client.CreateToken(ctx, admin.NewToken{Org: "acme"})
	check(t, err)
	if forever.ExpiresAt != nil || forever.Keepalive != nil || len(forever.Scopes) != 2 {
		t.Errorf("got %+v, want no expiry, no mode and the two default scopes", forever.Token)
	}
	revoked, err := w.client.RevokeToken(ctx, issued.ID)
	check(t, err)
	if _, err := w.tenants.Authenticate(issued.Secret); !errors.Is(err, tenant.ErrRevoked) || revoked.RevokedAt == nil {
		t.Errorf("after revoking: got %v, revoked at %v", err, revoked.RevokedAt)
	}
	for org, want := range map[string]int{"": 2, "acme": 2} {
		tokens, err := w.client.Tokens(ctx, org)
		if err != nil || len(tokens) != want {
			t.Errorf("tokens of %q: got %d, %v, want %d", org, len(tokens), err, want)
		}
	}
	if status, body, _ := w.ask("GET", "/api/tokens", ""); status != 200 || strings.Contains(body, issued.Secret) {
		t.Errorf("the list shows a secret: %s", body)
	}
	var refused *openai.Error
	if _, err := w.client.CreateToken(ctx, admin.NewToken{Org: "none"}); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("token of an unknown org: got %v, want 404", err)
	}
	if _, err := w.client.Tokens(ctx, "none"); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("tokens of an unknown org: got %v, want 404", err)
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	models, err := w.client.Models(ctx)
	check(t, err)
	if len(models) != 3 || models[0].ID != "acme/a" || models[0].State != "hot" || models[0].IdleAfter != "5m" || models[0].Outlook.ETAUS != nil {
		t.Errorf("got %+v", models)
	}
	if b := models[1]; b.Outlook.ETAUS == nil || *b.Outlook.ETAUS != 12_000_000 || b.Desired.Reason != "2 requests wait" || b.Waiting != 2 {
		t.Errorf("got %+v", b)
	}
	for _, path := range []string{"/api/models/acme/b", "/api/models/acme%2Fb", "/api/models/acme%2fb"} {
		if status, body, _ := w.ask("GET", path, ""); status != 200 || !strings.Contains(body, `"id":"acme/b"`) {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	_, err := w.client.StartModel(ctx, "acme/a", 10*time.Minute)
	check(t, err)
	_, err = w.client.StartModel(ctx, "acme/b", 0)
	check(t, err)
	_, err = w.client.StopModel(ctx, "acme/b")
	check(t, err)
	if want := map[string]time.Duration{"acme/a": 10 * time.Minute, "acme/b": 5 * time.Minute}; !cmp.Equal(w.fleet.held, want) {
		t.Errorf("held %v, want %v", w.fleet.held, want)
	}
	if !cmp.Equal(w.fleet.stopped, []string{"acme/b"}) {
		t.Errorf("stopped %v, want acme/b", w.fleet.stopped)
	}
	if status, body, _ := w.ask("POST", "/api/models/acme/a/start", ""); status != 202 {
		t.Errorf("start without a body: got %d %s, want 202", status, body)
	}
}

func TestModelMayBeCalledLikeAnAction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, err := w.client.Model(t.Context(), "acme/a/start")
	if err != nil || m.State != "cold" {
		t.Errorf("got %+v, %v, want the model acme/a/start", m, err)
	}
	if _, err := w.client.StopModel(t.Context(), "acme/a/start"); err != nil || !cmp.Equal(w.fleet.stopped, []string{"acme/a/start"}) {
		t.Errorf("stopped %v, %v, want acme/a/start", w.fleet.stopped, err)
	}
}

func TestFleetErrorsAreMapped(t *testing.T) {
	t.Parallel()
	full, odd := errors.New("no GPUs"), errors.New("secret detail of 10.0.0.1")
	w := newWorld(t, func(c *admin.Config) {
		c.Errors = func(err error) *openai.Error {
			if errors.Is(err, full) {
				return openai.NewError(openai.CodeNoCapacity, "no GPUs for the model")
			}
			return nil
		}
	})
	w.fleet.failure = fmt.Errorf("holding: %w", full)
	if status, body, _ := w.ask("POST", "/api/models/acme/a/start", ""); status != 503 || codeOf(body) != "no_capacity" {
		t.Errorf("got %d %s, want 503 no_capacity", status, body)
	}
	w.fleet.failure = odd
	if status, body, _ := w.ask("GET", "/api/models/acme/a/explain", ""); status != 500 || strings.Contains(body, "10.0.0.1") {
		t.Errorf("got %d %s, want a 500 that tells nothing", status, body)
	}
}

func TestExplain_TellsInFieldsAndInSentences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, err := w.client.Explain(t.Context(), "acme/a")
	check(t, err)
	if e.Desired.Hot != 1 || len(e.Hot) != 2 || len(e.Actions) != 1 || e.HeldUntil == nil || e.Failure == nil || e.Failure.Node != "gpu-1" || e.Failure.Cause != fleet.CauseMemory {
		t.Errorf("got %+v", e)
	}
	for _, want := range []string{
		"acme/a: 2 hot, 0 starting, 0 parked; 0 waiting, 3 in flight\n", "idle for 1m30s\n", "i-1 serves 3\n", "i-2 has been idle for 1m",
		"wanted: 1 hot, as many as there is room for parked: one instance serves 64 at once, and 3 are in flight\n", "would: stop i-2: idle for 5m0s\n", "a request now: would be served at once\n", "unless one comes: i-2 will be parked soon\n", "held hot by an operator",
		"its last failure: 1m30s ago, i-0 on slot s-1 of node gpu-1: exit status 1; its log ends: out of memory\n",
	} {
		if !strings.Contains(e.Text, want) {
			t.Errorf("the text lacks %q:\n%s", want, e.Text)
		}
	}
}

func TestInstancesActivationsPools(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	instances, err := w.client.Instances(ctx)
	check(t, err)
	if len(instances) != 1 || instances[0].GPU != 2 || instances[0].ReadyAt == nil || instances[0].IdleSince != nil {
		t.Errorf("got %+v", instances)
	}
	if _, body, _ := w.ask("GET", "/api/instances", ""); !strings.Contains(body, `"launched_at":"2026-03-01T12:00:00.123456Z"`) {
		t.Errorf("times are not RFC 3339 in UTC with microseconds: %s", body)
	}
	activations, err := w.client.Activations(ctx)
	check(t, err)
	if len(activations) != 1 || activations[0].EndedAt != nil || len(activations[0].Phases) != 1 ||
		activations[0].GPUUS != 40_000_000 || activations[0].WaitedUS != 60_000_000 {
		t.Errorf("got %+v", activations)
	}
	pools, err := w.client.Pools(ctx)
	check(t, err)
	pool, err := w.client.Pool(ctx, "local")
	check(t, err)
	if len(pools) != 1 || !cmp.Equal(pools[0], *pool) || pool.HostMemory != "1.5TiB" || pool.SlotIdle != "15m" || len(pool.Live) != 1 {
		t.Errorf("got %+v, %+v", pools, pool)
	}
}

func TestEmptyFleetShowsEmptyLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fleet.snapshot = &fleet.Snapshot{At: began}
	for _, path := range []string{"/api/models", "/api/instances", "/api/activations", "/api/pools", "/api/orgs", "/api/tokens", "/api/usage", "/api/usage/records"} {
		if status, body, _ := w.ask("GET", path, ""); status != 200 || !strings.Contains(body, "[]") {
			t.Errorf("%s: got %d %s, want an empty list", path, status, body)
		}
	}
}

func TestUsageAndRecords(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	for i := range 3 {
		check(t, w.ledger.Append(&ledger.Record{
			RequestID: fmt.Sprint("r", i), Org: "acme", TokenID: "tok_1", Model: "acme/a", Instance: "i-1", GPUs: 2, Start: fleet.Hot,
			ReceivedAt: began, DispatchedAt: began.AddDate(0, 0, i), Upstream: 3 * time.Second, Billed: 2 * time.Second,
			PromptTokens: 500, CompletionTokens: 100, Price: 8_250_000_000, Status: ledger.Complete,
		}))
	}
	w.move()
	usage, err := w.client.Usage(ctx, admin.UsageQuery{Org: "acme", From: "2026-03-01", To: "2026-03-03T00:00:00Z", By: ledger.ByDay})
	check(t, err)
	if len(usage.Usage) != 2 || usage.NextCursor != nil || usage.Usage[0].Day != "2026-03-01" || usage.Usage[0].GPUUS != 4_000_000 {
		t.Errorf("got %+v, want the first two days", usage)
	}
	total, err := w.client.Usage(ctx, admin.UsageQuery{})
	check(t, err)
	if len(total.Usage) != 1 || total.Usage[0].Requests != 3 || total.Usage[0].Cost != 3*ledger.Cost(2*time.Second, 2, 8_250_000_000) {
		t.Errorf("got %+v, want all three", total)
	}
	var seen []string
	for cursor := ""; ; {
		page, err := w.client.Records(ctx, "acme", cursor, 2)
		check(t, err)
		for _, r := range page.Records {
			seen = append(seen, r.RequestID)
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if !cmp.Equal(seen, []string{"r0", "r1", "r2"}) {
		t.Errorf("records came as %v, want all, oldest first", seen)
	}
	_, err = w.tenants.CreateOrg(ctx, tenant.NewOrg{Name: "other"})
	check(t, err)
	if page, err := w.client.Records(ctx, "other", "", 0); err != nil || len(page.Records) != 0 {
		t.Errorf("another org sees %+v, %v", page, err)
	}
	for _, path := range []string{"/api/usage?org=nope", "/api/usage/records?org=nope", "/api/usage?org=nope&format=csv", "/api/usage/records?org=nope&format=jsonl"} {
		if status, body, _ := w.ask("GET", path, ""); status != 400 || paramOf(body) != "org" || !strings.Contains(body, "no organisation") {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
}

func codeOf(body string) string { return errorOf(body).Code }

func paramOf(body string) string {
	if p := errorOf(body).Param; p != nil {
		return *p
	}
	return ""
}

func errorOf(body string) openai.Error {
	var answer struct{ Error openai.Error }
	_ = json.Unmarshal([]byte(body), &answer)
	return answer.Error
}
