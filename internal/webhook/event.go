package webhook

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store"
)

// typePrefix is what the types of our events begin with.
const typePrefix = "io.pilotlight."

// stripeEvent is the name of the meter's events in Stripe.
const stripeEvent = "pilotlight_usage"

// message is one request to an endpoint.
type message struct {
	ids         []string // of its events
	contentType string
	body        []byte
	cursor      string         // where the endpoint is once it has taken the message; of usage alone
	notices     []store.Notice // that it carries
}

// cloudEvent is an event in the JSON of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"` // the org, or the customer that it is
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

func (e *endpoint) event(id, kind, subject string, at time.Time, data []byte) cloudEvent {
	return cloudEvent{"1.0", id, e.source, typePrefix + kind, subject, at.UTC().Format("2006-01-02T15:04:05.000000Z"), "application/json", data}
}

// meterData is what a meter needs of a record: numbers that can be summed, and what to group them by.
type meterData struct {
	Kind             ledger.Kind `json:"kind"`
	Model            string      `json:"model"`
	TokenID          string      `json:"token_id"`
	Status           string      `json:"status"`
	PromptTokens     int64       `json:"prompt_tokens"`
	CompletionTokens int64       `json:"completion_tokens"`
	BilledUS         int64       `json:"billed_us"`
	GPUUS            int64       `json:"gpu_us"`
	Cost             int64       `json:"cost_nano_usd"`
}

// notices makes the message of notices.
func (e *endpoint) notices(pending []store.Notice) (message, error) {
	m := message{notices: pending}
	var events []cloudEvent
	for _, n := range pending {
		m.ids = append(m.ids, n.ID)
		events = append(events, e.event(n.ID, n.Event, n.Org, n.At, []byte(n.Data)))
	}
	return m, m.batch(events)
}

// usage makes the messages of records; last is the cursor behind the last of them.
func (e *endpoint) usage(records []ledger.Record, last string) ([]message, error) {
	if e.w.Format == Stripe {
		return e.meterEvents(records, last), nil
	}
	m := message{cursor: last}
	var events []cloudEvent
	for i := range records {
		r := &records[i]
		event, err := e.usageEvent(r)
		if err != nil {
			return nil, fmt.Errorf("writing usage record %s: %w", r.ID, err)
		}
		m.ids, events = append(m.ids, r.ID), append(events, event)
	}
	if err := m.batch(events); err != nil {
		return nil, err
	}
	return []message{m}, nil
}

func (e *endpoint) usageEvent(r *ledger.Record) (cloudEvent, error) {
	if e.w.Format == CloudEvents {
		data, err := r.MarshalJSON()
		return e.event(r.ID, EventUsage, r.Org, endOf(r), data), err
	}
	data, err := json.Marshal(meterData{
		r.Kind, r.Model, r.TokenID, string(r.Status), r.PromptTokens, r.CompletionTokens,
		r.Billed.Microseconds(), r.Billed.Microseconds() * int64(r.GPUs), int64(r.Cost),
	})
	subject := r.Org
	if customer := e.w.Customers[r.Org]; customer != "" {
		subject = customer
	}
	return e.event(r.ID, EventUsage, subject, endOf(r), data), err
}

func (m *message) batch(events []cloudEvent) (err error) {
	m.contentType = "application/cloudevents-batch+json; charset=utf-8"
	m.body, err = json.Marshal(events)
	return err
}

// meterEvents makes a meter event of each record of an org that is a customer; the others are passed over. The value is nano-USD, for
// Stripe takes whole numbers alone.
func (e *endpoint) meterEvents(records []ledger.Record, last string) []message {
	var all []message
	for i := range records {
		r, cursor := &records[i], records[i].ID
		if i == len(records)-1 {
			cursor = last
		}
		customer := e.w.Customers[r.Org]
		if customer == "" {
			if len(all) > 0 {
				all[len(all)-1].cursor = cursor
			} else {
				all = append(all, message{cursor: cursor})
			}
			continue
		}
		form := url.Values{
			"event_name": {stripeEvent}, "identifier": {r.ID}, "timestamp": {strconv.FormatInt(r.DispatchedAt.Unix(), 10)},
			"payload[stripe_customer_id]": {customer}, "payload[value]": {strconv.FormatInt(int64(r.Cost), 10)},
		}
		all = append(all, message{
			ids: []string{r.ID}, contentType: "application/x-www-form-urlencoded", body: []byte(form.Encode()), cursor: cursor,
		})
	}
	return all
}

// endOf is when what a record tells of was over.
func endOf(r *ledger.Record) time.Time {
	if end := r.DispatchedAt.Add(r.Upstream); end.After(r.ReceivedAt) {
		return end
	}
	return r.ReceivedAt
}
