package admin_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

func TestServers(t *testing.T) {
	t.Parallel()
	want := []admin.ServerInfo{{
		Host: "node-1", PID: 4711, Version: "v1.2.3", Leader: true, Term: 7, StartedAt: admin.Time{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		API: "10.0.0.7:8080", Admin: "127.0.0.1:8081",
		Config: "abc", LagMS: 12, Differs: []string{"model a is set otherwise"},
	}}
	w := newWorld(t, func(c *admin.Config) { c.Servers = func() []admin.ServerInfo { return want } })
	listed, err := w.client.Servers(t.Context())
	check(t, err)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if status, body, _ := w.ask("GET", "/api/servers?all=1", ""); status != 400 {
		t.Errorf("with an unknown parameter: got %d %s, want 400", status, body)
	}
}
