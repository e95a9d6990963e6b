package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestWebhooks_AreReadWithTheirDefaults(t *testing.T) {
	c, err := Parse("f.hcl", []byte(`
webhook "billing" {
  url        = "https://billing.example.com/usage?a=b"
  secret_env = "BILLING_SECRET"
}
webhook "stripe" {
  url        = "https://api.stripe.com/v1/billing/meter_events"
  secret_env = "STRIPE_KEY"
  format     = "stripe"
  events     = ["usage"]
  customers  = { acme = "cus_1", "a-b" = "cus_2" }
}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Webhook{
		{Name: "billing", URL: "https://billing.example.com/usage?a=b", SecretEnv: "BILLING_SECRET", Events: []string{"usage"}, Format: "cloudevents"},
		{
			Name: "stripe", URL: "https://api.stripe.com/v1/billing/meter_events", SecretEnv: "STRIPE_KEY", Events: []string{"usage"}, Format: "stripe",
			Customers: map[string]string{"acme": "cus_1", "a-b": "cus_2"},
		},
	}
	if !reflect.DeepEqual(c.Webhooks, want) {
		t.Errorf("got %+v", c.Webhooks)
	}
}

func TestWebhooks_MistakesSayWhatWouldBeRight(t *testing.T) {
	const good = "  url = \"https://h.test/\"\n  secret_env = \"S\"\n"
	for body, says := range map[string]string{
		`secret_env = "S"`:                                                 "f.hcl:1: url is missing; write the address",
		`url = "https://h.test/"`:                                          "f.hcl:1: secret_env is missing; write the name of the environment variable",
		"url = \"ftp://h.test/\"\n  secret_env = \"S\"":                    "f.hcl:2: url is no address of an endpoint",
		"url = \"https://a:b@h.test/\"\n  secret_env = \"S\"":              "f.hcl:2: url holds a user's name",
		"url = \"https://h.test/#x\"\n  secret_env = \"S\"":                "f.hcl:2: url has a fragment",
		good + `events = []`:                                               "f.hcl:4: events is empty",
		good + `events = ["usages"]`:                                       `f.hcl:4: events: "usages" is no event; did you mean "usage"?`,
		good + "events = [\"budget.threshold\"]\n  format = \"openmeter\"": `f.hcl:4: events: "budget.threshold" has no form in format "openmeter"`,
		good + `format = "xml"`:                                            `f.hcl:4: format "xml" is unknown`,
		good + `format = "stripe"`:                                         `f.hcl:1: webhook "w": Stripe bills its own customers`,
		good + `customers = { acme = "cus_1" }`:                            `f.hcl:4: customers belongs to format "stripe" or "openmeter"; leave it out`,
	} {
		_, err := Parse("f.hcl", []byte("webhook \"w\" {\n  "+strings.TrimPrefix(body, "  ")+"\n}\n"))
		if err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%s\ngot  %v\nwant %s", body, err, says)
		}
	}
	_, err := Parse("f.hcl", []byte(strings.Repeat("webhook \"w\" {\n"+good+"}\n", 2)))
	if err == nil || !strings.Contains(err.Error(), `f.hcl:5: webhook "w" was written before, in line 1`) {
		t.Errorf("got %v", err)
	}
}

func TestWebhooks_AnyChangeNeedsARestart(t *testing.T) {
	with := func(w ...Webhook) *Config { c := Options{}.Default(); c.Webhooks = w; return c }
	for _, c := range []struct{ old, next *Config }{
		{with(), with(Webhook{Name: "a"})}, {with(Webhook{Name: "a"}), with()}, {with(Webhook{Name: "a"}), with(Webhook{Name: "a", URL: "x"})},
	} {
		if got := Diff(c.old, c.next); len(got) != 1 || !got[0].Restart || got[0].Name != "a" {
			t.Errorf("got %v", got)
		}
	}
}
