package admin_test

import (
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/admin"
)

// TestBodies_AreChargedAsCallersAre: what operators send lies in the memory that all bodies share, and is given back.
func TestBodies_AreChargedAsCallersAre(t *testing.T) {
	t.Parallel()
	accounts := account.New(account.Config{Memory: 64 << 10})
	w := newWorld(t, func(c *admin.Config) { c.Accounts = accounts })
	if status, body, _ := w.ask("POST", "/api/orgs", strings.Repeat(" ", 100<<10)+`{"name": "large"}`); status != 503 || !strings.Contains(body, "overloaded") {
		t.Errorf("got %d %s, want no memory for it", status, body)
	}
	if status, body, _ := w.ask("POST", "/api/orgs", `{"name": "small"}`); status != 201 {
		t.Errorf("got %d %s, want it made", status, body)
	}
	if got := accounts.Usage(account.Operator); got != (account.Usage{}) {
		t.Errorf("got %+v, want nothing left", got)
	}
}
