package nomad

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// fakeNomad keeps one cluster's fence and its jobs. Each call may be told of before it is answered.
type fakeNomad struct {
	t      *testing.T
	before func(method, path string) // nil = nobody is told

	mu    sync.Mutex // guards all below
	index uint64
	fence *api.Variable
	jobs  map[string]*api.Job
}

func (f *fakeNomad) backend(models ...*fleet.Model) *Nomad {
	f.t.Helper()
	server := httptest.NewServer(f)
	f.t.Cleanup(server.Close)
	n, err := New(Config{Cluster: "c", Addr: server.URL, Models: models})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(n.Close)
	return n
}

func (f *fakeNomad) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.before != nil {
		f.before(r.Method, r.URL.Path)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	path := r.URL.Path
	switch {
	case path == "/v1/var/"+FencePath("c"):
		f.serveFence(w, r, body)
	case path == "/v1/jobs/parse":
		var asked api.JobsParseRequest
		json.Unmarshal(body, &asked)
		id := JobName("c", "m", f.value(asked.JobHCL, "instance"))
		json.NewEncoder(w).Encode(api.Job{ID: &id, Meta: map[string]string{
			metaCluster: "c", metaInstance: f.value(asked.JobHCL, "instance"), metaTerm: f.value(asked.JobHCL, "term"),
		}})
	case path == "/v1/jobs" && r.Method == http.MethodPut:
		var asked api.JobRegisterRequest
		json.Unmarshal(body, &asked)
		f.index++
		index := f.index
		asked.Job.CreateIndex = &index
		f.jobs[*asked.Job.ID] = asked.Job
		json.NewEncoder(w).Encode(api.JobRegisterResponse{JobModifyIndex: index})
	case f.jobs[strings.TrimPrefix(path, "/v1/job/")] == nil:
		http.NotFound(w, r)
	case r.Method == http.MethodDelete:
		stopped := true
		f.jobs[strings.TrimPrefix(path, "/v1/job/")].Stop = &stopped
		json.NewEncoder(w).Encode(api.JobDeregisterResponse{})
	default:
		json.NewEncoder(w).Encode(f.jobs[strings.TrimPrefix(path, "/v1/job/")])
	}
}

// value is the default of a job file's variable.
func (f *fakeNomad) value(text, variable string) string {
	_, rest, _ := strings.Cut(text, `variable "`+variable+`"`)
	_, rest, _ = strings.Cut(rest, "default     = ")
	line, _, _ := strings.Cut(rest, "\n")
	value, _ := strconv.Unquote(line)
	return value
}

func (f *fakeNomad) serveFence(w http.ResponseWriter, r *http.Request, body []byte) {
	index := uint64(0)
	if f.fence != nil {
		index = f.fence.ModifyIndex
	}
	switch {
	case r.Method == http.MethodGet && f.fence == nil:
		http.NotFound(w, r)
		return
	case r.Method == http.MethodPut && r.URL.Query().Get("cas") != strconv.FormatUint(index, 10):
		w.WriteHeader(http.StatusConflict)
	case r.Method == http.MethodPut:
		f.index++
		f.fence = new(api.Variable)
		json.Unmarshal(body, f.fence)
		f.fence.ModifyIndex = f.index
	}
	json.NewEncoder(w).Encode(f.fence)
}

// running are the jobs that are not stopped.
func (f *fakeNomad) running() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, j := range f.jobs {
		if j.Stop == nil || !*j.Stop {
			ids = append(ids, id)
		}
	}
	return ids
}

func fenceWorld(t *testing.T) (*fakeNomad, *fleet.Model) {
	return &fakeNomad{t: t, index: 10, jobs: map[string]*api.Job{}}, &fleet.Model{ID: "m", GPUs: 1, Engine: fleet.EngineSpec{Kind: fleet.EngineTRTLLM}}
}

func launchOf(term uint64, id string) fleet.Act {
	return fleet.Act{Kind: fleet.ActLaunch, Term: term, Seq: 1, Instance: id, Model: "m"}
}

