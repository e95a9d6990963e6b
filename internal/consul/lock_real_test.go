//go:build unix

package consul_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/consul"
)

// cable is the way of one server to Consul, which can be cut.
type cable struct {
	*httptest.Server
	cut atomic.Bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // broken connections are what it is for
	transport := &http.Transport{}
	proxy.Transport = transport
	c := &cable{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.cut.Load() {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		c.Close()
		transport.CloseIdleConnections()
	})
	return c
}

func TestRealConsul_LockHasOneHolderThroughHandoverCutAndRestart(t *testing.T) {
	s := newSite(t, time.Nanosecond)
	first := contend(t, s.agent.Addr, "one")
	first.lead(7)
	cable := newCable(t, s.agent.Addr)
	second := contend(t, cable.URL, "two")
	second.until("waiting, and told of the first", func(s consul.Standing) bool { return s.Leader == "one" && s.Term == 7 })

	first.stop()
	began := time.Now()
	second.lead(8)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("after an orderly end the second led after %v, want 2 s at most", took)
	}
	if err := second.confirmed(5 * time.Second); err != nil {
		t.Errorf("the second may not act: %v", err)
	}

	third := contend(t, s.agent.Addr, "three")
	third.until("told of the second", func(s consul.Standing) bool { return s.Leader == "two" && s.Term == 8 })
	cable.cut.Store(true) // as good as killed, but it lives and might act
	began = time.Now()
	third.lead(9)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("after the leader was cut off the next led after %v, want 8 s at most", took)
	}
	if err := second.confirmed(500 * time.Millisecond); err == nil {
		t.Error("two servers may act at once")
	}
	cable.cut.Store(false)
	second.untilStage(consul.Taken)

	s.restart(true)
	third.until("holding again with its term", func(s consul.Standing) bool { return s.Stage == consul.Holding && s.Trouble == nil })
	if err := third.confirmed(20 * time.Second); err != nil {
		t.Errorf("after Consul's restart: %v", err)
	}
	s.endHolder()
	third.untilStage(consul.Unsure)
	third.untilStage(consul.Holding)
}

// endHolder ends the session that has the lock. Consul may just have been started: what it knows of sessions may change until it has heard of their checks again.
func (s *site) endHolder() {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		pair, _, err := s.api.KV().Get(consul.LockKey("blue"), &api.QueryOptions{RequireConsistent: true})
		if err == nil && pair != nil && pair.Session != "" {
			_, err = s.api.Session().Destroy(pair.Session, nil)
			if err == nil {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("nobody's session could be ended: the lock stands %+v, %v", pair, err)
		}
	}
}

// TestRealConsul_TheLockCarriesWhatIsLeft: as much as may be left, from who gives the lock up to the next, and never past one who was cut off.
func TestRealConsul_TheLockCarriesWhatIsLeft(t *testing.T) {
	s := newSite(t, time.Nanosecond)
	long := fmt.Appendf(nil, "%q", strings.Repeat("x", consul.LeavesMost-2))
	first := contend(t, s.agent.Addr, "one")
	first.lead(7)
	first.Leave(long)
	second := contend(t, s.agent.Addr, "two")
	second.until("told of the first", func(s consul.Standing) bool { return s.Term == 7 })
	first.stop()
	began := time.Now()
	second.untilStage(consul.Holding)
	t.Logf("with %d bytes left the second had the lock after %v", len(long), time.Since(began))
	if got := second.Found(); !bytes.Equal(got, long) {
		t.Fatalf("the second finds %d bytes, want %d", len(got), len(long))
	}
	second.lead(8)
	second.Leave([]byte(`{"term":8}`))
	pair, _, err := s.api.KV().Get(consul.LockKey("blue"), nil)
	if err != nil || len(pair.Value) > 1000 {
		t.Errorf("while the second leads the value has %d bytes, %v, want that what it found is gone", len(pair.Value), err)
	}
	s.endHolder() // as where it is cut off
	second.stop() // what it leaves now comes too late
	third := contend(t, s.agent.Addr, "three")
	third.untilStage(consul.Holding)
	if got := third.Found(); got != nil {
		t.Errorf("after one that has lost the lock the third finds %s", got)
	}
	third.lead(9)
	third.Leave(fmt.Appendf(nil, "%q", strings.Repeat("x", 600<<10))) // more than Consul takes
	third.stop()
	began = time.Now()
	fourth := contend(t, s.agent.Addr, "four")
	fourth.untilStage(consul.Holding)
	t.Logf("after one that had too much to leave the next had the lock after %v", time.Since(began))
	if got := fourth.Found(); got != nil {
		t.Errorf("after one that had too much to leave the next finds %d bytes", len(got))
	}
}
