package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// lane is a server on the site with two models that nobody else has. sim, args and idleAfter are what a test wants otherwise.
type lane struct {
	name      string
	sim       string   // "" = the simulator
	args      []string // of it
	idleAfter string   // "" = 3s

	*devServer
	t    *testing.T
	site *site
}

// lane starts the server. At the test's end it must come to zero by itself, and leave nothing.
func (s *site) lane(t *testing.T, l lane) *lane {
	t.Helper()
	l.t, l.site = t, s
	if l.sim == "" {
		l.sim = s.sim
	}
	if l.idleAfter == "" {
		l.idleAfter = "3s"
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pilotlight.hcl"), []byte(l.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	l.launch(dir)
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
	})
	l.newToken(t)
	return &l
}

// config has both models of the lane with the same engine.
func (l *lane) config() string {
	args := append([]string{"--sim-token-time", "2ms", "--sim-container-start", "0s", "--sim-load-time", "200ms"}, l.args...)
	var b strings.Builder
	fmt.Fprintf(&b, `cluster = %q
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
`, l.name, l.site.cluster.Nomad.Addr, l.site.cluster.Consul.Addr)
	for _, id := range []string{l.model(), l.other()} {
		fmt.Fprintf(&b, `model %q {
  gpus       = 1
  idle_after = %q
  engine "sim" {
    driver  = "raw_exec"
    command = [%q]
    args    = ["%s"]
  }
}
`, id, l.idleAfter, l.sim, strings.Join(args, `", "`))
	}
	return b.String()
}

func (l *lane) model() string { return l.name + "/model" }
func (l *lane) other() string { return l.name + "/other" }

func (l *lane) launch(dir string) {
	l.t.Helper()
	s, err := launchServe(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	l.devServer = s
	l.awaitReady(l.t)
}

// restart kills the server and starts it again.
func (l *lane) restart() {
	l.t.Helper()
	token := l.Token
	l.devServer.kill()
	l.t.Logf("log of the killed server:\n%s", l.stderr)
	l.launch(l.DataDir)
	l.Token = token
}

// goesToZero waits until nothing of the lane runs, in the server's eyes, in Nomad's, in Consul's, and in the system's.
func (l *lane) goesToZero() {
	l.t.Helper()
	ctx := context.Background() // the test's own has ended
	eventually(l.t, 90*time.Second, func() string {
		instances, err := l.admin(l.t).Instances(ctx)
		if err != nil {
			return err.Error()
		}
		if len(instances) > 0 {
			return fmt.Sprintf("the server lists %+v", instances)
		}
		for _, j := range l.jobs() {
			if j.Status != "dead" {
				return fmt.Sprintf("job %s is %s", j.ID, j.Status)
			}
		}
		if n, err := l.inConsul(); err != nil || n > 0 {
			return fmt.Sprintf("Consul lists %d services (%v)", n, err)
		}
		if left := l.processes(); len(left) > 0 {
			return fmt.Sprintf("processes %v are left", left)
		}
		return ""
	})
}

// mustHave says that the server must list the instance alone, and Nomad one live job.
func (l *lane) mustHave(instance string) {
	l.t.Helper()
	instances, err := l.admin(l.t).Instances(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	found := false
	for _, i := range instances {
		found = found || i.ID == instance
		if i.Model == l.model() && i.ID != instance {
			l.t.Errorf("the server also lists %s, %s", i.ID, i.State)
		}
	}
	if !found {
		l.t.Errorf("the server lists %+v, want %s among them", instances, instance)
	}
	for _, j := range l.jobs() {
		if j.Status != "dead" && j.Meta["pilotlight_model"] == l.model() && !strings.HasSuffix(j.ID, "-"+instance) {
			l.t.Errorf("job %s is %s, want that of %s alone", j.ID, j.Status, instance)
		}
	}
}

// node is Nomad's ID of the machine that an instance is on.
func (l *lane) node(instance string) string {
	l.t.Helper()
	instances, err := l.admin(l.t).Instances(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, i := range instances {
		if i.ID == instance {
			return i.Node
		}
	}
	l.t.Fatalf("the server does not list %s", instance)
	return ""
}

// jobs are all that the lane ever had, oldest first.
func (l *lane) jobs() []*api.JobListStub {
	l.t.Helper()
	list, _, err := l.site.nomad.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}},
		&api.QueryOptions{Prefix: "pilotlight-" + l.name + "-"})
	if err != nil {
		l.t.Fatal(err)
	}
	ours := list[:0]
	for _, j := range list {
		if j.Meta["pilotlight_cluster"] == l.name {
			ours = append(ours, j)
		}
	}
	return ours
}

