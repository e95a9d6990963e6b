package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestNomad_EveryModelStreamsFromColdAndGoesToZero(t *testing.T) {
	c, sim := startShared(t)
	f := nomadFile{cluster: c, name: "eight", sim: sim, models: catalogueModels(`  idle_after = "10s"`, "--sim-speed", "500")}
	s := startServe(t, f)
	s.awaitReady(t)
	counted := countGPUs(t, c)
	s.wake(t, f.ids(), fleet.Cold)             // 30 of the 32 GPUs, asked for all at once
	eventually(t, time.Minute, func() string { // on a slow machine the first is idle before the last has come
		if said := agree(t, c, s, "eight", f.ids()); said != "" {
			s.wake(t, f.ids(), "")
			return said
		}
		return ""
	})
	eventually(t, time.Minute, func() string { return agree(t, c, s, "eight", nil) })
	counted(30)
}

// wake asks each of the models for a stream, all at once; start is what each must say of its start, "" = anything.
func (s *devServer) wake(t *testing.T, models []string, start fleet.Tier) {
	t.Helper()
	var requests sync.WaitGroup
	defer requests.Wait()
	for _, id := range models {
		requests.Go(func() {
			a, err := s.chat(t.Context(), id, true)
			if err != nil || !a.whole() {
				t.Errorf("%s: got %+v, %v, want a whole stream", id, a, err)
				return
			}
			if got := a.header.Get("X-Pilotlight-Start"); start != "" && got != string(start) {
				t.Errorf("%s: got start %q, want %s", id, got, start)
			}
		})
	}
}

// agree says in what Nomad, Consul and `pilotlight model list` differ from each of the models having one instance that is ready, and no
// other model having any; "" = in nothing.
func agree(t *testing.T, c *cluster.Cluster, s *devServer, name string, models []string) string {
	t.Helper()
	want := map[string]string{} // model -> job
	instances, err := s.admin(t).Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range instances {
		want[i.Model] = i.Job
	}
	if got := slices.Sorted(maps.Keys(want)); !slices.Equal(got, slices.Sorted(slices.Values(models))) || len(instances) != len(models) {
		return fmt.Sprintf("model list has instances of %v, want one of each of %v", got, models)
	}
	for id, state := range states(t, s.admin(t)) {
		if (state == "hot") != slices.Contains(models, id) {
			return fmt.Sprintf("%s is %s", id, state)
		}
	}
	if diff := cmp.Diff(want, runningJobs(t, c, name)); diff != "" {
		return "running jobs of Nomad (-want +got): " + diff
	}
	if got := passingServices(t, c, name); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		return fmt.Sprintf("Consul has %v passing, want %v", got, slices.Sorted(maps.Keys(want)))
	}
	return ""
}

// runningJobs gives the job of each model that Nomad runs for a Pilotlight.
func runningJobs(t *testing.T, c *cluster.Cluster, name string) map[string]string {
	t.Helper()
	var jobs []struct {
		ID, Status string
		Meta       map[string]string
	}
	getJSON(t, c.Nomad.Addr+"/v1/jobs?meta=true", &jobs)
	running := map[string]string{}
	for _, j := range jobs {
		if j.Status != "dead" && j.Meta["pilotlight_cluster"] == name {
			running[j.Meta["pilotlight_model"]] = j.ID
		}
	}
	return running
}

// passingServices gives the models of the engines that Consul finds alive for a Pilotlight, sorted.
func passingServices(t *testing.T, c *cluster.Cluster, name string) []string {
	t.Helper()
	var entries []struct {
		Service struct{ Meta map[string]string }
	}
	getJSON(t, c.Consul.Addr+"/v1/health/service/pilotlight-engine?passing=true", &entries)
	var models []string
	for _, e := range entries {
		if e.Service.Meta["pilotlight_cluster"] == name {
			models = append(models, e.Service.Meta["pilotlight_model"])
		}
	}
	slices.Sort(models)
	return models
}

