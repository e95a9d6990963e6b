package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// poolSite is a cluster for servers with pools. Its simulated engines share one account of GPU memory, over all slots and servers.
type poolSite struct {
	cluster *cluster.Cluster
	program string // pilotlight
	gpus    string // directory of the account
}

// openDir is a directory for engines of whatever user.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "engines-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newPoolSite(t *testing.T, nodes int) *poolSite {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Nomad and Consul; not in short runs")
	}
	dir := t.TempDir()
	s := &poolSite{program: filepath.Join(dir, "pilotlight"), gpus: openDir(t)}
	if out, err := exec.Command("go", "build", "-o", s.program, "github.com/pilotlight-io/pilotlight/cmd/pilotlight").CombinedOutput(); err != nil {
		t.Fatalf("building pilotlight: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds both programs
	defer cancel()
	var err error
	if s.cluster, err = cluster.Start(ctx, cluster.Config{Nodes: nodes, Env: []string{"PILOTLIGHT_SIM_GPU_DIR=" + s.gpus}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	nomadServer{t, s.cluster.Nomad.Addr}.ask(http.MethodPut, "/v1/var/pilotlight/slots", map[string]any{"Items": map[string]string{"slot_key": testSlotKey}}, nil)
	s.watchGPUs(t)
	return s
}

// watchGPUs looks at what engines hold until the test ends: no GPU may ever have two that are awake.
func (s *poolSite) watchGPUs(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			for gpu, engines := range s.awake() {
				if len(engines) > 1 {
					t.Errorf("GPU %s has the engines %v awake", gpu, engines)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond): // between two looks
			}
		}
	})
	t.Cleanup(func() { cancel(); watching.Wait() })
}

// awakeAbove is more than a parked engine keeps of a GPU, and less than any other has of it.
const awakeAbove = 3.5e9

// awake gives the files of the engines that have a GPU's memory, by GPU.
func (s *poolSite) awake() map[string][]string {
	out := map[string][]string{}
	lock, err := os.Open(filepath.Join(s.gpus, "lock"))
	if err != nil {
		return out // no engine has ever run
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX) != nil {
		return out
	}
	files, _ := filepath.Glob(filepath.Join(s.gpus, "engine-*.json"))
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			continue
		}
		var entry struct {
			GPUs  []string
			Bytes float64
		}
		living := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
		if living && json.NewDecoder(file).Decode(&entry) == nil && entry.Bytes > awakeAbove {
			for _, gpu := range entry.GPUs {
				out[gpu] = append(out[gpu], filepath.Base(name))
			}
		}
		file.Close()
	}
	return out
}

// poolLane is a server on the site with one pool and models that nobody else has.
type poolLane struct {
	name  string
	slots fleet.Range
	more  string // settings beside the pool
	pool  string // more lines in its block
	text  string // of the models

	*devServer
	t    *testing.T
	site *poolSite
}

// lane starts the server. At the test's end it must come to zero by itself, and leave nothing.
func (s *poolSite) lane(t *testing.T, l poolLane) *poolLane {
	t.Helper()
	l.t, l.site = t, s
	l.launch(t.TempDir())
	t.Cleanup(func() { // last, also where one before it gives up
		if t.Failed() {
			t.Logf("log of serve:\n%s", l.stderr)
		}
	})
	t.Cleanup(func() {
		l.goesToZero()
		if err := l.signal(os.Interrupt); err != nil {
			t.Errorf("stopping serve: got %v, want exit status 0", err)
		}
		l.wantNoWantOfMemory()
	})
	l.newToken(t)
	return &l
}

func (l *poolLane) config() string {
	return fmt.Sprintf(`cluster = %q
api {
  addr = "127.0.0.1:0"
}
admin {
  addr = "127.0.0.1:0"
}
backend "nomad" {
  addr = %q
  consul {
    addr = %q
  }
}
%s
pool "h100" {
  host_memory = "1.4TiB"
  slots {
    min = %d
    max = %d
  }
%s
}
%s`, l.name, l.site.cluster.Nomad.Addr, l.site.cluster.Consul.Addr, l.more, l.slots.Min, l.slots.Max, l.pool, l.text)
}

// pooledModel is the block of a model with a simulated engine; settings and engine are more lines in it and in its engine's.
func pooledModel(id, settings, engine string, args ...string) string {
	return fmt.Sprintf("model %q {\n  pool = \"h100\"\n%s\n  engine \"sim\" {\n    driver = \"raw_exec\"\n    cpu    = 100\n    args   = [\"%s\"]\n%s\n  }\n}\n",
		id, settings, strings.Join(args, `", "`), engine)
}

func (l *poolLane) launch(dir string) {
	l.t.Helper()
	l.begins(dir)
	l.awaitReady(l.t)
}

// begins is launch without the wait until the server is ready.
func (l *poolLane) begins(dir string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "pilotlight.hcl"), []byte(l.config()), 0o600); err != nil {
		l.t.Fatal(err)
	}
	s, err := launchServeOf(l.site.program, dir)
	if err != nil {
		l.t.Fatal(err)
	}
	l.devServer = s
}

