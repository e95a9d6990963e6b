package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

// TestSignature_IsThatOfStandardWebhooks computes it as a receiver does.
func TestSignature_IsThatOfStandardWebhooks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		w.use(1)
		settle(2 * time.Second)
		q := w.receiver.take()[0]
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		stamp := q.header.Get("webhook-timestamp")
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(q.header.Get("webhook-id") + "." + stamp + "." + string(q.body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); q.header.Get("webhook-signature") != want {
			t.Errorf("got the signature %q, want %q", q.header.Get("webhook-signature"), want)
		}
		if at, err := strconv.ParseInt(stamp, 10, 64); err != nil || at != q.at.Unix() {
			t.Errorf("got the timestamp %q at %d", stamp, q.at.Unix())
		}
		if text := q.header.Get("Authorization"); text != "" {
			t.Errorf("a signed request carries %q", text)
		}
	})
}

// TestStripe_OneEventARequestOfCustomersOnly has the shape that Stripe's API takes.
func TestStripe_OneEventARequestOfCustomersOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hook = webhook.Webhook{
			Name: "stripe", URL: "https://receiver.test/v1/billing/meter_events", Secret: "sk_test_1", Format: webhook.Stripe,
			Events: []string{webhook.EventUsage}, Customers: map[string]string{"acme": "cus_1"},
		}
		w.hook.URL = "http://receiver.test/v1/billing/meter_events"
		w.start()
		want := w.use(2)
		other := &ledger.Record{Org: "zoo", Model: "m", GPUs: 1, DispatchedAt: time.Now(), Billed: time.Second, Price: 1e9, Status: ledger.Complete}
		if err := w.ledger.Append(other); err != nil {
			t.Fatal(err)
		}
		want = append(want, w.use(1)...)
		settle(2 * time.Second)
		got := w.receiver.take()
		if len(got) != 3 {
			t.Fatalf("got %d requests, want 3", len(got))
		}
		for i, q := range got {
			f := q.form(t)
			if f.Get("identifier") != want[i] || q.header.Get("Idempotency-Key") != want[i] || f.Get("payload[value]") != "4583333" ||
				f.Get("payload[stripe_customer_id]") != "cus_1" || f.Get("event_name") != "pilotlight_usage" ||
				q.header.Get("Authorization") != "Bearer sk_test_1" || f.Get("timestamp") == "" || q.header.Get("webhook-signature") != "" {
				t.Errorf("request %d: %v, %v", i, f, q.header)
			}
		}
		settle(time.Minute)
		if got := w.receiver.take(); len(got) != 0 {
			t.Errorf("%d requests came again", len(got))
		}
	})
}

// TestStripe_NothingOlderThanItsMemoryUnasked: after a long outage it stops and waits, also over a restart.
func TestStripe_NothingOlderThanItsMemoryUnasked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hook.Format, w.hook.Events, w.hook.Customers = webhook.Stripe, []string{webhook.EventUsage}, map[string]string{"acme": "cus_1"}
		w.start()
		w.receiver.answers(status(500))
		want := w.use(1)
		settle(23 * time.Hour)
		w.receiver.answers(nil)
		settle(10 * time.Minute)
		taken := w.receiver.take()
		if last := taken[len(taken)-1].form(t); last.Get("identifier") != want[0] {
			t.Fatalf("after 23 hours it was not sent: %v", last)
		}
		w.wantState(webhook.StateSending, "")
		w.receiver.answers(status(500))
		want = w.use(2)
		settle(25 * time.Hour)
		w.receiver.take()
		w.receiver.answers(nil)
		settle(time.Hour)
		if got := w.receiver.take(); len(got) != 0 {
			t.Fatalf("after 25 hours %d came again unasked", len(got))
		}
		w.wantState(webhook.StateHeld, "too_old")
		w.stop()
		w.start()
		w.wantState(webhook.StateHeld, "too_old")
		if _, err := w.sender.Resume(t.Context(), "billing", ""); err != nil {
			t.Fatal(err)
		}
		want = append(want, w.use(1)...)
		settle(5 * time.Second)
		var got []string
		for _, q := range w.receiver.take() {
			got = append(got, q.form(t).Get("identifier"))
		}
		w.wantIDs(got, want)
	})
}

func TestOpenMeter_TakesNumbersAndCustomers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hook.Format, w.hook.Events, w.hook.Secret = webhook.OpenMeter, []string{webhook.EventUsage}, "om_key"
		w.hook.Customers = map[string]string{"acme": "customer-1"}
		w.start()
		want := w.use(1)
		settle(2 * time.Second)
		q := w.receiver.take()[0]
		e := q.events(t)[0]
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if e.ID != want[0] || e.Subject != "customer-1" || e.Type != "io.pilotlight.usage" || q.header.Get("Authorization") != "Bearer om_key" ||
			data["gpu_us"] != 2e6 || data["billed_us"] != 1e6 || data["cost_nano_usd"] != 4583333. || data["model"] != "m" {
			t.Errorf("got %+v with %s", e, e.Data)
		}
	})
}

// TestNotify_IsToldOnceAlsoAfterARestart: a notice is in the store before anything is sent.
func TestNotify_IsToldOnceAlsoAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open()
		n := webhook.Notice{ID: "budget/acme/2026-11/80", Event: webhook.EventBudgetThreshold, Org: "acme", Data: map[string]int{"percent": 80}}
		if first, err := w.sender.Notify(t.Context(), n); err != nil || !first {
			t.Fatalf("first %v, error %v", first, err)
		}
		w.start() // another sender, over the same store
		settle(2 * time.Second)
		got := w.receiver.take()
		w.wantIDs(ids(t, got), []string{n.ID})
		if e := got[0].events(t)[0]; e.Type != "io.pilotlight.budget.threshold" || e.Subject != "acme" || string(e.Data) != `{"percent":80}` {
			t.Errorf("got %+v", e)
		}
		if first, err := w.sender.Notify(t.Context(), n); err != nil || first {
			t.Errorf("told again: first %v, error %v", first, err)
		}
		settle(time.Minute)
		if again := w.receiver.take(); len(again) != 0 {
			t.Errorf("%d requests came again", len(again))
		}
		if _, err := w.sender.Notify(t.Context(), webhook.Notice{ID: "x", Event: "no.such", Org: "acme"}); err == nil {
			t.Error("an unknown event was accepted")
		}
	})
}

// TestNew_RefusesWhatCannotWork names what is wrong.
func TestNew_RefusesWhatCannotWork(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		good := w.hook
		for what, change := range map[string]func(h *webhook.Webhook){
			"URL":       func(h *webhook.Webhook) { h.URL = "file:///etc/passwd" },
			"secret":    func(h *webhook.Webhook) { h.Secret = "short" },
			"whsec_":    func(h *webhook.Webhook) { h.Secret = "whsec_?" },
			"events":    func(h *webhook.Webhook) { h.Events = nil },
			"usages":    func(h *webhook.Webhook) { h.Events = []string{"usages"} },
			"format":    func(h *webhook.Webhook) { h.Format = "xml" },
			"customers": func(h *webhook.Webhook) { h.Format, h.Events = webhook.Stripe, []string{webhook.EventUsage} },
			"budget":    func(h *webhook.Webhook) { h.Format = webhook.OpenMeter },
		} {
			h := good
			h.Events = slices.Clone(good.Events)
			change(&h)
			_, err := webhook.New(t.Context(), webhook.Config{Webhooks: []webhook.Webhook{h}, Records: w.ledger, Store: w.store})
			if err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: got %v", what, err)
			}
		}
	})
}