// countGPUs watches what Nomad has granted until the function that it gives is called with the number of GPUs that must at least once
// have been in use together. No GPU may ever be granted twice.
func countGPUs(t *testing.T, c *cluster.Cluster) func(most int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var sampling sync.WaitGroup
	peak := 0
	sampling.Go(func() {
		for ctx.Err() == nil {
			peak = max(peak, grantedGPUs(t, c))
			time.Sleep(20 * time.Millisecond) // between two samples
		}
	})
	t.Cleanup(func() {
		cancel()
		sampling.Wait()
	})
	return func(most int) {
		t.Helper()
		cancel()
		sampling.Wait()
		if peak < most || peak > 32 {
			t.Errorf("at most %d GPUs were in use at once, want %d", peak, most)
		}
	}
}

// grantedGPUs counts the devices of all allocations that have not ended.
func grantedGPUs(t *testing.T, c *cluster.Cluster) int {
	t.Helper()
	var allocations []struct {
		ID, ClientStatus   string
		AllocatedResources struct {
			Tasks map[string]struct {
				Devices []struct{ DeviceIDs []string }
			}
		}
	}
	getJSON(t, c.Nomad.Addr+"/v1/allocations?resources=true", &allocations)
	holder := map[string]string{} // device -> allocation
	for _, a := range allocations {
		if slices.Contains([]string{"complete", "failed", "lost"}, a.ClientStatus) {
			continue
		}
		for _, task := range a.AllocatedResources.Tasks {
			for _, d := range task.Devices {
				for _, id := range d.DeviceIDs {
					if other, twice := holder[id]; twice {
						t.Errorf("device %s is granted to %s and to %s", id, other, a.ID)
					}
					holder[id] = a.ID
				}
			}
		}
	}
	return len(holder)
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Errorf("asking %s: %v", url, err)
		return
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("asking %s: got %s", url, response.Status)
		return
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Errorf("reading %s: %v", url, err)
	}
}

// TestNomad_BusyIsToldAndServedWhenRoomComes leaves 4 + 4 GPUs free on two machines, and nothing idle on any.
func TestNomad_BusyIsToldAndServedWhenRoomComes(t *testing.T) {
	c, sim := startShared(t)
	const (
		four  = "meta-llama/Meta-Llama-3-70B-Instruct"
		held  = "mistralai/Mixtral-8x22B-Instruct-v0.1"
		eight = "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"
	)
	one := "  idle_after = \"1s\"\n  max_concurrency = 1"
	hangs := []string{"--sim-speed", "1000", "--sim-hang-after", "1"}
	s := startServe(t, nomadFile{cluster: c, name: "busy", sim: sim, models: []nomadModel{
		{id: four, args: hangs, settings: one}, {id: held, args: hangs, settings: one}, {id: eight, args: []string{"--sim-speed", "500"}, settings: one},
	}})
	s.awaitReady(t)
	s.mustChat(t, eight, false) // so that it is known what a start takes
	eventually(t, time.Minute, func() string { return agree(t, c, s, "busy", nil) })

	_, leaveFirst := s.hold(t, held)
	_, leaveSecond := s.hold(t, held)
	fours := map[string][]func(){} // node -> ends the streams of its instances
	for range 4 {
		node, leave := s.hold(t, four)
		fours[node] = append(fours[node], leave)
	}
	if got := grantedGPUs(t, c); got != 32 || len(fours) != 2 {
		t.Fatalf("%d GPUs are in use, the fours on %d nodes, want 32 and 2", got, len(fours))
	}
	for _, leaves := range fours {
		leaves[0]()
	}
	eventually(t, time.Minute, func() string {
		if got := grantedGPUs(t, c); got != 24 {
			return fmt.Sprintf("%d GPUs are in use, want 24", got)
		}
		return ""
	})

	a, err := s.chat(t.Context(), eight, true, "X-Pilotlight-Max-Wait", "1s")
	if err != nil {
		t.Fatal(err)
	}
	retry, _ := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "no_capacity") || retry < 1 || retry > 120 {
		t.Errorf("got %d %s, Retry-After %q, want no_capacity and when to retry", a.status, a.body, a.header.Get("Retry-After"))
	}
	served := s.chatAside(t, eight)
	eventually(t, 30*time.Second, func() string {
		m, err := s.admin(t).Model(t.Context(), eight)
		if err != nil {
			return err.Error()
		}
		if m.Waiting != 1 || m.Outlook.Answer != fleet.Busy || m.Outlook.ETAUS == nil {
			return fmt.Sprintf("%d wait and are told %+v, want busy with an estimate", m.Waiting, m.Outlook)
		}
		return ""
	})
	for _, leaves := range fours {
		leaves[1]()
		break
	}
	if a := <-served; !a.whole() {
		t.Errorf("who waited got %+v, want a whole stream", a)
	}
	leaveFirst()
	leaveSecond()
	for _, leaves := range fours {
		leaves[1]()
	}
	eventually(t, time.Minute, func() string { return agree(t, c, s, "busy", nil) }) // the cluster is for others too
}

