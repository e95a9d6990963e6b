package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// members are servers of one cluster with one database, on machines, that is directories, of their own.
type members struct {
	*testing.T
	f       nomadFile
	all     []*devServer // that live
	program string       // pilotlight; "" = the tests'
}

func newMembers(t *testing.T, name string, models ...nomadModel) *members {
	t.Helper()
	c, sim := startShared(t)
	t.Setenv(databaseURL, storetest.ServerOf(t).Database(t))
	counts := filepath.Join(t.TempDir(), "counts.yml") // engines say how many requests they serve
	if err := os.WriteFile(counts, []byte("enable_iter_perf_stats: true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range models {
		models[i].args = append(slices.Clone(models[i].args), "--extra_llm_api_options", counts)
	}
	t.Cleanup(func() { // also where the test has failed
		var jobs []struct{ ID, Status string }
		nomad := nomadServer{t, c.Nomad.Addr}
		nomad.ask(http.MethodGet, "/v1/jobs?prefix=pilotlight-"+name+"-", nil, &jobs)
		for _, j := range jobs {
			if j.Status != "dead" {
				nomad.ask(http.MethodDelete, "/v1/job/"+j.ID, nil, nil)
			}
		}
	})
	return &members{T: t, f: nomadFile{cluster: c, name: name, sim: sim, models: models, more: "store \"postgres\" {}\nservers { addr = \"127.0.0.1:0\" }\n"}}
}

// begin starts one more, which serves, whether it leads or not.
func (m *members) begin() *devServer {
	m.Helper()
	dir := m.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pilotlight.hcl"), []byte(m.f.text()), 0o600); err != nil {
		m.Fatal(err)
	}
	s := m.launch(dir)
	if len(m.all) == 0 {
		s.newToken(m.T)
	} else {
		s.Token = m.all[0].Token
		eventually(m.T, 20*time.Second, func() string {
			if r, err := s.post(m.Context(), "/chat/completions", []byte("{}")); err != nil || r.status != 400 {
				return fmt.Sprintf("the token is not known here yet: %+v, %v", r, err)
			}
			return ""
		})
	}
	m.all = append(m.all, s)
	return s
}

// launch starts a server in its directory; more are flags.
func (m *members) launch(dir string, more ...string) *devServer {
	m.Helper()
	cmd, env := exec.Command(os.Args[0]), []string{asProgram + "=1"}
	if m.program != "" {
		cmd, env = exec.Command(m.program), nil
	}
	cmd.Args = append(append(cmd.Args, "serve", "--config", filepath.Join(dir, "pilotlight.hcl")), more...)
	s, err := beginServeAs(cmd, env...)
	if err == nil {
		err = s.awaitServing(dir)
	}
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() {
		s.kill()
		if m.Failed() {
			m.Logf("log of %s:\n%s", dir, s.stderr)
		}
	})
	s.awaitReady(m.T)
	return s
}

// replace has another process take a server's place, which callers go on to ask at the same address.
func (m *members) replace(old *devServer) {
	m.Helper()
	s := m.launch(old.DataDir, "--take-over")
	<-old.ended
	if old.err != nil {
		m.Errorf("the one that was replaced: %v", old.err)
	}
	if s.API != old.API {
		m.Errorf("the next listens at %s, want %s", s.API, old.API)
	}
	s.Token = old.Token
	m.all[slices.Index(m.all, old)] = s
}

// leader gives the one that leads, and the others.
func (m *members) leader() (leader *devServer, others []*devServer) {
	m.Helper()
	eventually(m.T, 20*time.Second, func() string {
		leader, others = nil, nil
		for _, s := range m.all {
			if strings.Contains(authorized(m.T, s.Admin+"/metrics"), "pilotlight_leader 1\n") {
				leader = s
			} else {
				others = append(others, s)
			}
		}
		if leader == nil {
			return "nobody leads"
		}
		return ""
	})
	return leader, others
}

