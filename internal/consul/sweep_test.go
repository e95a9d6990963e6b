//go:build unix

package consul_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestRealConsul_KilledSupervisorsLeaveWithinAMinute has supervisors on the agent that is watched, and on another one which brings back what it
// alone has. They are killed: nothing that they say is heard any more.
func TestRealConsul_KilledSupervisorsLeaveWithinAMinute(t *testing.T) {
	s := newSite(t, time.Nanosecond)
	var killed atomic.Bool
	for slot, agent := range map[string]string{"s1": s.agent.Addr, "s2": s.node.Addr} {
		target, err := url.Parse(agent)
		if err != nil {
			t.Fatal(err)
		}
		forward := httputil.NewSingleHostReverseProxy(target)
		forward.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // broken connections are what it is for
		forward.Transport = &http.Transport{}
		line := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if killed.Load() {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			forward.ServeHTTP(w, r)
		}))
		t.Cleanup(line.Close)
		t.Cleanup(forward.Transport.(*http.Transport).CloseIdleConnections)
		f := s.registrarAt(line.URL, slot, 15*time.Second)
		f.says <- []fleet.Sighting{engine("awake-"+slot, fleet.Ready), engine("parked-"+slot, fleet.Asleep)}
	}
	s.registrarAt(s.agent.Addr, "s3", 15*time.Second).says <- []fleet.Sighting{engine("other", fleet.Asleep)} // whose supervisor lives
	all := []string{"awake-s1", "parked-s1", "awake-s2", "parked-s2", "other"}
	s.lists(30*time.Second, all...)
	killed.Store(true)
	began := time.Now()
	s.lists(time.Minute, "other")
	t.Logf("gone after %v", time.Since(began).Round(time.Second))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		s.lists(2*time.Second, "other") // the other agent brings them back, for a moment
	}
}

// services are the instances that Consul lists.
func (s *site) services() map[string]bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	entries, _, err := s.api.Health().Service(consul.Service, "", false, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		s.t.Fatal(err)
	}
	ids := make(map[string]bool)
	for _, e := range entries {
		ids[e.Service.Meta[consul.MetaInstance]] = true
	}
	return ids
}

// lists waits until Consul lists these instances and no other.
func (s *site) lists(within time.Duration, want ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		got := s.services()
		missing := len(got) != len(want)
		for _, id := range want {
			missing = missing || !got[id]
		}
		if !missing {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("after %v Consul lists %v, want %v", within, got, want)
		}
	}
}