// hold keeps a request on an instance of the model until the function that it gives is called, and says on which node that is.
func (s *devServer) hold(t *testing.T, model string) (node string, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	body := fmt.Sprintf(`{"model": %q, "stream": true, "max_tokens": 8, "messages": [{"role": "user", "content": "Stay."}]}`, model)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.API+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("holding %s: got %s", model, response.Status)
	}
	instances, err := s.admin(t).Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range instances {
		if i.ID == response.Header.Get("X-Pilotlight-Instance") {
			return i.Node, cancel
		}
	}
	t.Fatalf("instance %s is in no list", response.Header.Get("X-Pilotlight-Instance"))
	return "", nil
}

// TestNomad_WhatNoMachineHoldsIsRefusedAtOnce breaks half of each machine's GPUs.
func TestNomad_WhatNoMachineHoldsIsRefusedAtOnce(t *testing.T) {
	c, sim := startShared(t)
	const eight = "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"
	s := startServe(t, nomadFile{cluster: c, name: "never", sim: sim, models: catalogueModels(`  idle_after = "1s"`, "--sim-speed", "500")})
	s.awaitReady(t)
	for _, n := range c.Nodes {
		if err := os.WriteFile(n.Unhealthy, []byte("0 1 2 3"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { mend(t, c) })
	eventually(t, time.Minute, func() string { // until Nomad has told
		e, err := s.admin(t).Explain(t.Context(), eight)
		if err != nil || e.Outlook.Answer != fleet.NeverFits || e.Outlook.Reason != "needs 8 GPUs on one machine; the largest has 4" {
			return fmt.Sprintf("explained: %+v, %v", e, err)
		}
		return ""
	})
	began := time.Now()
	a, err := s.chat(t.Context(), eight, true)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "no_capacity") || a.header.Get("X-Should-Retry") != "false" {
		t.Errorf("got %d %s, x-should-retry %q, want no_capacity, and no retry", a.status, a.body, a.header.Get("X-Should-Retry"))
	}
	if took := time.Since(began); took > 5*time.Second { // the wait would be nine minutes
		t.Errorf("the answer took %v", took)
	}
	mend(t, c)
	eventually(t, time.Minute, func() string {
		if a, err := s.chat(t.Context(), eight, false, "X-Pilotlight-Max-Wait", "20s"); err != nil || !a.whole() {
			return fmt.Sprintf("with all GPUs in order again: %+v, %v", a, err)
		}
		return ""
	})
	eventually(t, time.Minute, func() string { return agree(t, c, s, "never", nil) })
}

// mend puts all devices in order again, and waits until Nomad knows.
func mend(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for _, n := range c.Nodes {
		os.Remove(n.Unhealthy)
	}
	eventually(t, time.Minute, func() string {
		counts, err := c.Devices(context.Background()) // also as the test ends
		if err != nil {
			return err.Error()
		}
		for node, devices := range counts {
			if devices != 8 {
				return fmt.Sprintf("%s has %d devices in order", node, devices)
			}
		}
		return ""
	})
}

// TestNomad_InstancesOutliveTheServer kills a server and ends another: the next one finds what runs, and serves on it.
func TestNomad_InstancesOutliveTheServer(t *testing.T) {
	c, sim := startShared(t)
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	f := nomadFile{cluster: c, name: "heir", sim: sim, models: []nomadModel{{id: model, args: []string{"--sim-speed", "500"}}}}
	dir := t.TempDir()
	s := serveIn(t, dir, f)
	s.newToken(t)
	first := s.mustChat(t, model, true).header.Get("X-Pilotlight-Instance")
	job := runningJobs(t, c, "heir")[model]
	if out := s.command(t, "model", "show", model); !regexp.MustCompile(`instance +` + first + ` ready on [0-9a-f]{8} at 127\.0\.0\.1:\d+ job ` + job + `\n`).MatchString(out) {
		t.Errorf("model show says %s, want node, address and job of %s", out, first)
	}
	if out := s.command(t, "model", "list"); !regexp.MustCompile(model + ` +hot .* [0-9a-f]{8}  `).MatchString(out) {
		t.Errorf("model list says %s, want the node", out)
	}
	for _, killed := range []bool{true, false} {
		token := s.Token
		if killed {
			s.kill()
		} else if err := s.signal(os.Interrupt); err != nil {
			t.Errorf("stopping serve: got %v, want exit status 0", err)
		}
		if got := runningJobs(t, c, "heir"); len(got) != 1 {
			t.Errorf("without a server the jobs are %v, want the one", got)
		}
		var err error
		if s, err = launchServe(dir); err != nil {
			t.Fatal(err)
		}
		s.Token = token
		s.awaitReady(t)
		if got := s.mustChat(t, model, true).header.Get("X-Pilotlight-Instance"); got != first {
			t.Errorf("the next server serves on %s, want %s, which ran already", got, first)
		}
	}
	s.stopAfter(t)
	if _, err := s.admin(t).StopModel(t.Context(), model); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string { return agree(t, c, s, "heir", nil) })
}

