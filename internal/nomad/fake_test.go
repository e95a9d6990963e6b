package nomad_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

const slotKey = "a-key-that-is-long-enough-for-a-slot"

// fake is a Nomad server that has what the test puts there, and says so by events. It places nothing.
type fake struct {
	mu      sync.Mutex // guards all below
	index   uint64
	jobs    map[string]*api.Job
	allocs  map[string]*api.Allocation
	nodes   map[string]*api.Node
	evals   map[string]*api.Evaluation
	reads   map[string]int // path -> how often it was asked for
	events  []api.Events   // since ever
	said    chan struct{}  // closed, and made anew, when an event is added or the streams are cut
	cut     int            // how often the streams were cut
	stopped []string       // jobs in the order in which they were stopped
	scaled  []string
	muted   bool // changes are no events
}

// pretend starts a fake server, and a back end over it that is not watched yet.
func pretend(t *testing.T, models ...*fleet.Model) (*world, *fake) {
	t.Helper()
	f := &fake{
		index: 10, jobs: map[string]*api.Job{}, allocs: map[string]*api.Allocation{}, nodes: map[string]*api.Node{}, evals: map[string]*api.Evaluation{},
		reads: map[string]int{}, said: make(chan struct{}),
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	w := &world{t: t, said: make(chan fleet.Observation, 1000), log: new(log)}
	w.cfg = nomad.Config{
		Addr: server.URL, Cluster: "c", Models: models, Pools: []fleet.Pool{{Name: "p", GPUsPerSlot: 2, HostMemory: 1 << 30}},
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	w.Nomad = w.backend(nil)
	return w, f
}

// put takes an object as it is from now on, and tells of it.
func (f *fake) put(object any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.putLocked(object)
}

func (f *fake) putLocked(object any) {
	f.index++
	e := api.Event{Index: f.index}
	switch o := object.(type) {
	case *api.Job:
		if o.CreateIndex == nil {
			o.CreateIndex = pointer(f.index)
			o.JobModifyIndex = pointer(f.index)
		}
		o.ModifyIndex = pointer(f.index)
		f.jobs[*o.ID] = o
		e.Topic, e.Type, e.Key, e.Payload = api.TopicJob, "JobRegistered", *o.ID, map[string]any{"Job": o}
	case *api.Allocation:
		if o.CreateIndex == 0 {
			o.CreateIndex = f.index
		}
		o.ModifyIndex = f.index
		f.allocs[o.ID] = o
		e.Topic, e.Type, e.Key, e.Payload = api.TopicAllocation, "AllocationUpdated", o.ID, map[string]any{"Allocation": o}
	case *api.Node:
		if o.CreateIndex == 0 {
			o.CreateIndex = f.index
		}
		o.ModifyIndex = f.index
		f.nodes[o.ID] = o
		e.Topic, e.Type, e.Key, e.Payload = api.TopicNode, "NodeEvent", o.ID, map[string]any{"Node": o}
	case *api.Evaluation:
		o.ModifyIndex = f.index
		f.evals[o.ID] = o
		e.Topic, e.Type, e.Key, e.Payload = api.TopicEvaluation, "EvaluationUpdated", o.ID, map[string]any{"Evaluation": o}
	}
	f.say(e)
}

// say adds an event as it is; what it holds is kept as it is now.
func (f *fake) say(e api.Event) {
	if f.muted {
		return
	}
	text, err := json.Marshal(e.Payload)
	if err != nil {
		panic(err)
	}
	e.Payload = nil
	if err := json.Unmarshal(text, &e.Payload); err != nil {
		panic(err)
	}
	f.events = append(f.events, api.Events{Index: e.Index, Events: []api.Event{e}})
	f.wake()
}

func (f *fake) wake() {
	close(f.said)
	f.said = make(chan struct{})
}

// forget takes an object away, without an event, as Nomad's garbage collection does.
func (f *fake) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index++
	delete(f.jobs, id)
	delete(f.allocs, id)
	delete(f.nodes, id)
}

// repeat says so many of the first events again, as a server that has restarted does.
func (f *fake) repeat(count int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, f.events[:count]...)
	f.wake()
}

