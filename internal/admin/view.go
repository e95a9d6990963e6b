package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
	"github.com/pilotlight-io/pilotlight/internal/tenant/wire"
)

// The lists as they are on the wire: an object each, so that it can grow.
type (
	orgList struct {
		Orgs []Org `json:"orgs"`
	}
	tokenList struct {
		Tokens []Token `json:"tokens"`
	}
	modelList struct {
		Models []Model `json:"models"`
	}
	instanceList struct {
		Instances []Instance `json:"instances"`
	}
	activationList struct {
		Activations []Activation `json:"activations"`
	}
	poolList struct {
		Pools []Pool `json:"pools"`
	}
)

// each turns every element into its view. The result is never nil: JSON shows an empty list, not null.
func each[T, V any](all []T, view func(T) V) []V {
	views := make([]V, 0, len(all))
	for _, one := range all {
		views = append(views, view(one))
	}
	return views
}

func same[T any](all []T) []T { return each(all, func(one T) T { return one }) }

func orgView(o tenant.Org, now time.Time) Org {
	return Org{Name: o.Name, State: o.State, Models: same(o.Models), Limits: wire.LimitsOf(o.Limits, now), CreatedAt: Time{Time: o.CreatedAt}}
}

func modelView(s fleet.ModelStatus) Model {
	m := s.Model
	return Model{
		ID: m.ID, State: s.State, GPUs: m.GPUs, Pool: m.Pool, Engine: m.Engine.Kind, Endpoints: same(m.Endpoints),
		ContextLength: m.ContextLength, MaxConcurrency: m.MaxConcurrency, IdleAfter: fleet.FormatDuration(m.IdleAfter),
		Instances: Range(m.Instances), Hot: s.Hot, Starting: s.Pending, Parked: s.Parked, Waiting: s.Waiting,
		Inflight: s.Inflight, Desired: desiredView(s.Desired), Outlook: outlookView(s.Outlook),
	}
}

func desiredView(d fleet.Desired) Desired {
	return Desired{Hot: d.Hot, Parked: d.Parked, Reason: d.Reason, ReviewAt: at(d.ReviewAt)}
}

func outlookView(o fleet.Outlook) Outlook {
	view := Outlook{Answer: o.Answer, Phase: o.Phase, Reason: o.Reason}
	if o.ETA > 0 {
		us := o.ETA.Microseconds()
		view.ETAUS = &us
	}
	return view
}

func explanationView(model string, e fleet.Explanation, now time.Time) Explanation {
	v := e.View
	view := Explanation{
		Model: model, Waiting: v.Waiting, Inflight: v.Inflight, Starting: v.Pending, Parked: v.Parked,
		Hot: each(v.Hot, func(h fleet.HotView) HotInstance {
			return HotInstance{ID: h.ID, Leases: h.Leases, IdleSince: at(h.IdleSince), ReadyAt: at(h.ReadyAt)}
		}),
		IdleSince: at(v.IdleSince), HeldUntil: at(v.HeldUntil), Desired: desiredView(e.Desired),
		Outlook: outlookView(e.Outlook), Actions: same(e.Actions), Request: e.Request, Ahead: e.Ahead,
	}
	if f := e.Failure; f.Reason != "" {
		view.Failure = &Failure{At: Time{Time: f.At}, Instance: f.Instance, Slot: f.Slot, Node: f.Node, Cause: f.Cause, Reason: f.Reason}
	}
	view.Text = explanationText(model, e, now)
	return view
}

// explanationText says in sentences what an explanation says in fields.
func explanationText(model string, e fleet.Explanation, now time.Time) string {
	v := e.View
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s: %d hot, %d starting, %d parked; %d waiting, %d in flight", model, len(v.Hot), v.Pending, v.Parked, v.Waiting, v.Inflight)
	if !v.IdleSince.IsZero() {
		line("idle for %s", ago(now, v.IdleSince))
	}
	if v.HeldUntil.After(now) {
		line("held hot by an operator for another %s", ago(v.HeldUntil, now))
	}
	for _, h := range v.Hot {
		if h.IdleSince.IsZero() {
			line("  %s serves %d", h.ID, h.Leases)
		} else {
			line("  %s has been idle for %s", h.ID, ago(now, h.IdleSince))
		}
	}
	line("wanted: %d hot, %s parked: %s", e.Desired.Hot, copies(e.Desired.Parked), reasonOr(e.Desired.Reason))
	if f := e.Failure; f.Reason != "" {
		line("its last failure: %s ago, %s%s: %s", ago(now, f.At), f.Instance, whereFailed(f), f.Reason)
	}
	if e.Outlook.Reason != "" {
		line("whoever waits is told: %s: %s", e.Outlook.Answer, e.Outlook.Reason)
	}
	for _, a := range e.Actions {
		line("would: %s", a)
	}
	if len(e.Actions) == 0 {
		line("nothing to do")
	}
	if e.Request != "" {
		line("a request now: %s", e.Request)
	}
	if e.Ahead != "" {
		line("unless one comes: %s", e.Ahead)
	}
	if !e.Desired.ReviewAt.IsZero() && e.Desired.ReviewAt.After(now) {
		line("looks again in %s, or as soon as something happens", ago(e.Desired.ReviewAt, now))
	}
	return b.String()
}

func whereFailed(f fleet.Failure) string {
	switch {
	case f.Slot != "":
		return fmt.Sprintf(" on slot %s of node %s", f.Slot, f.Node)
	case f.Node != "":
		return " on node " + f.Node
	}
	return ", which was not placed"
}

func ago(now, then time.Time) string {
	return fleet.FormatDuration(max(now.Sub(then), 0).Round(100 * time.Millisecond))
}

// copies gives a number of parked copies; a policy that leaves it to the pool how many there is room for wishes very many.
func copies(n int) string {
	if n > 1000 {
		return "as many as there is room for"
	}
	return strconv.Itoa(n)
}

func reasonOr(reason string) string {
	if reason == "" {
		return "the policy gives no reason"
	}
	return reason
}

func activationView(a fleet.Activation) Activation {
	return Activation{
		ID: a.ID, Model: a.Model, Instance: a.Instance, From: a.From, Reason: a.Reason, BeganAt: Time{Time: a.Began},
		EndedAt: at(a.Ended), Failure: a.Failure, GPUUS: microseconds(a.GPUSeconds), WaitedUS: a.Waited.Microseconds(),
		Phases: each(a.Phases, func(p fleet.PhaseTime) PhaseTime { return PhaseTime{p.Phase, Time{Time: p.At}} }),
	}
}

// microseconds of GPU time, which is exact to less than one.
func microseconds(seconds float64) int64 { return int64(math.Round(seconds * 1e6)) }