// TestNomad_UnreachableAtTheStart has neither Nomad nor Consul at first.
func TestNomad_UnreachableAtTheStart(t *testing.T) {
	c, sim := startShared(t)
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	nomad, consul := newGate(t, c.Nomad.Addr), newGate(t, c.Consul.Addr)
	f := nomadFile{
		cluster: c, name: "late", sim: sim, nomad: nomad.url(), consul: consul.url(),
		models: []nomadModel{{id: model, args: []string{"--sim-speed", "500"}, settings: "  idle_after = \"1s\""}},
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pilotlight.hcl"), []byte(f.text()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := beginServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.stopAfter(t)
	if text := getText(t, s.standby(t)+"/readyz", http.StatusServiceUnavailable); !strings.Contains(text, "Consul cannot be reached") {
		t.Errorf("got %s, want that nobody can lead without Consul", text)
	}
	consul.open.Store(true)
	if err := s.awaitServing(dir); err != nil {
		t.Fatal(err)
	}
	s.newToken(t)
	for _, url := range []string{s.Admin + "/readyz", strings.TrimSuffix(s.API, "/v1") + "/readyz"} {
		if text := getText(t, url, http.StatusServiceUnavailable); !strings.Contains(text, "no answer yet from Nomad") {
			t.Errorf("%s: got %s, want who is missing", url, text)
		}
	}
	a, err := s.chat(t.Context(), model, false, "X-Pilotlight-Max-Wait", "200ms")
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "no_capacity") {
		t.Errorf("whose wait ended first got %d %s, want no_capacity", a.status, a.body)
	}
	held := s.chatAside(t, model)
	eventually(t, 30*time.Second, func() string { // several tries of both: by 100, 200, 400, 800 ms
		if m, err := s.admin(t).Model(t.Context(), model); err != nil || m.Waiting != 1 || nomad.turned.Load() < 4 {
			return fmt.Sprintf("%+v wait, %d tries", m, nomad.turned.Load())
		}
		return ""
	})
	if got := strings.Count(s.stderr.String(), "source lost"); got != 1 {
		t.Errorf("the log has %d lines of the source that is away, want one", got)
	}
	nomad.open.Store(true)
	if a := <-held; !a.whole() {
		t.Errorf("who was held got %+v, want a whole stream", a)
	}
	s.awaitReady(t)
	nomad.open.Store(false)
	nomad.CloseClientConnections()
	eventually(t, 30*time.Second, func() string { // an outage later leaves it ready
		if text := getText(t, s.Admin+"/readyz", http.StatusOK); !strings.Contains(text, "nomad cannot be reached since") {
			return text
		}
		return ""
	})
	if text := authorized(t, s.Admin+"/metrics"); !strings.Contains(text, `pilotlight_source_up{source="nomad"} 0`) || !strings.Contains(text, `pilotlight_source_up{source="consul"} 1`) {
		t.Error("the metrics do not say that Nomad is away")
	}
	nomad.open.Store(true)
	eventually(t, time.Minute, func() string { return agree(t, c, s, "late", nil) })
}