func (f *fake) read(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads[path]
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/event/stream" {
		f.stream(w, r)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads[r.URL.Path]++
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(f.index, 10))
	w.Header().Set("X-Nomad-LastContact", "0")
	w.Header().Set("X-Nomad-KnownLeader", "true")
	id, isJob := strings.CutPrefix(r.URL.Path, "/v1/job/")
	switch path := r.URL.Path; {
	case path == "/v1/jobs":
		list := []*api.JobListStub{}
		for _, j := range f.jobs {
			list = append(list, &api.JobListStub{
				ID: *j.ID, Namespace: "default", Meta: j.Meta, Stop: j.Stop != nil && *j.Stop,
				CreateIndex: *j.CreateIndex, ModifyIndex: *j.ModifyIndex, JobModifyIndex: *j.JobModifyIndex,
			})
		}
		json.NewEncoder(w).Encode(list)
	case path == "/v1/allocations":
		json.NewEncoder(w).Encode(values(f.allocs))
	case path == "/v1/nodes":
		json.NewEncoder(w).Encode(values(f.nodes))
	case path == "/v1/evaluations":
		json.NewEncoder(w).Encode(values(f.evals))
	case strings.HasPrefix(path, "/v1/var/"):
		json.NewEncoder(w).Encode(api.Variable{Path: nomad.KeyPath, Items: api.VariableItems{"slot_key": slotKey}})
	case isJob && strings.HasSuffix(id, "/scale"):
		id = strings.TrimSuffix(id, "/scale")
		f.scaled = append(f.scaled, id)
		w.Write([]byte("{}"))
	case isJob && f.jobs[id] == nil:
		w.WriteHeader(http.StatusNotFound)
	case isJob && r.Method == http.MethodDelete:
		f.stopped = append(f.stopped, id)
		j := *f.jobs[id]
		j.Stop, j.JobModifyIndex = pointer(true), pointer(f.index+1)
		f.putLocked(&j)
		w.Write([]byte("{}"))
	case isJob:
		json.NewEncoder(w).Encode(f.jobs[id])
	default:
		w.Write([]byte("[]"))
	}
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	w.Write([]byte("{}\n"))
	f.mu.Lock()
	cut := f.cut
	f.mu.Unlock()
	for next := 0; ; {
		f.mu.Lock()
		events, said, over := f.events[next:], f.said, f.cut > cut
		f.mu.Unlock()
		for k := range events {
			json.NewEncoder(w).Encode(&events[k])
		}
		next += len(events)
		w.(http.Flusher).Flush()
		if over {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-said:
		}
	}
}

func values[K comparable, V any](m map[K]V) []V {
	list := make([]V, 0, len(m))
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

func pointer[T any](v T) *T { return &v }

// engineJob is the job of an instance, as its launch has submitted it.
func engineJob(id string, meta ...string) *api.Job {
	return jobOf("pilotlight-c-org-one-"+id, "engine", append([]string{"pilotlight_model", "org/one", "pilotlight_instance", id}, meta...))
}

// slotJob is the job of a slot.
func slotJob(id string) *api.Job {
	return jobOf("pilotlight-c-slot-"+id, "slot", []string{"pilotlight_pool", "p", "pilotlight_slot", id})
}

func jobOf(name, group string, meta []string) *api.Job {
	j := &api.Job{ID: &name, Namespace: pointer("default"), Meta: map[string]string{"pilotlight_cluster": "c"}}
	for k := 0; k < len(meta); k += 2 {
		j.Meta[meta[k]] = meta[k+1]
	}
	task := &api.Task{Name: group, Resources: &api.Resources{CPU: pointer(100), MemoryMB: pointer(1 << 10), Devices: []*api.RequestedDevice{{Name: "nvidia/gpu", Count: pointer(uint64(2))}}}}
	j.TaskGroups = []*api.TaskGroup{{Name: &group, Count: pointer(1), Tasks: []*api.Task{task}}}
	return j
}

// of is an allocation of a job whose task has the state, and whose port is the address.
func of(j *api.Job, id, status, state, addr string) *api.Allocation {
	group, port := *j.TaskGroups[0].Name, "engine"
	if group == "slot" {
		port = "api"
	}
	host, text, _ := strings.Cut(addr, ":")
	number, _ := strconv.Atoi(text)
	return &api.Allocation{
		ID: id, JobID: *j.ID, Namespace: "default", NodeID: "n1", ClientStatus: status, DesiredStatus: api.AllocDesiredStatusRun,
		AllocatedResources: &api.AllocatedResources{
			Shared: api.AllocatedSharedResources{Ports: []api.PortMapping{{Label: port, HostIP: host, Value: number}}},
			Tasks:  map[string]*api.AllocatedTaskResources{group: {Devices: []*api.AllocatedDeviceResource{{Vendor: "nvidia", Type: "gpu", DeviceIDs: []string{"0", "1"}}}}},
		},
		TaskStates: map[string]*api.TaskState{group: {State: state, Events: []*api.TaskEvent{{Type: api.TaskStarted}}}},
	}
}

// machine is a node with GPUs.
func machine(id string, gpus int) *api.Node {
	d := &api.NodeDeviceResource{Vendor: "nvidia", Type: "gpu"}
	for range gpus {
		d.Instances = append(d.Instances, &api.NodeDevice{Healthy: true})
	}
	return &api.Node{
		ID: id, Name: "name-of-" + id, Datacenter: "dc1", NodePool: "default", Status: api.NodeStatusReady, SchedulingEligibility: api.NodeSchedulingEligible,
		NodeResources: &api.NodeResources{Devices: []*api.NodeDeviceResource{d}},
	}
}
