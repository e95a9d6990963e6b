package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/cluster"
	"github.com/pilotlight-io/pilotlight/internal/config"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// shared is the one cluster of four nodes with eight GPUs each for all tests that leave it as they find it: it takes some ten seconds to start.
var shared sharedCluster

type sharedCluster struct {
	once    sync.Once
	cluster *cluster.Cluster
	dir     string // holds the simulator that engines run
	err     error
}

// startShared gives the shared cluster, and the path of a simulator for its nodes.
func startShared(t *testing.T) (*cluster.Cluster, string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Nomad and Consul; not in short runs")
	}
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "pilotlight-test-"); shared.err != nil {
			return
		}
		if shared.err = buildSim(shared.sim()); shared.err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute) // the first run on a machine builds both programs
		defer cancel()
		shared.cluster, shared.err = cluster.Start(ctx, cluster.Config{})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster, shared.sim()
}

func (s *sharedCluster) sim() string { return filepath.Join(s.dir, "trtsim") }

func (s *sharedCluster) stop() error {
	if s.dir != "" {
		defer os.RemoveAll(s.dir)
	}
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Stop()
}

// buildSim builds the simulated engine. The test binary could be it, but Nomad's engines outlive whoever started them.
func buildSim(path string) error {
	out, err := exec.Command("go", "build", "-o", path, "github.com/pilotlight-io/pilotlight/cmd/trtsim").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the simulator: %w\n%s", err, out)
	}
	return nil
}

// nomadFile is a config for serve on a cluster.
type nomadFile struct {
	cluster *cluster.Cluster
	name    string // of this Pilotlight in the cluster
	sim     string // path of the simulator; "" = the docker driver runs the image of real nodes
	models  []nomadModel
	nomad   string // Nomad's address; "" = the cluster's
	consul  string // Consul's address; "" = the cluster's
	more    string // lines at the top level
}

// nomadModel is a model of the catalogue with a simulated engine.
type nomadModel struct {
	id       string
	args     []string // of the simulator
	settings string   // more lines in its block
}

// catalogueModels gives the eight published models.
func catalogueModels(settings string, args ...string) []nomadModel {
	var models []nomadModel
	for _, m := range config.Catalogue() {
		models = append(models, nomadModel{id: m.ID, args: args, settings: settings})
	}
	return models
}

// ids names the models of the file.
func (f nomadFile) ids() []string {
	var ids []string
	for _, m := range f.models {
		ids = append(ids, m.id)
	}
	return ids
}

func (f nomadFile) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster = %q\napi { addr = \"127.0.0.1:0\" }\nadmin { addr = \"127.0.0.1:0\" }\n", f.name)
	b.WriteString(f.more)
	fmt.Fprintf(&b, "backend \"nomad\" {\n  addr = %q\n  consul { addr = %q }\n}\n",
		cmp.Or(f.nomad, f.cluster.Nomad.Addr), cmp.Or(f.consul, f.cluster.Consul.Addr))
	for _, m := range f.models {
		engine := "engine \"trtllm\" {"
		if f.sim != "" {
			engine = fmt.Sprintf("engine \"sim\" {\n    driver  = \"raw_exec\"\n    command = [%q]", f.sim)
		}
		fmt.Fprintf(&b, "model %q {\n%s\n  %s\n    args    = [\"%s\"]\n    cpu     = 100\n  }\n}\n", m.id, m.settings, engine, strings.Join(m.args, `", "`))
	}
	return b.String()
}

const testAdminToken = "0123456789abcdef01234567"

// launchServe starts `pilotlight serve` with a config file named pilotlight.hcl in dir, and returns once it serves, ready or not.
func launchServe(dir string, env ...string) (*devServer, error) {
	return launchServeOf(os.Args[0], dir, append(env, asProgram+"=1")...)
}

// launchServeOf is launchServe for a program that is pilotlight itself, as Nomad's slots run it.
func launchServeOf(program, dir string, env ...string) (*devServer, error) {
	s, err := beginServeOf(program, dir, env...)
	if err != nil {
		return nil, err
	}
	return s, s.awaitServing(dir)
}

// beginServe starts `pilotlight serve`, whether it comes to serve or waits.
func beginServe(dir string, env ...string) (*devServer, error) {
	return beginServeOf(os.Args[0], dir, append(env, asProgram+"=1")...)
}

