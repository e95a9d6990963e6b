package consul_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/consul"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// TestRegistrar_RemovesWhatItHasNotHeardTheAnswerTo ends while the agent, which has the service already, has not answered.
func TestRegistrar_RemovesWhatItHasNotHeardTheAnswerTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var removed atomic.Bool
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/services"):
			w.Write([]byte("{}"))
		case strings.HasSuffix(r.URL.Path, "/register"):
			io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/deregister/pilotlight-engine-a"):
			removed.Store(true)
		}
	}))
	defer agent.Close()
	r, err := consul.NewRegistrar(consul.RegistrarConfig{Addr: agent.URL, Cluster: "blue", Slot: "s1", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Run(ctx, func(ctx context.Context, tell func(fleet.Observation)) error {
		tell(fleet.Observation{Instances: []fleet.Sighting{{
			Instance: fleet.Instance{ID: "a", Model: "m", State: fleet.Ready, Addr: "127.0.0.1:7001"}, Health: fleet.Passing,
		}}})
		<-ctx.Done()
		return nil
	})
	if err != nil || !removed.Load() {
		t.Errorf("got %v, removed %t; want the service removed", err, removed.Load())
	}
}
