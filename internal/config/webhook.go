package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// The formats of a webhook's requests.
const (
	WebhookCloudEvents = "cloudevents"
	WebhookOpenMeter   = "openmeter"
	WebhookStripe      = "stripe"
)

// The events that a webhook can ask for.
const (
	WebhookUsage           = "usage"
	WebhookBudgetThreshold = "budget.threshold"
)

// Webhook is an endpoint of the operator's that is sent usage and notices.
type Webhook struct {
	Name      string
	URL       string
	SecretEnv string   // the environment variable that holds the secret
	Events    []string // WebhookUsage, WebhookBudgetThreshold
	Format    string
	Customers map[string]string // org -> customer; Stripe and OpenMeter only
}

type webhookHCL struct {
	Name      string         `hcl:"name,label"`
	URL       *hcl.Attribute `hcl:"url,optional"`
	SecretEnv *hcl.Attribute `hcl:"secret_env,optional"`
	Events    *hcl.Attribute `hcl:"events,optional"`
	Format    *hcl.Attribute `hcl:"format,optional"`
	Customers *hcl.Attribute `hcl:"customers,optional"`
	Range     hcl.Range      `hcl:",def_range"`
}

// webhooks gives the webhooks of the file.
func (r *reader) webhooks(blocks []*webhookHCL) []Webhook {
	var all []Webhook
	first := map[string]int{} // name -> line
	for _, f := range blocks {
		if r.first(first, "webhook", f.Name, f.Range) {
			r.label("webhook", f.Name, f.Range)
			all = append(all, r.webhook(f))
		}
	}
	return all
}

func (r *reader) webhook(f *webhookHCL) Webhook {
	w := Webhook{Name: f.Name, Format: WebhookCloudEvents, Events: []string{WebhookUsage}}
	r.required(f.URL, f.Range, "url", `the address of the endpoint, such as "https://billing.example.com/usage"`)
	r.required(f.SecretEnv, f.Range, "secret_env", `the name of the environment variable that holds its secret`)
	r.endpointURL(f.URL, &w.URL)
	r.variable(f.SecretEnv, &w.SecretEnv)
	r.choice(f.Format, &w.Format, WebhookCloudEvents, WebhookOpenMeter, WebhookStripe)
	if f.Events != nil {
		r.list(f.Events, &w.Events, `a list such as ["usage"]`, func(s string) string {
			switch {
			case s != WebhookUsage && s != WebhookBudgetThreshold:
				return "is no event; " + suggestion(s, []string{WebhookUsage, WebhookBudgetThreshold})
			case s != WebhookUsage && w.Format != WebhookCloudEvents:
				return fmt.Sprintf("has no form in format %q; leave it to a webhook of format %q", w.Format, WebhookCloudEvents)
			}
			return ""
		})
		if len(w.Events) == 0 {
			r.wrong(f.Events.Expr.Range(), "events is empty; name one, or leave the webhook out")
		}
	}
	r.table(f.Customers, &w.Customers, `customers = { acme = "cus_123" }`)
	switch {
	case f.Customers != nil && w.Format == WebhookCloudEvents:
		r.misplaced(f.Customers, `format "stripe" or "openmeter"`)
	case w.Format == WebhookStripe && len(w.Customers) == 0:
		r.wrong(f.Range, `webhook %q: Stripe bills its own customers; say which organisation is which: customers = { acme = "cus_123" }`, f.Name)
	}
	return w
}

func (r *reader) required(attr *hcl.Attribute, block hcl.Range, name, right string) {
	if attr == nil {
		r.wrong(block, "%s is missing; write %s", name, right)
	}
}

// endpointURL reads a URL, which may hold a path and a query, but no secret that everybody who reads the file would see.
func (r *reader) endpointURL(attr *hcl.Attribute, to *string) {
	const right = `a URL in quotes, such as "https://billing.example.com/usage"`
	var s string
	if !r.text(attr, &s, right) {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		r.wrong(attr.Expr.Range(), "%s is no address of an endpoint; write %s", attr.Name, right)
	case u.User != nil:
		r.wrong(attr.Expr.Range(), "%s holds a user's name; leave it out: the secret is that of secret_env", attr.Name)
	case u.Fragment != "":
		r.wrong(attr.Expr.Range(), "%s has a fragment (#…), which is never sent; leave it out", attr.Name)
	default:
		*to = s
	}
}

var webhookAttributes = []attribute[Webhook]{
	{key: "url", effect: effectRestart, text: func(w *Webhook) string { return quoted(w.URL) }},
	{key: "secret_env", effect: effectRestart, text: func(w *Webhook) string { return quoted(w.SecretEnv) }},
	{key: "events", effect: effectRestart, text: func(w *Webhook) string { return listText(w.Events) }},
	{key: "format", effect: effectRestart, text: func(w *Webhook) string { return quoted(w.Format) }},
	{key: "customers", effect: effectRestart, text: func(w *Webhook) string {
		var pairs []string
		for _, org := range slices.Sorted(maps.Keys(w.Customers)) {
			pairs = append(pairs, quoted(org)+" = "+quoted(w.Customers[org]))
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	}},
}

func diffWebhooks(all Changes, old, next []Webhook) Changes {
	named := func(webhooks []Webhook, name string) int {
		return slices.IndexFunc(webhooks, func(w Webhook) bool { return w.Name == name })
	}
	for i := range next {
		w := &next[i]
		if k := named(old, w.Name); k >= 0 {
			all = compare(all, Change{Block: "webhook", Name: w.Name}, webhookAttributes, &old[k], w)
		} else {
			all = append(all, Change{Kind: Added, Block: "webhook", Name: w.Name, Effect: effectRestart, Restart: true})
		}
	}
	for _, w := range old {
		if named(next, w.Name) < 0 {
			all = append(all, Change{Kind: Removed, Block: "webhook", Name: w.Name, Effect: effectRestart, Restart: true})
		}
	}
	return all
}