// gate is the way to a server, closed at first.
type gate struct {
	*httptest.Server
	open   atomic.Bool
	turned atomic.Int64 // requests that found it closed
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // broken connections are what it is for
	proxy.FlushInterval = -1                                                 // of an event stream each event
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.open.Load() {
			g.turned.Add(1)
			panic(http.ErrAbortHandler) // the connection breaks
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

func (g *gate) url() string { return g.URL }

func getText(t *testing.T, url string, status int) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Errorf("%s: got %s %s, %v, want status %d", url, response.Status, text, err, status)
	}
	return string(text)
}

// TestNomad_RenderedJobIsTheSubmittedOne has the real nomad run what `job render` prints, and holds the two jobs against each other.
func TestNomad_RenderedJobIsTheSubmittedOne(t *testing.T) {
	c, sim := startShared(t)
	const model = "meta-llama/Meta-Llama-3-8B-Instruct"
	f := nomadFile{cluster: c, name: "render", sim: sim, models: []nomadModel{{id: model, args: []string{"--sim-speed", "500"}}}}
	s := startServe(t, f)
	s.mustChat(t, model, true)
	submitted := runningJobs(t, c, "render")[model]

	render := exec.CommandContext(t.Context(), os.Args[0], "job", "render", model, "--config", filepath.Join(s.DataDir, "pilotlight.hcl"))
	render.Env = append(os.Environ(), asProgram+"=1")
	text, err := render.Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "job.nomad.hcl")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := cluster.Nomad(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"job", "validate", file}, {"job", "run", "-detach", file}} {
		command := exec.CommandContext(t.Context(), binary, args...)
		command.Env = append(os.Environ(), "NOMAD_ADDR="+c.Nomad.Addr)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("nomad %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	instance := s.instanceOf(t, model)
	byHand := strings.TrimSuffix(submitted, instance) + "manual"
	want := strings.ReplaceAll(jobText(t, c, submitted), instance, "manual")
	term := regexp.MustCompile(`"pilotlight_term": "[0-9]+"`)
	if !term.MatchString(want) {
		t.Errorf("the submitted job has no term:\n%s", want)
	}
	want = term.ReplaceAllString(want, `"pilotlight_term": ""`) // a job by hand is of no server
	if diff := cmp.Diff(want, jobText(t, c, byHand)); diff != "" {
		t.Errorf("the job run by hand (+) is not the one that serve submits (-):\n%s", diff)
	}
	eventually(t, time.Minute, func() string { // the one run by hand is ours too: it is adopted, and stopped with the other
		if _, err := s.admin(t).StopModel(t.Context(), model); err != nil {
			return err.Error()
		}
		return agree(t, c, s, "render", nil)
	})
}

// command gives what a command says to the server.
func (s *devServer) command(t *testing.T, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1", "PILOTLIGHT_ADDR="+s.Admin, "PILOTLIGHT_ADMIN_TOKEN="+testAdminToken)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("pilotlight %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func (s *devServer) instanceOf(t *testing.T, model string) string {
	t.Helper()
	instances, err := s.admin(t).Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range instances {
		if i.Model == model && i.ID != "manual" {
			return i.ID
		}
	}
	t.Fatalf("%s has no instance", model)
	return ""
}

// jobText is a job as Nomad keeps it, without what each registration has of its own.
func jobText(t *testing.T, c *cluster.Cluster, id string) string {
	t.Helper()
	var job map[string]any
	getJSON(t, c.Nomad.Addr+"/v1/job/"+id, &job)
	for _, own := range []string{"CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime", "Status", "Version"} {
		delete(job, own)
	}
	text, err := json.MarshalIndent(job, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
