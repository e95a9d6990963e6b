package admin_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/access"
	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/audit"
)

// pair is a server that leads, and one that passes on to it what only that one can answer.
func pair(t *testing.T) (leader, follower *world, reached *error) {
	t.Helper()
	leader = newWorld(t)
	var own *admin.Server
	reached = new(error)
	follower = newWorld(t, func(c *admin.Config) {
		c.Leader = func(ctx context.Context, call admin.Call) (*admin.Reply, error) {
			if *reached != nil {
				return nil, *reached
			}
			return own.Answer(ctx, call), nil
		}
	})
	own = leader.server
	return leader, follower, reached
}

func TestPassed_TheLeaderDoesWhatAFollowerIsAsked(t *testing.T) {
	leader, follower, _ := pair(t)
	status, body, header := follower.ask("POST", "/api/models/acme%2Fa/start", `{"for": "10m"}`, "Authorization", "Bearer "+tokens[access.Operator], "X-Request-Id", "of-otto")
	if status != http.StatusAccepted || !strings.Contains(body, `"acme/a"`) || header.Get("X-Request-Id") != "of-otto" {
		t.Errorf("got %d %s %v", status, body, header)
	}
	if len(leader.fleet.held) != 1 || len(follower.fleet.held) != 0 {
		t.Errorf("the leader holds %v, the follower %v", leader.fleet.held, follower.fleet.held)
	}
	entries := leader.entries(audit.Query{})
	if len(entries) != 1 || entries[0].Actor != "otto" || entries[0].Action != "model.start" || entries[0].Request != "of-otto" || entries[0].From != "127.0.0.1" {
		t.Errorf("the leader's audit log has %+v", entries)
	}
	if n := len(follower.entries(audit.Query{})); n != 0 {
		t.Errorf("the follower's audit log has %d entries of what it has passed on", n)
	}
	if models, err := follower.client.Models(t.Context()); err != nil || len(models) == 0 {
		t.Errorf("listing models: got %v, %v", models, err)
	}
	if _, err := follower.client.Explain(t.Context(), "none"); err == nil || !strings.Contains(err.Error(), "there is no model") {
		t.Errorf("an unknown model: got %v, want the leader's words", err)
	}
}

func TestPassed_RightsAreCheckedBeforeAndOrgsAreAnsweredAtOnce(t *testing.T) {
	leader, follower, reached := pair(t)
	if status, body, _ := follower.ask("POST", "/api/models/acme%2Fa/stop", "", "Authorization", "Bearer "+tokens[access.Auditor]); status != 403 {
		t.Errorf("an auditor got %d %s, want 403", status, body)
	}
	if status, body, _ := follower.ask("POST", "/api/models/acme%2Fa/stop", "", "Authorization", "Bearer nobody-of-twenty-four-characters"); status != 401 {
		t.Errorf("a stranger got %d %s, want 401", status, body)
	}
	if len(leader.fleet.stopped) != 0 {
		t.Errorf("the leader has stopped %v", leader.fleet.stopped)
	}
	*reached = errors.New("nobody leads")
	if status, body, _ := follower.ask("POST", "/api/models/acme%2Fa/stop", ""); status != 503 || !strings.Contains(body, "leads the cluster") {
		t.Errorf("without a leader: got %d %s, want 503", status, body)
	}
	if status, body, _ := follower.ask("POST", "/api/orgs", `{"name": "acme"}`); status != 201 {
		t.Errorf("making an organisation without a leader: got %d %s", status, body)
	}
}