// leadAfter does what ends a leader, and gives how long it takes until another of those leads.
func (m *members) leadAfter(end func(), others ...*devServer) time.Duration {
	m.Helper()
	counts, read := make([]int, len(others)), make([]int, len(others))
	led := func() (n int) {
		for i, s := range others {
			if length := s.stderr.Len(); length > read[i] { // what is measured must not wait for who measures
				counts[i], read[i] = strings.Count(s.stderr.String(), "this server leads\""), length
			}
			n += counts[i]
		}
		return n
	}
	before, began := led(), time.Now()
	end()
	for led() == before {
		if time.Since(began) > 30*time.Second {
			m.Fatal("no other server leads")
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

func (m *members) forget(gone *devServer) {
	m.all = slices.DeleteFunc(m.all, func(s *devServer) bool { return s == gone })
}

// tally is what became of requests for hot models.
type tally struct {
	mu     sync.Mutex // guards what follows
	took   []time.Duration
	failed []string
}

func (t *tally) note(took time.Duration, failed string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.took = append(t.took, took); failed != "" {
		t.failed = append(t.failed, failed)
	}
}

// sum gives the figures of what was noted at several times.
func sum(of ...*tally) hotRequests {
	var all, slowest []time.Duration
	h := hotRequests{}
	for _, t := range of {
		t.mu.Lock()
		if len(t.took) > 0 {
			slowest = append(slowest, slices.Max(t.took))
		}
		all, h.Errors = append(all, t.took...), h.Errors+len(t.failed)
		t.mu.Unlock()
	}
	slices.Sort(all)
	slices.Sort(slowest)
	if h.Requests = len(all); h.Requests > 0 {
		h.P50, h.P999, h.Max = ms(all[h.Requests/2]), ms(all[min(h.Requests*999/1000, h.Requests-1)]), ms(all[h.Requests-1])
		h.Slowest = ms(slowest[len(slowest)/2])
	}
	return h
}

// slower gives the share of what was noted that took longer than so many milliseconds.
func slower(of []*tally, limit float64) float64 {
	n, all := 0, 0
	for _, t := range of {
		t.mu.Lock()
		for _, took := range t.took {
			if all++; ms(took) > limit {
				n++
			}
		}
		t.mu.Unlock()
	}
	return float64(n) / float64(max(all, 1))
}

// loads has each of these servers asked for a hot model again and again, until end is called. No request may fail.
func (m *members) loads(servers []*devServer, model string, into *tally) (end func()) {
	ctx, cancel := context.WithCancel(m.Context())
	var asks sync.WaitGroup
	for _, s := range servers {
		asks.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				began, failed := time.Now(), ""
				asking, done := context.WithTimeout(m.Context(), time.Minute)
				if a, err := s.chat(asking, model, n%2 == 0); err != nil || !a.whole() {
					failed = fmt.Sprintf("%+v, %v", a, err)
					m.Errorf("a request for a hot model failed: %s", failed)
				}
				done()
				into.note(time.Since(began), failed)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	return func() {
		cancel()
		asks.Wait()
	}
}

// hold sends a request for a cold model, which is to be answered in the end.
func (m *members) hold(s *devServer, model string) (answered func()) {
	var asking sync.WaitGroup
	asking.Go(func() {
		began := time.Now()
		ctx, cancel := context.WithTimeout(m.Context(), time.Minute)
		defer cancel()
		if a, err := s.chat(ctx, model, false); err != nil || !a.whole() {
			m.Errorf("who waited got %+v, %v after %v", a, err, time.Since(began))
			return
		}
		m.Logf("who waited for %s was answered after %v", model, time.Since(began))
	})
	return asking.Wait
}

func memberModels() []nomadModel {
	slow := []string{"--sim-container-start", "0s", "--sim-load-time", "6s", "--sim-token-time", "2ms"}
	fast := []string{"--sim-container-start", "0s", "--sim-load-time", "200ms", "--sim-token-time", "2ms"}
	return []nomadModel{
		{id: "meta-llama/Meta-Llama-3-8B-Instruct", args: fast}, {id: "mistralai/Mistral-7B-Instruct-v0.3", args: slow}, {id: "meta-llama/Meta-Llama-3-70B-Instruct", args: slow},
	}
}

func TestNomad_SeveralServersServeTogether(t *testing.T) {
	m := newMembers(t, "members", memberModels()...)
	const hot, cold, colder = "meta-llama/Meta-Llama-3-8B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3", "meta-llama/Meta-Llama-3-70B-Instruct"
	m.begin()
	m.begin()
	leader, others := m.leader()
	if len(others) != 1 {
		t.Fatalf("%d of two servers follow", len(others))
	}
	follower := others[0]
	instance := follower.mustChat(t, hot, true).header.Get("X-Pilotlight-Instance") // a request that only the follower has starts it
	eventually(t, 10*time.Second, func() string {
		if got := leader.mustChat(t, hot, false).header.Get("X-Pilotlight-Instance"); got != instance {
			return fmt.Sprintf("the leader serves on %s, the follower on %s", got, instance)
		}
		return ""
	})
	third := m.begin()
	if got := third.mustChat(t, hot, true).header.Get("X-Pilotlight-Instance"); got != instance {
		t.Errorf("one that came late serves on %s, want %s", got, instance)
	}

	// The leader dies, and somebody asks another one for a model that nobody has.
	var hots tally
	end := m.loads([]*devServer{follower, third}, hot, &hots)
	time.Sleep(time.Second)
	m.forget(leader)
	var waits func()
	took := m.leadAfter(func() {
		leader.kill()
		waits = m.hold(follower, cold)
	}, follower, third)
	t.Logf("another server led %v after the leader was killed", took)
	if took > 8*time.Second {
		t.Errorf("another server led after %v, want 8 s at most", took)
	}
	waits()
	end()

	// The next is told to stop.
	leader, others = m.leader()
	end = m.loads(others, hot, &hots)
	time.Sleep(time.Second)
	m.forget(leader)
	took = m.leadAfter(func() {
		waits = m.hold(others[0], colder)
		_ = leader.cmd.Process.Signal(syscall.SIGINT)
	}, others...)
	t.Logf("another server led %v after the leader was told to stop", took)
	if took > time.Second {
		t.Errorf("another server led after %v, want 1 s at most", took)
	}
	waits()
	end()
	t.Logf("hot requests: %+v", sum(&hots))
	<-leader.ended
	if leader.err != nil {
		t.Errorf("the one that was told to stop: %v", leader.err)
	}
	m.begin()
	_, others = m.leader()
	if got := others[0].mustChat(t, hot, false).header.Get("X-Pilotlight-Instance"); got != instance {
		t.Errorf("in the end %s serves, want %s", got, instance)
	}
	if jobs := runningJobs(t, m.f.cluster, m.f.name); len(jobs) != 3 {
		t.Errorf("there are jobs %v, want one of each model", jobs)
	}
	leader, _ = m.leader()
	for _, model := range m.f.ids() {
		if _, err := leader.admin(t).StopModel(t.Context(), model); err != nil {
			t.Error(err)
		}
	}
	eventually(t, time.Minute, func() string {
		if jobs := runningJobs(t, m.f.cluster, m.f.name); len(jobs) != 0 {
			return fmt.Sprintf("jobs %v run", jobs)
		}
		return ""
	})
}

// TestNomad_HotModelsAreServedWithoutConsulOrALeader: for as long as it takes, on engines of their own and in slots.
func TestNomad_HotModelsAreServedWithoutConsulOrALeader(t *testing.T) {
	away := 30 * time.Second // longer than any table is good for
	if long, err := time.ParseDuration(os.Getenv("PILOTLIGHT_OUTAGE")); err == nil {
		away = long
	}
	m := newMembers(t, "outage", memberModels()[0])
	gate := newGate(t, m.f.cluster.Consul.Addr)
	gate.open.Store(true)
	m.f.consul = gate.url()
	hot := m.f.models[0].id
	m.begin()
	m.begin()
	leader, others := m.leader()
	if err := holdHot(t, leader, hot); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*devServer{leader, others[0]} {
		s.mustChat(t, hot, true)
	}
	var hots tally
	end := m.loads([]*devServer{leader, others[0]}, hot, &hots)
	gate.open.Store(false)
	time.Sleep(away)
	end()
	t.Logf("without Consul for %v: %+v", away, sum(&hots))
	if text := getText(t, leader.Admin+"/readyz", http.StatusOK); !strings.Contains(text, "nothing is started") {
		t.Errorf("readyz of who led says %s", text)
	}
	m.forget(leader)
	leader.kill()
	hots = tally{}
	end = m.loads(others, hot, &hots)
	time.Sleep(away)
	end()
	t.Logf("without Consul and a leader for %v: %+v", away, sum(&hots))
	took := m.leadAfter(func() { gate.open.Store(true) }, others...)
	t.Logf("the one that is left led %v after Consul was back", took)
	others[0].mustChat(t, hot, true)
	if _, err := others[0].admin(t).StopModel(t.Context(), hot); err != nil {
		t.Error(err)
	}
	eventually(t, time.Minute, func() string {
		if jobs := runningJobs(t, m.f.cluster, m.f.name); len(jobs) != 0 {
			return fmt.Sprintf("jobs %v run", jobs)
		}
		return ""
	})
}

// TestNomad_AServerWithAnotherConfig has a model that the one that leads does not have: it is started for it, and left alone by whoever leads.
func TestNomad_AServerWithAnotherConfig(t *testing.T) {
	m := newMembers(t, "configs", memberModels()[:2]...)
	both := m.f.models
	m.f.models = both[:1]
	first := m.begin()
	m.f.models = both
	second := m.begin()
	other := both[1].id
	second.mustChat(t, other, true)
	if a, err := first.chat(t.Context(), other, false); err != nil || a.status != http.StatusNotFound {
		t.Errorf("the server without the model: got %+v, %v, want 404", a, err)
	}
	servers, err := first.admin(t).Servers(t.Context())
	if err != nil || len(servers) != 2 || servers[0].Config == servers[1].Config || !slices.ContainsFunc(servers, func(s admin.ServerInfo) bool {
		return slices.Contains(s.Differs, "model "+other+" is only in it")
	}) {
		t.Errorf("got the servers %+v, %v, want the difference", servers, err)
	}
	if !strings.Contains(first.stderr.String(), "a server has another config") {
		t.Error("the leader's log does not say so")
	}
	// One without the model leads next, and finds its instance.
	m.f.models = both[:1]
	third := m.begin()
	m.forget(second)
	second.kill()
	m.forget(first)
	m.leadAfter(func() { _ = first.cmd.Process.Signal(syscall.SIGINT) }, third)
	time.Sleep(5 * time.Second)
	if jobs := runningJobs(t, m.f.cluster, m.f.name); jobs[other] == "" {
		t.Errorf("the jobs %v run, want that of the model that another server has", jobs)
	}
	if strings.Contains(third.stderr.String(), "no longer in the config") {
		t.Error("its instance was drained")
	}
}

// TestNomad_IdleEnginesGoAfterAHandover: also such as do not say how many requests they serve, whether the server that led ends at once or has a stream to finish.
func TestNomad_IdleEnginesGoAfterAHandover(t *testing.T) {
	m := newMembers(t, "heirs", memberModels()[0])
	m.f.models = memberModels()[:1] // whose engines count nothing
	m.f.models[0].settings = `idle_after = "5s"`
	model := m.f.models[0].id
	m.begin()
	m.begin()
	for _, streams := range []bool{false, true} {
		leader, others := m.leader()
		for _, s := range []*devServer{leader, others[0]} {
			s.mustChat(t, model, true)
		}
		var streamed <-chan *answer
		if streams {
			streamed = leader.stream(t, model, 1500) // 3 s
		}
		m.forget(leader)
		took := m.leadAfter(func() { _ = leader.cmd.Process.Signal(syscall.SIGINT) }, others...)
		began := time.Now()
		if streams {
			if a := <-streamed; !a.whole() {
				t.Errorf("a stream of the server that ended was cut: %v", a.err)
			}
		}
		<-leader.ended
		eventually(t, time.Minute, func() string {
			if jobs := runningJobs(t, m.f.cluster, m.f.name); len(jobs) != 0 {
				return fmt.Sprintf("the jobs %v run, %v after the handover", jobs, time.Since(began))
			}
			return ""
		})
		t.Logf("with a stream %v: another server led after %v, the idle engine was gone %v later", streams, took, time.Since(began))
		m.begin()
	}
}