func beginServeOf(program, dir string, env ...string) (*devServer, error) {
	return beginServeAs(exec.Command(program, "serve", "--config", filepath.Join(dir, "pilotlight.hcl")), env...)
}

// beginServeWith is beginServe with more flags.
func beginServeWith(dir string, args ...string) (*devServer, error) {
	return beginServeAs(exec.Command(os.Args[0], append([]string{"serve", "--config", filepath.Join(dir, "pilotlight.hcl")}, args...)...), asProgram+"=1")
}

func beginServeAs(cmd *exec.Cmd, env ...string) (*devServer, error) {
	s := &devServer{ended: make(chan struct{}), stderr: &lockedBuffer{}, cmd: cmd}
	s.cmd.Env = append(os.Environ(), "PILOTLIGHT_ADMIN_TOKEN="+testAdminToken)
	s.cmd.Env = append(s.cmd.Env, env...)
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process, which every test awaits
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// awaitServing waits until the server says that it serves, and where.
func (s *devServer) awaitServing(dir string) error {
	serving := regexp.MustCompile(`serving \d+ models at (http://\S+), admin at (http://\S+)`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if m := serving.FindStringSubmatch(s.stderr.String()); m != nil {
			s.API, s.Admin, s.DataDir = m[1], m[2], dir
			return writeSecret(filepath.Join(dir, adminTokenFile), testAdminToken)
		}
		select {
		case <-s.ended:
			return fmt.Errorf("serve did not start: %w\n%s", s.err, s.stderr)
		default:
		}
		if time.Now().After(deadline) {
			s.kill()
			return fmt.Errorf("serve did not say that it serves\n%s", s.stderr)
		}
	}
}

// standby gives where the admin API of a server answers that waits.
func (s *devServer) standby(t *testing.T) string {
	t.Helper()
	var at string
	eventually(t, 10*time.Second, func() string {
		m := regexp.MustCompile(`the admin API answers that this server waits".* addr=(\S+)`).FindStringSubmatch(s.stderr.String())
		if m == nil {
			return "it does not say where it answers"
		}
		at = "http://" + m[1]
		return ""
	})
	return at
}

// authorized gives what the admin API answers.
func authorized(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+testAdminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s: got %s %s, %v", url, response.Status, text, err)
	}
	return string(text)
}

// startServe is serveIn in a directory of its own, with an organisation's token; the server is stopped at the test's end.
func startServe(t *testing.T, f nomadFile) *devServer {
	t.Helper()
	s := serveIn(t, t.TempDir(), f)
	s.stopAfter(t)
	s.newToken(t)
	return s
}

// serveIn is launchServe with that config; stopping it is the caller's.
func serveIn(t *testing.T, dir string, f nomadFile) *devServer {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "pilotlight.hcl"), []byte(f.text()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := launchServe(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stopAfter stops the server at the test's end, and shows its log if the test has failed.
func (s *devServer) stopAfter(t *testing.T) {
	t.Cleanup(func() {
		if err := s.signal(os.Interrupt); err != nil {
			t.Errorf("stopping serve: got %v, want exit status 0", err)
		}
		if t.Failed() {
			t.Logf("log of serve:\n%s", s.stderr)
		}
	})
}

// newToken makes an organisation and takes its token for the server's requests.
func (s *devServer) newToken(t *testing.T) {
	t.Helper()
	client := s.admin(t)
	if _, err := client.CreateOrg(t.Context(), admin.NewOrg{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	token, err := client.CreateToken(t.Context(), admin.NewToken{
		Org: "acme", Scopes: []tenant.Scope{tenant.ScopeInference, tenant.ScopeModelsRead},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Token = token.Secret
}

// awaitReady waits until the server says that it is ready.
func (s *devServer) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if err := s.admin(t).Ready(t.Context()); err != nil {
			return err.Error()
		}
		return ""
	})
}

// chatAside sends one chat request beside the test, which must read its answer or end.
func (s *devServer) chatAside(t *testing.T, model string) <-chan *answer {
	answered := make(chan *answer, 1)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		a, err := s.chat(t.Context(), model, true)
		if err != nil {
			a = &answer{err: err}
		}
		answered <- a
	})
	t.Cleanup(waiting.Wait)
	return answered
}
