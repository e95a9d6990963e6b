package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := began.Truncate(time.Microsecond)
	w.fleet.waiting = []fleet.Waiting{
		{Model: "acme/a", Org: "acme", Request: "r-1", Place: 1, Since: began, Until: began.Add(time.Minute)},
		{Model: "acme/a", Org: "zoo", Request: "r-2", Place: 2, Since: began, Retry: true},
		{Model: "acme/b", Org: "zoo", Request: "r-3", Place: 1, Since: began},
	}
	got, err := w.client.Queue(t.Context(), "acme/a")
	check(t, err)
	want := &admin.Queue{Total: 2, Waiting: []admin.Waiting{
		{Model: "acme/a", Org: "acme", RequestID: "r-1", Place: 1, Since: admin.Time{Time: began}, Until: &admin.Time{Time: began.Add(time.Minute)}},
		{Model: "acme/a", Org: "zoo", RequestID: "r-2", Place: 2, Retry: true, Since: admin.Time{Time: began}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, body, _ := w.ask("GET", "/api/queue?limit=1", ""); !strings.Contains(body, `"total":3`) || !strings.Contains(body, "r-1") || strings.Contains(body, "r-2") {
		t.Errorf("got %s, want one of three", body)
	}
	if ended, err := w.client.ChangeQueue(t.Context(), admin.QueueChange{Action: "end", Model: "acme/a", Org: "zoo"}); err != nil || ended.Ended != 1 {
		t.Errorf("ending: got %+v, %v", ended, err)
	}
	if _, err := w.client.ChangeQueue(t.Context(), admin.QueueChange{Action: "first", Model: "acme/b", Org: "zoo", RequestID: "r-3"}); err != nil {
		t.Errorf("putting first: got %v", err)
	}
	for _, row := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"action": "end", "model": "acme/a", "org": "nobody"}`, 404, "lists who does"},
		{`{"action": "first", "model": "acme/a", "org": "acme", "request_id": "r-9"}`, 404, "lists who does"},
		{`{"action": "jump", "model": "acme/a", "org": "acme"}`, 400, "possible are first, end"},
	} {
		if status, body, _ := w.ask("POST", "/api/queue", row.body); status != row.status || !strings.Contains(body, row.says) {
			t.Errorf("%s: got %d %s", row.body, status, body)
		}
	}
}
