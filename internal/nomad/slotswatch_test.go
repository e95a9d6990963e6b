//go:build unix

package nomad_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

const slotKey = "a-key-that-is-long-enough-for-a-slot"

// follow watches a back end and its slots. The end of what it gives ends that.
func (w *world) follow(n *nomad.Nomad) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { // both end with ctx, for which the clean-up waits
		_ = n.Watch(ctx, func(o fleet.Observation) { w.said <- o })
		done <- struct{}{}
	}()
	go func() {
		_ = n.Slots().Watch(ctx, func(o fleet.Observation) { w.said <- o })
		done <- struct{}{}
	}()
	ended := false
	end = func() {
		if !ended {
			ended = true
			cancel()
			<-done
			<-done
		}
	}
	w.t.Cleanup(end)
	return end
}

// slotIs waits until the slot's source lists it as wanted; it is nil where a complete list has no slot.
func (w *world) slotIs(what, id string, wanted func(*fleet.Slot) bool) {
	w.t.Helper()
	w.until(what, "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		if o.Source != "slot/"+id || !o.Complete || o.Slots == nil {
			return false
		}
		if len(o.Slots) == 0 {
			return wanted(nil)
		}
		return wanted(&o.Slots[0])
	})
}

func absent(s *fleet.Slot) bool { return s == nil }

// scripted is a Nomad server whose answers the test sets.
type scripted struct {
	mu      sync.Mutex // guards all below
	jobs    []*api.JobListStub
	allocs  []*api.AllocationListStub
	changed chan struct{} // closed, and made anew, at each change
}

func (s *scripted) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	jobs, allocs, changed := s.jobs, s.allocs, s.changed
	s.mu.Unlock()
	w.Header().Set("X-Nomad-Index", "1")
	w.Header().Set("X-Nomad-LastContact", "0")
	w.Header().Set("X-Nomad-KnownLeader", "true")
	switch path := r.URL.Path; {
	case path == "/v1/jobs":
		json.NewEncoder(w).Encode(jobs)
	case path == "/v1/allocations":
		json.NewEncoder(w).Encode(allocs)
	case strings.HasPrefix(path, "/v1/var/"):
		json.NewEncoder(w).Encode(api.Variable{Path: nomad.KeyPath, Items: api.VariableItems{"slot_key": slotKey}})
	case r.Method == http.MethodDelete:
		w.Write([]byte("{}"))
	case path == "/v1/event/stream":
		w.WriteHeader(http.StatusOK)
		for {
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-changed:
			}
			s.mu.Lock()
			changed = s.changed
			s.mu.Unlock()
			json.NewEncoder(w).Encode(api.Events{Index: 2, Events: []api.Event{{Topic: api.TopicAllocation}}})
		}
	default:
		w.Write([]byte("[]"))
	}
}

// allocated is an allocation whose task has the state, and whose supervisor is at the address.
func allocated(status, state, addr string) []*api.AllocationListStub {
	host, text, _ := net.SplitHostPort(addr)
	port, _ := net.LookupPort("tcp", text)
	return []*api.AllocationListStub{{
		ID: "a1", JobID: "pilotlight-c-slot-s1", Namespace: "default", NodeID: "n1", ClientStatus: status, DesiredStatus: api.AllocDesiredStatusRun,
		AllocatedResources: &api.AllocatedResources{Shared: api.AllocatedSharedResources{Ports: []api.PortMapping{{Label: "api", HostIP: host, Value: port}}}},
		TaskStates:         map[string]*api.TaskState{"slot": {State: state}},
	}}
}

// supervise runs a supervisor without engines, and gives its address.
func supervise(t *testing.T) string {
	t.Helper()
	s, err := slot.New(slot.Config{ID: "s1", Source: "slot/s1", Pool: "p", Node: "n1", GPUs: 2, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := slot.NewAPI(slot.APIConfig{Slot: s, Key: slotKey})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	running.Go(func() { _ = a.Serve(ctx, ln) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return ln.Addr().String()
}

func TestSlots_AreToldOfFromPendingToGone(t *testing.T) {
	addr := supervise(t)
	script := &scripted{changed: make(chan struct{})}
	server := httptest.NewServer(script)
	t.Cleanup(server.Close)
	w := &world{t: t, said: make(chan fleet.Observation, 1000), log: new(log)}
	w.cfg = nomad.Config{
		Addr: server.URL, Cluster: "c", Models: []*fleet.Model{{ID: "m", GPUs: 1, Pool: "p", Engine: fleet.EngineSpec{Kind: "none"}}},
		Pools: []fleet.Pool{{Name: "p", GPUsPerSlot: 2, HostMemory: 1 << 30}},
	}
	w.cfg.Log = slog.New(slog.NewTextHandler(w.log, nil))
	w.Nomad = w.backend(nil)
	w.follow(w.Nomad)
	w.until("no slot to be known", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return o.Source == "slots" && o.Complete && o.Slots != nil && len(o.Slots) == 0
	})
	script.set(func() {
		script.jobs = []*api.JobListStub{{
			ID:   "pilotlight-c-slot-s1",
			Meta: map[string]string{"pilotlight_cluster": "c", "pilotlight_pool": "p", "pilotlight_slot": "s1"},
		}}
	})
	w.slotIs("s1 to be pending", "s1", func(s *fleet.Slot) bool { return s != nil && s.Pending && s.GPUs == 2 && s.Host == 1<<30 })
	script.set(func() { script.allocs = allocated("running", "running", addr) })
	w.slotIs("s1 to be there", "s1", func(s *fleet.Slot) bool { return s != nil && !s.Pending && s.Node == "n1" && s.Host == 1<<30 })

	// Its supervisor takes what is meant for it, and says that there is no such instance.
	err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActPark, Term: 1, Seq: 1, Slot: "s1", Instance: "i1"})
	if err == nil || !strings.Contains(err.Error(), slot.ErrUnknown.Error()) {
		t.Errorf("parking what is not there: got %v, want %v", err, slot.ErrUnknown)
	}
	// Another back end hears of it before Nomad's own list, and never as pending.
	second := &world{t: t, cfg: w.cfg, said: make(chan fleet.Observation, 1000), log: w.log}
	second.Nomad = second.backend(nil)
	end := second.follow(second.Nomad)
	for there := false; ; {
		var o fleet.Observation
		select {
		case o = <-second.said:
		case <-time.After(time.Minute):
			t.Fatal("the second back end says nothing")
		}
		if o.Source == "slot/s1" {
			there = len(o.Slots) == 1 && !o.Slots[0].Pending
		}
		if o.Source == nomad.Source {
			if !there {
				t.Error("the second back end has told of Nomad's list before s1 spoke")
			}
			break
		}
	}
	end()

	script.set(func() { script.allocs = allocated("failed", "dead", addr) })
	w.slotIs("s1 to be gone", "s1", absent)
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: 1, Seq: 2, Slot: "s1", Instance: "i1"}); err != nil {
		t.Errorf("stopping what was on a lost slot: %v", err)
	}
	if !strings.Contains(w.log.String(), `"a slot has ended" slot=s1 pool=p`) {
		t.Errorf("want the slot's end in\n%s", w.log)
	}
}
