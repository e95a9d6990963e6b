package admin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

// fakeWebhooks has one webhook, which is held until it is resumed.
type fakeWebhooks struct{ from *string }

func (f *fakeWebhooks) List() []webhook.Status {
	s := webhook.Status{Name: "billing", URL: "https://billing.test/usage", Format: webhook.CloudEvents, Events: []string{webhook.EventUsage}, State: webhook.StateSending}
	if f.from == nil {
		s.State, s.Reason, s.Since = webhook.StateHeld, string(webhook.HeldGone), time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	}
	return []webhook.Status{s}
}

func (f *fakeWebhooks) Resume(_ context.Context, name, from string) (webhook.Status, error) {
	if name != "billing" {
		return webhook.Status{}, webhook.ErrUnknown
	}
	if from == "nothing" {
		return webhook.Status{}, &ledger.InvalidError{Field: "from", Message: "there is no such record"}
	}
	f.from = &from
	return f.List()[0], nil
}

func TestWebhooks_AreListedAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *admin.Config) { c.Webhooks = &fakeWebhooks{} })
	ctx := t.Context()
	list, err := w.client.Webhooks(ctx)
	if err != nil || len(list) != 1 || list[0].State != webhook.StateHeld || list[0].Reason != "gone" || list[0].Since == nil {
		t.Errorf("got %+v, %v", list, err)
	}
	got, err := w.client.ResumeWebhook(ctx, "billing", "start")
	if err != nil || got.State != webhook.StateSending || got.Since != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if status, body, _ := w.ask("POST", "/api/webhooks/billing/resume", ""); status != 200 {
		t.Errorf("without a body: got %d %s", status, body)
	}
	if status, body, _ := w.ask("POST", "/api/webhooks/nobody/resume", ""); status != 404 {
		t.Errorf("of an unknown webhook: got %d %s", status, body)
	}
	if status, body, _ := w.ask("POST", "/api/webhooks/billing/resume", `{"from": "nothing"}`); status != 400 || !strings.Contains(body, "no such record") {
		t.Errorf("from an unknown record: got %d %s", status, body)
	}
}

func TestWebhooks_ThereMayBeNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if list, err := w.client.Webhooks(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
	if status, body, _ := w.ask("POST", "/api/webhooks/billing/resume", ""); status != 404 {
		t.Errorf("got %d %s", status, body)
	}
}