// movedByNomad says what is left of Nomad's own move of an instance to another node; "" = its job is stopped, and no allocation but the
// first runs or is to run. (One that has waited for the first to end never starts then.)
func (l *lane) movedByNomad(instance string) string {
	for _, j := range l.jobs() {
		if !strings.HasSuffix(j.ID, "-"+instance) {
			continue
		}
		if !j.Stop {
			return "job " + j.ID + " is not stopped"
		}
		list, _, err := l.site.nomad.Jobs().Allocations(j.ID, true, nil)
		if err != nil {
			return err.Error()
		}
		slices.SortFunc(list, func(a, b *api.AllocationListStub) int { return cmp.Compare(a.CreateIndex, b.CreateIndex) })
		for _, a := range list[1:] {
			if a.DesiredStatus == api.AllocDesiredStatusRun || a.ClientStatus == api.AllocClientStatusRunning {
				return "allocation " + a.ID + " is " + a.ClientStatus
			}
		}
		return ""
	}
	return "there is no such job"
}

// processes are the lane's engines.
func (l *lane) processes() []int {
	var out []int
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		words := bytes.Split(line, []byte{0})
		if !bytes.HasSuffix(words[0], []byte("trtsim")) || !bytes.Contains(line, []byte(l.name+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && alive(pid) {
			out = append(out, pid)
		}
	}
	return out
}

// awaitProcess waits until an engine has been started, and is loading.
func (l *lane) awaitProcess() {
	l.t.Helper()
	eventually(l.t, time.Minute, func() string {
		if len(l.processes()) == 0 {
			return "no engine runs"
		}
		return ""
	})
}

// said is "" once the server has logged something.
func (l *lane) said(what string) string {
	if !strings.Contains(l.stderr.String(), what) {
		return "the log has no " + strconv.Quote(what)
	}
	return ""
}

// crash ends the lane's engine as a crash does.
func (l *lane) crash() {
	l.t.Helper()
	engines := l.processes()
	if len(engines) != 1 {
		l.t.Fatalf("engines %v run, want one", engines)
	}
	if err := syscall.Kill(engines[0], syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
}

// services are those of the lane that the Consul server lists.
// services lists the lane's services in Consul: all, or which a query says.
func (l *lane) services(which string) (ids []string, err error) {
	response, err := http.Get(l.site.cluster.Consul.Addr + "/v1/health/service/pilotlight-engine" + which)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var entries []struct {
		Service struct {
			ID   string
			Meta map[string]string
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Service.Meta["pilotlight_cluster"] == l.name {
			ids = append(ids, e.Service.ID)
		}
	}
	return ids, nil
}

func (l *lane) inConsul() (int, error) {
	ids, err := l.services("")
	return len(ids), err
}

// awaitInConsul waits until Consul lists so many services of the lane.
func (l *lane) awaitInConsul(want int) {
	l.t.Helper()
	eventually(l.t, time.Minute, func() string {
		if n, err := l.inConsul(); err != nil || n != want {
			return fmt.Sprintf("Consul lists %d services (%v), want %d", n, err, want)
		}
		return ""
	})
}

// awaitPassing waits until a service of the lane has passed for a second: whoever follows Consul has seen it by then.
func (l *lane) awaitPassing() {
	l.t.Helper()
	var since time.Time
	eventually(l.t, time.Minute, func() string {
		ids, err := l.services("?passing")
		switch {
		case err != nil || len(ids) == 0:
			since = time.Time{}
			return fmt.Sprintf("Consul lists no passing service (%v)", err)
		case since.IsZero():
			since = time.Now()
		}
		if time.Since(since) < time.Second {
			return "its service has passed for less than a second"
		}
		return ""
	})
}

// forgetInConsul takes the lane's services that pass from the agent that knows them. Nomad brings them back, some time within half a minute.
func (l *lane) forgetInConsul(agent *cluster.Agent) {
	l.t.Helper()
	ids, err := l.services("?passing")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, id := range ids {
		request, err := http.NewRequestWithContext(l.t.Context(), http.MethodPut, agent.Addr+"/v1/agent/service/deregister/"+id, nil)
		if err != nil {
			l.t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			l.t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			l.t.Fatalf("Consul does not forget %s: %s", id, response.Status)
		}
	}
}