func TestFence_RefusesOlderTermsOfAllServers(t *testing.T) {
	f, m := fenceWorld(t)
	older, newer := f.backend(m), f.backend(m)
	if term, err := newer.Term(t.Context()); term != 0 || err != nil {
		t.Errorf("before any: got %d, %v, want 0", term, err)
	}
	for _, step := range []struct {
		n    *Nomad
		term uint64
	}{{older, 5}, {older, 5}, {newer, 6}} {
		if err := step.n.Fence(t.Context(), step.term); err != nil {
			t.Fatal(err)
		}
	}
	blamedOn(t, "the older server's launch", older.Do(t.Context(), launchOf(5, "i1")), fleet.ErrFenced)
	blamedOn(t, "the newer server's, with an older term", newer.Do(t.Context(), launchOf(5, "i2")), fleet.ErrFenced)
	blamedOn(t, "an older stop", older.Do(t.Context(), fleet.Act{Kind: fleet.ActStop, Term: 5, Instance: "i", Model: "m"}), fleet.ErrFenced)
	blamedOn(t, "an older act in a slot", older.Do(t.Context(), fleet.Act{Kind: fleet.ActPark, Term: 4, Slot: "s", Instance: "i"}), fleet.ErrFenced)
	blamedOn(t, "an older fence", older.Fence(t.Context(), 5), fleet.ErrFenced)
	if ids := f.running(); len(ids) > 0 {
		t.Errorf("%v run, want nothing", ids)
	}
	if err := newer.Do(t.Context(), launchOf(6, "i3")); err != nil || len(f.running()) != 1 {
		t.Errorf("the newer server's launch: got %v, and %v run", err, f.running())
	}
	if term, err := older.Term(t.Context()); term != 6 || err != nil {
		t.Errorf("got term %d, %v, want 6", term, err)
	}
}

// TestFence_UndoesWhatComesLate has a newer server take over in the moment before an older one's registration.
func TestFence_UndoesWhatComesLate(t *testing.T) {
	f, m := fenceWorld(t)
	older, newer := f.backend(m), f.backend(m)
	if err := older.Fence(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if err := older.Do(t.Context(), launchOf(5, "early")); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	f.before = func(method, path string) {
		if path == "/v1/jobs/parse" {
			once.Do(func() {
				if err := newer.Fence(t.Context(), 6); err != nil {
					t.Error(err)
				}
			})
		}
	}
	blamedOn(t, "the launch", older.Do(t.Context(), launchOf(5, "late")), fleet.ErrFenced)
	if ids := f.running(); len(ids) != 1 || ids[0] != JobName("c", "m", "early") {
		t.Errorf("%v run, want early alone: it was there when the newer server took over", ids)
	}
	for id, want := range map[string]bool{"early": false, "late": true} {
		j := f.jobs[JobName("c", "m", id)]
		if got := newer.fence.overrules(&job{Meta: j.Meta, CreateIndex: *j.CreateIndex}); got != want {
			t.Errorf("%s is void: got %v, want %v", id, got, want)
		}
	}
}

func TestFence_NeedsAReadableTerm(t *testing.T) {
	f, m := fenceWorld(t)
	f.fence = &api.Variable{ModifyIndex: 3, Items: api.VariableItems{termItem: "many"}}
	n := f.backend(m)
	err := n.Fence(t.Context(), 5)
	blamedOn(t, "a fence over what is no term", err, nil)
	if !errors.Is(err, errTerm) || !strings.Contains(err.Error(), FencePath("c")) {
		t.Errorf("got %v, want that the variable holds no term", err)
	}
}

// TestFence_ReachesSlots has one slot that can be fenced, one that cannot be reached, and one that is too old to know how.
func TestFence_ReachesSlots(t *testing.T) {
	f, m := fenceWorld(t)
	n := f.backend(m)
	var mu sync.Mutex
	var heard []string
	supervisor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/v1/fence" {
			heard = append(heard, strings.TrimSpace(string(body)))
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer supervisor.Close()
	old := http.NewServeMux()
	old.HandleFunc("POST /v1/acts", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	older := httptest.NewServer(old)
	defer older.Close()
	n.slotAt(t, "new", strings.TrimPrefix(supervisor.URL, "http://"))
	n.slotAt(t, "old", strings.TrimPrefix(older.URL, "http://"))
	n.slotAt(t, "away", nobody(t))
	if err := n.Fence(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"new", "new", "old"} {
		if err := n.Do(t.Context(), fleet.Act{Kind: fleet.ActPark, Term: 7, Slot: id, Instance: "i", Model: "m"}); err != nil {
			t.Errorf("an act in slot %s: %v", id, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(heard) != 1 || !strings.Contains(heard[0], "7") {
		t.Errorf("the new one heard %q, want term 7 once", heard)
	}
}

func TestFence_IsRefusedByASlotThatKnowsANewerTerm(t *testing.T) {
	f, m := fenceWorld(t)
	n := f.backend(m)
	n.slotAt(t, "s", strings.TrimPrefix(answering(t, http.StatusConflict, `{"error":{"code":"old_term","message":"no"}}`), "http://"))
	blamedOn(t, "the fence", n.Fence(t.Context(), 7), fleet.ErrFenced)
}