// restart kills the server and starts it again, with the config as it is now.
func (l *poolLane) restart() {
	l.t.Helper()
	token := l.Token
	l.devServer.kill()
	l.wantNoWantOfMemory()
	l.t.Logf("log of the killed server:\n%s", l.stderr)
	l.launch(l.DataDir)
	l.Token = token
}

// wantNoWantOfMemory holds the server's log against engines that found their GPUs taken.
func (l *poolLane) wantNoWantOfMemory() {
	l.t.Helper()
	if log := l.stderr.String(); strings.Contains(log, "out of memory") {
		l.t.Error("an engine found its GPUs taken")
	}
}

// instances gives the model of each instance, by its ID.
func (l *poolLane) instances() map[string]string {
	l.t.Helper()
	list, err := l.admin(l.t).Instances(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]string{}
	for _, i := range list {
		out[i.ID] = i.Model
	}
	return out
}

// agree says in what Consul's catalogue differs from the instances that are ready; "" = in nothing.
func (l *poolLane) agree() string {
	instances, err := l.admin(l.t).Instances(context.Background())
	if err != nil {
		return err.Error()
	}
	want := []string{}
	for _, i := range instances {
		if i.State == fleet.Ready {
			want = append(want, i.Model)
		}
	}
	slices.Sort(want)
	if got := passingServices(l.t, l.site.cluster, l.name); !slices.Equal(got, want) {
		return fmt.Sprintf("Consul has %v passing, want the ready %v", got, want)
	}
	return ""
}

// goesToZero waits until nothing of the lane runs, in the server's eyes, in Nomad's, in Consul's, and in the system's.
func (l *poolLane) goesToZero() {
	l.t.Helper()
	eventually(l.t, 90*time.Second, func() string {
		instances, err := l.admin(l.t).Instances(context.Background()) // the test's own has ended
		if err != nil {
			return err.Error()
		}
		if len(instances) > 0 {
			return fmt.Sprintf("the server lists %+v", instances)
		}
		pool, err := l.admin(l.t).Pool(context.Background(), "h100")
		if err != nil || len(pool.Live) > 0 {
			return fmt.Sprintf("the server lists slots %+v, %v", pool, err)
		}
		if jobs := l.jobs(); len(jobs) > 0 {
			return fmt.Sprintf("jobs %v run", jobs)
		}
		if got := passingServices(l.t, l.site.cluster, l.name); len(got) > 0 {
			return fmt.Sprintf("Consul has %v passing", got)
		}
		if slots, engines := l.processes(""); len(slots)+len(engines) > 0 {
			return fmt.Sprintf("slots %v and engines %v are left", slots, engines)
		}
		return ""
	})
}

// node is the machine on which Nomad has placed the lane's slot.
func (l *poolLane) node() (node cluster.Node) {
	l.t.Helper()
	eventually(l.t, time.Minute, func() string {
		jobs := l.jobs()
		if len(jobs) != 1 {
			return fmt.Sprintf("jobs %v run, want one slot", jobs)
		}
		var allocations []struct{ NodeName string }
		getJSON(l.t, l.site.cluster.Nomad.Addr+"/v1/job/"+jobs[0]+"/allocations", &allocations)
		for _, n := range l.site.cluster.Nodes {
			if len(allocations) == 1 && allocations[0].NodeName == n.Name {
				node = n
				return ""
			}
		}
		return fmt.Sprintf("%s is on %v", jobs[0], allocations)
	})
	return node
}

// jobs are those of the lane that are not dead.
func (l *poolLane) jobs() (ids []string) {
	var jobs []struct {
		ID, Status string
		Meta       map[string]string
	}
	getJSON(l.t, l.site.cluster.Nomad.Addr+"/v1/jobs?meta=true", &jobs)
	for _, j := range jobs {
		if j.Status != "dead" && j.Meta["pilotlight_cluster"] == l.name {
			ids = append(ids, j.ID)
		}
	}
	return ids
}

// processes are the lane's supervisors, and its engines of a model; "" = of all.
func (l *poolLane) processes(model string) (slots, engines []int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		words := words(pid)
		if err != nil || words[0] != l.site.program || len(words) < 2 || !alive(pid) {
			continue
		}
		switch {
		case words[1] == "slot" && after(words, "--cluster") == l.name:
			slots = append(slots, pid)
		case words[1] == "trtsim" && after(words, "--sim-seed") == l.seed() && (model == "" || after(words, "--served_model_name") == model):
			engines = append(engines, pid)
		}
	}
	return slots, engines
}

// words are those of a process's command line.
func words(pid int) []string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
}

// seed marks the lane's engines on their command lines.
func (l *poolLane) seed() string {
	sum := 1
	for _, c := range l.name {
		sum = sum*31 + int(c)
	}
	return strconv.Itoa(sum)
}

// after gives the word that follows an option.
func after(words []string, option string) string {
	if i := slices.Index(words, option); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
