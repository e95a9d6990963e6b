package admin_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/whatif"
)

// teller answers what a test has set.
type teller struct {
	pool    string
	asked   map[string]string
	answer  *whatif.Answer
	failure error
	began   chan struct{} // gets one for each question that waits for its context; nil = none does
	ended   chan error
}

func (f *teller) WhatIf(ctx context.Context, pool string, changes map[string]string) (*whatif.Answer, error) {
	f.pool, f.asked = pool, changes
	if f.began != nil {
		f.began <- struct{}{}
		<-ctx.Done()
		f.ended <- context.Cause(ctx)
		return nil, context.Cause(ctx)
	}
	return f.answer, f.failure
}

func withTeller(f *teller) func(*admin.Config) { return func(c *admin.Config) { c.WhatIf = f } }

func TestWhatIf(t *testing.T) {
	t.Parallel()
	f := &teller{answer: &whatif.Answer{
		Simulated: true, Pool: "local", From: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Requests: 7, Now: whatif.Outcome{ColdStarts: 2},
		Changes: []whatif.Change{{Key: "slots.max", Now: "4", Then: "2"}}, Difference: []string{"a"}, Assumptions: []string{"b"},
	}}
	w := newWorld(t, withTeller(f))
	got, err := w.client.WhatIf(t.Context(), "local", map[string]string{"slots.max": "2", "policy": "kpa"})
	check(t, err)
	if diff := cmp.Diff(map[string]string{"slots.max": "2", "policy": "kpa"}, f.asked); diff != "" || f.pool != "local" {
		t.Errorf("asked of %s (-want +got):\n%s", f.pool, diff)
	}
	if diff := cmp.Diff(f.answer.Now, got.Now); diff != "" || got.Requests != 7 || !got.From.Equal(f.answer.From) || len(w.fleet.tuned) > 0 {
		t.Errorf("got %+v, tuned %v (-want +got):\n%s", got, w.fleet.tuned, diff)
	}
}

func TestWhatIf_Refusals(t *testing.T) {
	t.Parallel()
	f := &teller{}
	w := newWorld(t, withTeller(f))
	for _, row := range []struct {
		pool, body string
		failure    error
		status     int
		says       string
	}{
		{"none", `{"slot_idle": "5m"}`, nil, 404, "no pool of this name"},
		{"local", `{}`, nil, 400, "at least one"},
		{"local", `{"slot_idle": ["5m"]}`, nil, 400, "slot_idle"},
		{"local", `{"slot_idle": "5m"}`, whatif.ErrNothing, 404, "recorded"},
		{"local", `{"slot_idle": "5m"}`, whatif.ErrBusy, 503, "try again"},
		{"local", `{"slot_idle": "5m"}`, whatif.ErrTooLong, 503, "took too long"},
	} {
		f.failure = row.failure
		if status, body, _ := w.ask("POST", "/api/pools/"+row.pool+"/what-if", row.body); status != row.status || !strings.Contains(body, row.says) {
			t.Errorf("%s of %s: got %d %s, want a %d that says %q", row.body, row.pool, status, body, row.status, row.says)
		}
	}
}

// Who leaves ends the simulation.
func TestWhatIf_EndsWithItsClient(t *testing.T) {
	t.Parallel()
	f := &teller{began: make(chan struct{}), ended: make(chan error, 1)}
	w := newWorld(t, withTeller(f))
	c, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	check(t, err)
	const body = `{"slot_idle": "5m"}`
	_, err = c.Write([]byte("POST /api/pools/local/what-if HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + adminToken + "\r\nContent-Length: 19\r\n\r\n" + body))
	check(t, err)
	<-f.began
	check(t, c.Close())
	select {
	case err := <-f.ended:
		if err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want why the client is gone", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the simulation goes on")
	}
}
