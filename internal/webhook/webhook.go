package webhook

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The events that a webhook can ask for.
const (
	EventUsage           = "usage"            // one for each usage record, corrections included
	EventBudgetThreshold = "budget.threshold" // a budget is half, four fifths or all used
)

// Events are all events that there are.
var Events = []string{EventUsage, EventBudgetThreshold}

// Format says what a request to an endpoint looks like.
type Format string

// The formats. CloudEvents are signed as Standard Webhooks has it; the others carry their API's key.
const (
	CloudEvents Format = "cloudevents" // CloudEvents 1.0, a JSON batch
	OpenMeter   Format = "openmeter"   // the same for OpenMeter's ingestion: usage alone, its subject a customer, its data flat
	Stripe      Format = "stripe"      // Stripe's meter events: usage alone, one a request
)

// Formats are all formats that there are.
var Formats = []Format{CloudEvents, OpenMeter, Stripe}

// Webhook is one endpoint of the operator's.
type Webhook struct {
	Name      string
	URL       string // http or https
	Secret    string // CloudEvents: the key of signatures, whsec_ and base64, or any text; else the API's key
	Events    []string
	Format    Format            // empty = CloudEvents
	Customers map[string]string // org -> the customer that it is in Stripe or OpenMeter; of Stripe, others are not sent, of OpenMeter, by their own names
}

// check brings a webhook into its full form and says what is wrong with it.
func (w *Webhook) check() error {
	if w.Format == "" {
		w.Format = CloudEvents
	}
	u, err := url.Parse(w.URL)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("webhook %q: its URL is not one of http or https", w.Name)
	case w.Secret == "":
		return fmt.Errorf("webhook %q has no secret", w.Name)
	case !slices.Contains(Formats, w.Format):
		return fmt.Errorf("webhook %q: there is no format %q", w.Name, w.Format)
	case w.Format == Stripe && len(w.Customers) == 0:
		return fmt.Errorf("webhook %q: Stripe needs customers", w.Name)
	case len(w.Events) == 0:
		return fmt.Errorf("webhook %q asks for no events", w.Name)
	}
	for _, e := range w.Events {
		if !slices.Contains(Events, e) || w.Format != CloudEvents && e != EventUsage {
			return fmt.Errorf("webhook %q: format %s has no event %q", w.Name, w.Format, e)
		}
	}
	if _, err := signingKey(w.Secret); err != nil && w.Format == CloudEvents {
		return fmt.Errorf("webhook %q: %w", w.Name, err)
	}
	return nil
}

func (w *Webhook) wants(event string) bool { return slices.Contains(w.Events, event) }

// place is the URL without what may be secret in it.
func (w *Webhook) place() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), "/")
}
