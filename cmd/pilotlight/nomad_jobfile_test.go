package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// jobFile is one of the job files of Pilotlight itself, run by the commands of docs/nomad.md with variables only, on a cluster that wants tokens. Its servers' nodes
// have an address each, 127.0.0.1 and ::1, so that both have the static ports; engines are on a third one.
type jobFile struct {
	*testing.T
	cluster *cluster.Cluster
	nomad   *api.Client
	ports   map[string]string     // variable -> port
	dir     string                // with all that nodes have: programs, ledgers
	env     []string              // of commands
	servers map[string]*devServer // node -> the server there
	config  string                // text of the config, without models
	submit  string                // the command that runs the job
}

func newJobFile(t *testing.T) *jobFile {
	t.Helper()
	notQuick(t)
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		required(t, "no IPv6 on loopback: "+err.Error())
	} else {
		ln.Close()
	}
	j := &jobFile{T: t, dir: t.TempDir(), ports: map[string]string{}, servers: map[string]*devServer{}, cluster: startCluster(t, cluster.Config{
		Nodes: 3, GPUs: 16, ACL: true, IPv6: func(node int) bool { return node == 2 },
		NodePool: func(node int) string { return []string{"", "", "gpu"}[node-1] },
	})}
	var err error
	if j.nomad, err = api.NewClient(&api.Config{Address: j.cluster.Nomad.Addr, SecretID: j.cluster.Token}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.nomad.Close)
	for _, variable := range []string{"port", "admin_port", "servers_port"} {
		j.ports[variable] = freePorts(t)[0]
	}
	bin := filepath.Join(j.dir, "bin")
	buildStatic(t, filepath.Join(bin, "pilotlight"))
	linkTools(t, bin)
	if err := buildSim(filepath.Join(bin, "trtsim")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(mustAbs(t, "../../nomad-jobs"), filepath.Join(j.dir, "nomad-jobs")); err != nil {
		t.Fatal(err)
	}
	for _, n := range j.cluster.Nodes {
		if err := os.Mkdir(filepath.Join(j.dir, n.Name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	j.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	for name, value := range j.cluster.Environment() {
		j.env = append(j.env, name+"="+value)
	}
	t.Cleanup(j.showLogs)
	return j
}

// showLogs shows what the servers have logged, where the test has failed.
func (j *jobFile) showLogs() {
	if !j.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(filepath.Dir(j.cluster.Nodes[0].Unhealthy), "node-*", "data", "alloc", "*", "alloc", "logs", "pilotlight.stderr.*"))
	for _, log := range logs {
		text, _ := os.ReadFile(log)
		j.Logf("%s:\n%s", log, text)
	}
}

// shell runs an operator's commands, and gives what they print.
func (j *jobFile) shell(script string) string {
	j.Helper()
	ctx, cancel := context.WithTimeout(j.Context(), time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-euc", script)
	shell.Dir, shell.Env, shell.WaitDelay = j.dir, j.env, time.Second
	var failed strings.Builder
	shell.Stderr = &failed
	out, err := shell.Output()
	if err != nil {
		j.Fatalf("%v\n%s\n%s\n%s", err, script, out, &failed)
	}
	return string(out)
}

// commands are those of the block of docs/nomad.md that has a text in it.
func (j *jobFile) commands(with string) string {
	j.Helper()
	for _, b := range blocksOf(j.T, "../../docs/nomad.md") {
		if strings.Contains(b.text, with) {
			return b.text
		}
	}
	j.Fatalf("docs/nomad.md has no block with %s", with)
	return ""
}

// start runs the commands of the page: those about rights, and those about a file. The config is the page's too, with what a node has of its own filled in by Nomad,
// and simulated models.
func (j *jobFile) start(file, database string, models ...string) {
	j.Helper()
	page := j.commands("nomad-jobs/" + file)
	config := regexp.MustCompile(`(?s)<<'END'\n(.*?)model `).FindStringSubmatch(page)
	if config == nil {
		j.Fatalf("the page has no config:\n%s", page)
	}
	j.config = j.replace(config[1],
		`addr = "0.0.0.0:8080"`, "addr = \"[[[ env `NOMAD_ADDR_api` ]]]\"",
		`backend "nomad" {`, fmt.Sprintf("admin {\n  addr = \"[[[ env `NOMAD_ADDR_admin` ]]]\"\n}\nservers {\n  addr      = \"[[[ env `NOMAD_ADDR_servers` ]]]\"\n"+
			"  advertise = \"[[[ env `NOMAD_ADDR_servers` ]]]\"\n}\nbackend \"nomad\" {\n  addr = %q\n  node_pool = \"gpu\"", j.cluster.Nomad.Addr),
		"/var/lib/pilotlight", j.dir+"/[[[ env `node.unique.name` ]]]",
	)
	j.write(models...)
	variables := fmt.Sprintf("-var program=%s/bin/pilotlight", j.dir)
	for name, port := range j.ports {
		variables += fmt.Sprintf(" -var %s=%s", name, port)
	}
	page = j.replace(page, "$(cat pilotlight.hcl)", "$(cat ours.hcl)", "nomad job run ", "nomad job run "+variables+" ",
		"postgres://pilotlight@db.internal/pilotlight?sslmode=verify-full", database)
	j.submit = page[strings.Index(page, "nomad job run "):]
	j.shell(j.commands("nomad acl policy apply pilotlight ") + page)
}

// write writes the config with these models.
func (j *jobFile) write(models ...string) {
	j.Helper()
	text := j.config
	for _, id := range models {
		text += fmt.Sprintf("model %q {\n  engine \"sim\" {\n    driver  = \"raw_exec\"\n    command = [%q]\n    args    = [\"--sim-container-start\", \"0s\", \"--sim-load-time\", \"1s\"]\n"+
			"    cpu     = 100\n  }\n}\n", id, filepath.Join(j.dir, "bin", "trtsim"))
	}
	write(j.T, filepath.Join(j.dir, "ours.hcl"), text)
}

// replace has each text of pairs replaced, all of which must be there.
func (j *jobFile) replace(text string, pairs ...string) string {
	j.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			j.Fatalf("the page does not say %s:\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// find learns where the servers are.
func (j *jobFile) find() {
	j.Helper()
	token := strings.TrimSpace(j.shell("nomad var get -item PILOTLIGHT_ADMIN_TOKEN nomad/jobs/pilotlight"))
	for node, host := range map[string]string{j.cluster.Nodes[0].Name: "127.0.0.1", j.cluster.Nodes[1].Name: "::1"} {
		s := &devServer{banner: banner{
			API: "http://" + net.JoinHostPort(host, j.ports["port"]) + "/v1", Admin: "http://" + net.JoinHostPort(host, j.ports["admin_port"]), DataDir: j.TempDir(),
		}}
		write(j.T, filepath.Join(s.DataDir, adminTokenFile), token+"\n")
		j.servers[node] = s
	}
}

// list is what `pilotlight server list` says when it asks a server; an error is told.
func (j *jobFile) list(s *devServer) (list []admin.ServerInfo, said string) {
	j.Helper()
	token, err := readSecret(filepath.Join(s.DataDir, adminTokenFile))
	if err != nil {
		j.Fatal(err)
	}
	ask := exec.CommandContext(j.Context(), filepath.Join(j.dir, "bin", "pilotlight"), "server", "list", "--json")
	ask.Env = append(slices.Clone(j.env), "PILOTLIGHT_ADDR="+s.Admin, "PILOTLIGHT_ADMIN_TOKEN="+token)
	out, err := ask.Output()
	if err != nil {
		return nil, fmt.Sprintf("pilotlight server list: %v", err)
	}
	if err := json.Unmarshal(out, &list); err != nil {
		j.Fatalf("pilotlight server list: %v: %s", err, out)
	}
	return list, ""
}

// awaitTogether waits until all servers list each other, with one that leads, and gives the node of that one and of another.
func (j *jobFile) awaitTogether() (leader, other string) {
	j.Helper()
	eventually(j.T, 40*time.Second, func() string {
		for _, s := range j.servers {
			list, said := j.list(s)
			if said != "" {
				return said
			}
			if len(list) != len(j.servers) {
				return fmt.Sprintf("%s lists %+v, want %d servers", s.Admin, list, len(j.servers))
			}
			for _, i := range list {
				if len(i.Differs) > 0 {
					return fmt.Sprintf("%s says that configs differ: %v", s.Admin, i.Differs)
				}
			}
			if leader = j.leading(list); leader == "" {
				return fmt.Sprintf("%s lists %+v, want one that leads", s.Admin, list)
			}
		}
		return ""
	})
	for node := range j.servers {
		if node != leader {
			other = node
		}
	}
	return leader, other
}

// leading is the node of the one server of a list that leads; "" = none does, or several do.
func (j *jobFile) leading(list []admin.ServerInfo) (leader string) {
	for _, i := range list {
		for node, s := range j.servers {
			switch {
			case !i.Leader || s.Admin != "http://"+i.Admin:
			case leader != "":
				return ""
			default:
				leader = node
			}
		}
	}
	return leader
}

// allocations are the job's that are to run, by node.
func (j *jobFile) allocations() map[string]string {
	j.Helper()
	all, _, err := j.nomad.Jobs().Allocations("pilotlight", true, nil)
	if err != nil {
		j.Fatal(err)
	}
	out := map[string]string{}
	for _, a := range all {
		if a.DesiredStatus != api.AllocDesiredStatusRun {
			continue
		}
		if before := out[a.NodeName]; before != "" {
			j.Errorf("%s has the allocations %s and %s", a.NodeName, before, a.ID)
		}
		out[a.NodeName] = a.ID
	}
	return out
}

// passing are the servers that callers find in Consul.
func (j *jobFile) passing() (found []*devServer, err error) {
	request, err := http.NewRequestWithContext(j.Context(), http.MethodGet, j.cluster.Consul.Addr+"/v1/health/service/pilotlight?passing=true", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Consul-Token", j.cluster.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var entries []struct {
		Service struct {
			Address string
			Port    int
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		at := "http://" + net.JoinHostPort(e.Service.Address, strconv.Itoa(e.Service.Port)) + "/v1"
		for _, s := range j.servers {
			if s.API == at {
				found = append(found, s)
			}
		}
	}
	return found, nil
}

// asks has every server that callers find in Consul asked for a hot model, again and again until end is called. There must always be one, and no request may fail.
func (j *jobFile) asks(model string) (end func()) {
	ctx, cancel := context.WithCancel(j.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		n := 0
		for ctx.Err() == nil {
			found, err := j.passing()
			if err != nil || len(found) == 0 {
				j.Errorf("Consul has the servers %v, %v", found, err)
			}
			for _, s := range found {
				if a, err := s.chat(j.Context(), model, true); err != nil || !a.whole() {
					j.Errorf("a request to %s for a hot model: %+v, %v", s.API, a, err)
				}
				n++
			}
			time.Sleep(20 * time.Millisecond) // between two callers
		}
		j.Logf("%d requests for a hot model meanwhile", n)
	})
	end = sync.OnceFunc(func() { cancel(); asking.Wait() })
	j.Cleanup(end) // also where the test has failed
	return end
}

// wakes asks a server for a cold model.
func (j *jobFile) wakes(node, model string) {
	j.Helper()
	began := time.Now()
	if got := j.servers[node].mustChat(j.T, model, true).header.Get("X-Pilotlight-Start"); got != "cold" {
		j.Errorf("%s through %s: got start %q, want cold", model, node, got)
	}
	j.Logf("%s through %s: %v from cold", model, node, time.Since(began).Round(time.Millisecond))
}

// TestNomad_JobFileOfSeveralServers has the allocation of who leads stopped: the other one leads, and then the next one that Nomad starts is with it. Then the job is
// updated with another config.
func TestNomad_JobFileOfSeveralServers(t *testing.T) {
	j := newJobFile(t)
	began := time.Now()
	models := []string{"meta-llama/Meta-Llama-3-8B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3", "meta-llama/Meta-Llama-3-70B-Instruct"}
	j.start("pilotlight-servers.nomad.hcl", storetest.ServerOf(t).Database(t), models...)
	t.Logf("nomad job run: %v", time.Since(began).Round(time.Millisecond))
	j.find()
	if found, err := j.passing(); err != nil || len(found) != 2 {
		t.Errorf("after the deployment Consul has the servers %v, %v, want two", found, err)
	}
	leader, other := j.awaitTogether()
	j.servers[leader].newToken(t)
	j.servers[other].Token = j.servers[leader].Token
	eventually(t, 20*time.Second, func() string {
		if a, err := j.servers[other].post(t.Context(), "/chat/completions", []byte("{}")); err != nil || a.status != http.StatusBadRequest {
			return fmt.Sprintf("the token is not known on %s yet: %+v, %v", other, a, err)
		}
		return ""
	})
	j.wakes(leader, models[0])
	j.wakes(other, models[1])

	stopped := j.allocations()[leader]
	j.shell("nomad alloc stop -detach " + stopped)
	gone := time.Now()
	eventually(t, 30*time.Second, func() string {
		list, said := j.list(j.servers[other])
		if said == "" && j.leading(list) != other {
			said = fmt.Sprintf("%s does not lead: %+v", other, list)
		}
		return said
	})
	t.Logf("%s led %v after the allocation of %s was told to stop", other, time.Since(gone).Round(time.Millisecond), leader)
	j.wakes(other, models[2])
	if a := j.servers[other].mustChat(t, models[0], false); a.header.Get("X-Pilotlight-Start") != "hot" {
		t.Errorf("a model that was hot: got start %q", a.header.Get("X-Pilotlight-Start"))
	}
	if still, _ := j.awaitTogether(); still != other {
		t.Errorf("%s leads in the end, want %s", still, other)
	}
	if now := j.allocations()[leader]; now == stopped || now == "" {
		t.Errorf("the allocation of %s is %q, want another than %q", leader, now, stopped)
	}
	j.servers[leader].mustChat(t, models[2], false)
	ended, _, err := j.nomad.Allocations().Info(stopped, nil)
	if err != nil || ended.ClientStatus != api.AllocClientStatusComplete {
		t.Errorf("the allocation that was stopped is %+v, %v, want complete", ended.ClientStatus, err)
	}

	// An update replaces both, one after the other.
	before, end := j.allocations(), j.asks(models[0])
	began = time.Now()
	const added = "mistralai/Mixtral-8x22B-Instruct-v0.1"
	j.write(append(models, added)...)
	j.shell(j.submit)
	end()
	t.Logf("an update: %v", time.Since(began).Round(time.Millisecond))
	j.awaitTogether()
	for node, alloc := range j.allocations() {
		if alloc == before[node] {
			t.Errorf("the update has left the allocation of %s", node)
		}
	}
	j.wakes(other, added)
}
