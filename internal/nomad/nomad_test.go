//go:build unix

package nomad_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/nomad"
)

// TestMain has more tests run at once than there are cores: those that are parallel wait, and compute next to nothing.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel, which is read later, beats it
	goleak.VerifyTestMain(m)
}

// world is a real cluster, and a back end that is watched.
type world struct {
	*nomad.Nomad
	t       *testing.T
	cluster *cluster.Cluster
	client  *api.Client
	cfg     nomad.Config
	said    chan fleet.Observation
	picture picture
	log     *log
}

// start starts a cluster of one node with 8 GPUs, and watches.
func start(t *testing.T) *world {
	t.Helper()
	w := begin(t, cluster.Config{Nodes: 1, GPUs: 8})
	w.cfg.Models = simulated(t)
	w.Nomad = w.backend(nil)
	w.watch(w.Nomad, w.said)
	return w
}

// simulated are models of three sizes that run without a container.
func simulated(t *testing.T) []*fleet.Model {
	t.Helper()
	sim := filepath.Join(t.TempDir(), "trtsim")
	if out, err := exec.Command("go", "build", "-o", sim, "github.com/pilotlight-io/pilotlight/cmd/trtsim").CombinedOutput(); err != nil {
		t.Fatalf("building the simulator: %v\n%s", err, out)
	}
	var models []*fleet.Model
	for id, gpus := range map[string]int{"org/one": 1, "org/eight": 8, "org/sixteen": 16} {
		models = append(models, &fleet.Model{ID: id, GPUs: gpus, Engine: fleet.EngineSpec{
			Kind: fleet.EngineSim, Driver: "raw_exec", Command: []string{sim}, Args: []string{"--sim-speed", "1000"}, Memory: 1 << 30, CPU: 500,
		}})
	}
	return models
}

// begin starts a cluster without a back end.
func begin(t *testing.T, cfg cluster.Config) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Nomad and Consul; not in short runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds both programs
	defer cancel()
	cfg.Dir = filepath.Join(t.TempDir(), "c")
	c, err := cluster.Start(ctx, cfg)
	if errors.Is(err, cluster.ErrNoDocker) && os.Getenv("PILOTLIGHT_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		mounts, _ := os.ReadFile("/proc/self/mounts")
		if left := cluster.Processes(cfg.Dir); len(left) > 0 || strings.Contains(string(mounts), cfg.Dir) {
			t.Errorf("the cluster leaves the processes %v, or mounts in\n%s", left, mounts)
		}
	})
	w := &world{t: t, cluster: c, said: make(chan fleet.Observation, 1000), log: new(log)}
	w.cfg = nomad.Config{Addr: c.Nomad.Addr, Cluster: "test", Log: slog.New(slog.NewTextHandler(w.log, nil))}
	config := &api.Config{Address: c.Nomad.Addr, SecretID: c.Token}
	if c.TLS != nil {
		config.TLSConfig = &api.TLSConfig{CACert: c.TLS.CA, ClientCert: c.TLS.Cert, ClientKey: c.TLS.Key}
	}
	if w.client, err = api.NewClient(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	return w
}

// log is what a back end logs.
type log struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// backend makes a back end of the world's config, changed as told.
func (w *world) backend(change func(*nomad.Config)) *nomad.Nomad {
	w.t.Helper()
	cfg := w.cfg
	if change != nil {
		change(&cfg)
	}
	n, err := nomad.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(n.Close)
	return n
}

// watch watches a back end until stop or the test's end, and again whenever the server is lost.
func (w *world) watch(n *nomad.Nomad, said chan<- fleet.Observation) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with ctx, for which the clean-up waits
		defer close(done)
		for ctx.Err() == nil {
			_ = n.Watch(ctx, func(o fleet.Observation) { said <- o })
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	w.t.Cleanup(stop)
	return stop
}

func (w *world) act(kind fleet.ActKind, id, model string) {
	w.t.Helper()
	if err := w.Do(w.t.Context(), fleet.Act{Kind: kind, Term: 1, Seq: 1, Instance: id, Model: model}); err != nil {
		w.t.Fatal(err)
	}
}

// next gives what a source has told so far, once one tells something.
func (w *world) next(o fleet.Observation) fleet.Observation {
	if w.picture == nil {
		w.picture = make(picture)
	}
	return w.picture.take(o)
}

