package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

// fakePools remembers what it is asked.
type fakePools struct {
	tuned, asked map[string]string
	failure      error
}

func (f *fakePools) Tune(_ context.Context, _ string, changes map[string]string) error {
	f.tuned = changes
	return f.failure
}

func (f *fakePools) Values(string) map[string]string { return f.tuned }

func (f *fakePools) Fixed(key string) string {
	if key == "host_memory" {
		return "is part of each slot"
	}
	return ""
}

func (f *fakePools) WhatIf(_ context.Context, pool string, changes map[string]string) (*whatif.Answer, error) {
	f.asked = changes
	if f.failure != nil {
		return nil, f.failure
	}
	return &whatif.Answer{
		Simulated: true, Pool: pool, Requests: 1234, Now: whatif.Outcome{WaitP99: 12_000_000}, Changes: []whatif.Change{{Key: "slots.max", Now: "0", Then: "2"}},
		Difference: []string{"It would cost $1.00 less."}, Assumptions: []string{"Both are simulated."},
	}, nil
}

func (w *world) operatorAt() *browser {
	w.t.Helper()
	b := w.browser(w.operator)
	b.signIn(adminToken)
	return b
}

func TestPools_ShowWhatCanBeChangedAndWhatCannot(t *testing.T) {
	w := newWorld(t)
	page := w.operatorAt().get("/pools").body
	for _, want := range []string{`name="slots.max" value="0"`, `name="parked_gpu_memory"`, "host_memory is part of each slot", `formaction="/pools/h100/what-if"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(page, `name="host_memory"`) {
		t.Error("the page has a field for what cannot be changed")
	}
}

// Only what differs is asked about; what is of the config is no part of the change that is offered.
func TestPools_WhatIf(t *testing.T) {
	w := newWorld(t)
	b := w.operatorAt()
	form := url.Values{"slots.min": {"0"}, "slots.max": {"2"}, "policy": {"kpa"}, "idle_after": {""}}
	r := b.do("POST", "/pools/h100/what-if", form)
	if diff := cmp.Diff(map[string]string{"slots.max": "2", "policy": "kpa"}, w.pools.asked); diff != "" || r.status != 200 {
		t.Fatalf("got %d; asked (-want +got):\n%s", r.status, diff)
	}
	for _, want := range []string{"simulated", "1,234 requests", "It would cost $1.00 less.", "Both are simulated.", "12.00 s", `<input type="hidden" name="slots.max" value="2">`, "<code>policy</code>"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(r.body, `type="hidden" name="policy"`) || w.pools.tuned != nil {
		t.Error("a question changes something, or offers to change what is of the config")
	}
	if r := b.do("POST", "/pools/h100", url.Values{"slots.max": {"2"}, "confirm": {"yes"}}); r.status != 303 || w.pools.tuned["slots.max"] != "2" {
		t.Errorf("got %d, tuned %v; want the pool changed", r.status, w.pools.tuned)
	}
}

func TestPools_WhatIfRefusals(t *testing.T) {
	w := newWorld(t)
	b := w.operatorAt()
	change := url.Values{"slots.max": {"2"}}
	for _, row := range []struct {
		failure error
		form    url.Values
		status  int
		says    string
	}{
		{whatif.ErrNothing, change, 404, "nothing to simulate"},
		{whatif.ErrBusy, change, 503, "try again"},
		{whatif.ErrTooLong, change, 503, "too long"},
		{nil, url.Values{"slots.max": {"0"}}, 400, "Nothing is different"},
	} {
		w.pools.failure = row.failure
		if r := b.do("POST", "/pools/h100/what-if", row.form); r.status != row.status || !strings.Contains(r.body, row.says) {
			t.Errorf("%v: got %d, want a %d that says %q", row.failure, r.status, row.status, row.says)
		}
	}
	if r := b.do("POST", "/pools/none/what-if", change); r.status != 404 {
		t.Errorf("an unknown pool: got %d", r.status)
	}
	secret, _ := w.token("acme", "inference", "usage:read", "tokens:manage")
	c := w.browser(w.operator)
	c.signIn(secret)
	if r := c.do("POST", "/pools/h100/what-if", change); r.status != 403 {
		t.Errorf("a caller: got %d, want no rights", r.status)
	}
}
