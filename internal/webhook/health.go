package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// State says in one word how a webhook is.
type State string

// The states.
const (
	StateSending State = "sending"
	StateFailing State = "failing" // it tries again
	StateHeld    State = "held"    // it waits for an operator
)

// Status is how a webhook is.
type Status struct {
	Name     string
	URL      string // without query and user
	Format   Format
	Events   []string
	State    State
	Reason   string // of the last failure, or the Held; empty where it sends
	Since    time.Time
	Failures int // in a row
}

// status says how the endpoint is.
func (e *endpoint) status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{Name: e.w.Name, URL: e.w.place(), Format: e.w.Format, Events: e.w.Events, State: StateSending}
	switch {
	case e.state.held != "":
		s.State, s.Reason, s.Since = StateHeld, string(e.state.held), e.since
	case e.failures > 0:
		s.State, s.Reason, s.Since, s.Failures = StateFailing, e.reason, e.since, e.failures
	}
	return s
}

// failUnless is fail, unless we have given up because ctx is done.
func (e *endpoint) failUnless(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	return e.fail(err)
}

// fail counts a failure and gives how long to wait. It is logged once until something is taken again.
func (e *endpoint) fail(err error) time.Duration {
	e.meters.failures.Inc()
	e.mu.Lock()
	e.failures++
	failures := e.failures
	e.reason = err.Error()
	if failures == 1 {
		e.since = time.Now()
	}
	e.mu.Unlock()
	if failures == 1 {
		e.log.Warn("a webhook cannot be delivered; it is tried again", "webhook", e.w.Name, "reason", err)
	}
	wait := backoff(failures)
	var refused *refusal
	if errors.As(err, &refused) {
		wait = max(wait, refused.after)
	}
	return wait
}

// succeed says that events were taken.
func (e *endpoint) succeed(events int) {
	e.meters.events.Add(events)
	e.mu.Lock()
	failures := e.failures
	e.failures, e.reason = 0, ""
	e.mu.Unlock()
	if failures > 0 {
		e.log.Info("a webhook is delivered again", "webhook", e.w.Name, "failures", failures)
	}
}

// hold stops sending until an operator says how to go on.
func (e *endpoint) hold(ctx context.Context, resumes int, why Held) {
	e.mu.Lock()
	e.since = time.Now()
	e.mu.Unlock()
	if err := e.change(ctx, resumes, func(s *state) { s.held = why }); err != nil {
		e.log.Error("that a webhook is held was not kept", "webhook", e.w.Name, "reason", err)
	}
	e.log.Error("a webhook is held until it is resumed (pilotlight webhook resume)", "webhook", e.w.Name, "reason", string(why))
}

// meters are an endpoint's metrics.
type meters struct {
	events, failures *metrics.Counter
}

func (e *endpoint) meter(set *metrics.Set) {
	label := fmt.Sprintf("{webhook=%q}", e.w.Name)
	e.meters = meters{
		events:   set.NewCounter("pilotlight_webhook_events_total" + label),
		failures: set.NewCounter("pilotlight_webhook_failures_total" + label),
	}
	is := func(state State) func() float64 {
		return func() float64 {
			if e.status().State == state {
				return 1
			}
			return 0
		}
	}
	for _, state := range []State{StateSending, StateFailing, StateHeld} {
		set.NewGauge(fmt.Sprintf("pilotlight_webhook_state{webhook=%q,state=%q}", e.w.Name, state), is(state))
	}
}