// until reads on until what a source has told is as wanted; the instance is nil where it is not listed, or gone.
func (w *world) until(what, id string, wanted func(*fleet.Sighting, fleet.Observation) bool) fleet.Sighting {
	w.t.Helper()
	var last fleet.Observation
	for deadline := time.After(time.Minute); ; {
		select {
		case o := <-w.said:
			last = w.next(o)
			var found *fleet.Sighting
			for i := range last.Instances {
				if last.Instances[i].ID == id && !last.Instances[i].Gone {
					found = &last.Instances[i]
				}
			}
			if wanted(found, last) {
				if found == nil {
					return fleet.Sighting{}
				}
				return *found
			}
		case <-deadline:
			w.t.Fatalf("waiting for %s; the last word was %+v", what, last)
		}
	}
}

func placed(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil && s.Addr != "" }
func gone(s *fleet.Sighting, _ fleet.Observation) bool   { return s == nil }

// answers waits until an engine is healthy.
func answers(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + addr + "/health")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the engine at %s does not answer: %v", addr, err)
		}
	}
}

// allocations gives all allocations that a job ever had.
func (w *world) allocations(job string) []*api.AllocationListStub {
	w.t.Helper()
	list, _, err := w.client.Jobs().Allocations(job, true, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestNomad_InstancesLiveInJobs(t *testing.T) {
	w := start(t)

	w.act(fleet.ActLaunch, "i1", "org/eight")
	w.act(fleet.ActLaunch, "i1", "org/eight") // said twice, done once
	s := w.until("i1 to be placed", "i1", placed)
	if s.Model != "org/eight" || s.GPUs != 8 || s.State != fleet.Starting || s.Failure != "" || s.Slot != "" || s.Node == "" || s.Unplaced != "" {
		t.Errorf("i1: got %+v", s)
	}
	answers(t, s.Addr)
	w.until("i1 to be loading", "i1", func(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil && s.Phase == fleet.PhaseLoading })

	// Another back end, as after a restart, finds it.
	second := make(chan fleet.Observation, 1000)
	stop := w.watch(w.backend(func(c *nomad.Config) { c.Log = nil }), second)
	o := <-second
	stop() // it would stop the jobs of engines that die, and keep from the first why they did
	if !o.Complete || len(o.Instances) != 1 || o.Instances[0].ID != "i1" || o.Instances[0].Addr != s.Addr ||
		len(o.Nodes) != 1 || o.Nodes[0].ID != s.Node || o.Nodes[0].GPUs != 8 || o.Nodes[0].Used != 0 || o.Nodes[0].Condition != fleet.PlaceHealthy {
		t.Errorf("the second back end sees %+v", o)
	}

	w.act(fleet.ActLaunch, "i2", "org/one")
	w.until("i2 to wait for room", "i2", func(s *fleet.Sighting, _ fleet.Observation) bool {
		return s != nil && s.Unplaced == fleet.UnplacedExhausted && s.Phase == fleet.PhaseQueued && s.Failure == ""
	})
	w.act(fleet.ActLaunch, "i3", "org/sixteen")
	w.until("i3 to be impossible", "i3", func(s *fleet.Sighting, _ fleet.Observation) bool {
		return s != nil && s.Unplaced == fleet.UnplacedImpossible && strings.Contains(s.Failure, "missing devices")
	})
	for _, words := range []string{`"the instance waits for room" model=org/one instance=i2 reason="no GPUs free on 1"`, `"no node can hold the instance" model=org/sixteen instance=i3`} {
		if log := w.log.String(); strings.Count(log, words) != 1 {
			t.Errorf("want %s once in\n%s", words, log)
		}
	}
	// One that comes later finds in Nomad's lists why they wait.
	later := &world{t: t, said: make(chan fleet.Observation, 1000)}
	stop = w.watch(w.backend(func(c *nomad.Config) { c.Log = nil }), later.said)
	for id, want := range map[string]fleet.Unplaced{"i2": fleet.UnplacedExhausted, "i3": fleet.UnplacedImpossible} {
		if i := later.until(id+" to be found", id, func(s *fleet.Sighting, _ fleet.Observation) bool { return s != nil }); i.Unplaced != want {
			t.Errorf("later %s is %q, want %q", id, i.Unplaced, want)
		}
		later.said <- later.picture[nomad.Source]
	}
	stop()
	w.act(fleet.ActStop, "i3", "org/sixteen")
	w.until("i3 to be gone", "i3", gone)

	w.act(fleet.ActStop, "i1", "org/eight")
	w.until("i1 to be gone", "i1", gone)
	s2 := w.until("i2 to be placed in its room", "i2", placed)
	if s2.Unplaced != "" {
		t.Errorf("i2: got %+v, want it placed", s2)
	}
	answers(t, s2.Addr)
	if err := w.Do(t.Context(), fleet.Act{Kind: fleet.ActLaunch, Instance: "i1", Model: "org/eight"}); !errors.Is(err, nomad.ErrStopped) {
		t.Errorf("a launch after the stop: got %v, want %v", err, nomad.ErrStopped)
	}
	w.foreign(t)
	w.crash(t)
	w.drain(t)
}

// foreign has a job of somebody else, whose name is as ours might be.
func (w *world) foreign(t *testing.T) {
	text, err := w.Render("org/one")
	if err != nil {
		t.Fatal(err)
	}
	job, err := w.client.Jobs().ParseHCL(strings.ReplaceAll(text, `default     = "test"`, `default     = "test-other"`), true)
	if err != nil {
		t.Fatal(err)
	}
	name := nomad.JobName("test", "org/one", "x1")
	job.ID, job.Name = &name, &name
	if _, _, err := w.client.Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	w.until("its GPU to be in use by another", "x1", func(s *fleet.Sighting, o fleet.Observation) bool {
		if s != nil {
			t.Errorf("a foreign job is told as ours: %+v", s)
		}
		return len(o.Nodes) == 1 && o.Nodes[0].Used == 1
	})
	for _, kind := range []fleet.ActKind{fleet.ActStop, fleet.ActLaunch} {
		if err := w.Do(t.Context(), fleet.Act{Kind: kind, Instance: "x1", Model: "org/one"}); !errors.Is(err, nomad.ErrForeign) {
			t.Errorf("%s of a foreign job: got %v, want %v", kind, err, nomad.ErrForeign)
		}
	}
	for _, a := range w.allocations(name) {
		if a.DesiredStatus != api.AllocDesiredStatusRun {
			t.Errorf("the foreign job's allocation is to %s", a.DesiredStatus)
		}
	}
}

// crash kills the server right after a launch is accepted, and restarts it.
func (w *world) crash(t *testing.T) {
	w.act(fleet.ActLaunch, "i4", "org/one")
	w.cluster.Nomad.Kill()
	if err := w.cluster.Nomad.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.act(fleet.ActLaunch, "i4", "org/one")
	w.act(fleet.ActLaunch, "i5", "org/one")
	answers(t, w.until("i4 to be placed", "i4", placed).Addr)
	answers(t, w.until("i5 to be placed", "i5", placed).Addr)
	for _, id := range []string{"i2", "i4", "i5"} {
		if list := w.allocations(nomad.JobName("test", "org/one", id)); len(list) != 1 {
			t.Errorf("%s has %d allocations, want one", id, len(list))
		}
	}

	// An engine that dies is gone, with a reason, and stays so.
	list := w.allocations(nomad.JobName("test", "org/one", "i5"))
	a, _, err := w.client.Allocations().Info(list[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Allocations().Signal(a, nil, "engine", "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	var failure string
	w.until("i5 to be gone", "i5", func(s *fleet.Sighting, o fleet.Observation) bool {
		for _, i := range o.Instances {
			if i.ID == "i5" && i.Gone {
				failure = i.Failure
			}
		}
		return s == nil
	})
	if failure != "killed by signal 9" {
		t.Errorf("i5 has ended for %q, want its signal", failure)
	}
	w.stopped(nomad.JobName("test", "org/one", "i5"))
}

// stopped waits until a job is stopped.
func (w *world) stopped(job string) {
	w.t.Helper()
	w.eventually(job+" to be stopped", func() bool {
		j, _, err := w.client.Jobs().Info(job, nil)
		return err == nil && *j.Stop
	})
}

// drain takes the node out of service: its instances end, and none of them is started again.
func (w *world) drain(t *testing.T) {
	nodes, _, err := w.client.Nodes().List(nil)
	if err != nil || len(nodes) != 1 {
		t.Fatalf("got %v, %v; want one node", nodes, err)
	}
	spec := &api.DrainSpec{Deadline: 20 * time.Second}
	if _, err := w.client.Nodes().UpdateDrain(nodes[0].ID, spec, false, nil); err != nil {
		t.Fatal(err)
	}
	w.until("the node to take no work", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return len(o.Nodes) == 1 && o.Nodes[0].Condition != fleet.PlaceHealthy
	})
	for _, id := range []string{"i2", "i4"} {
		w.until(id+" to be gone", id, gone)
	}
	if _, err := w.client.Nodes().UpdateDrain(nodes[0].ID, nil, true, nil); err != nil {
		t.Fatal(err)
	}
	w.until("the node to take work", "", func(_ *fleet.Sighting, o fleet.Observation) bool {
		return len(o.Nodes) == 1 && o.Nodes[0].Condition == fleet.PlaceHealthy
	})
	for _, id := range []string{"i2", "i4"} {
		for _, a := range w.allocations(nomad.JobName("test", "org/one", id)) {
			if a.ClientStatus == api.AllocClientStatusRunning {
				t.Errorf("%s runs again", id)
			}
		}
	}
}
