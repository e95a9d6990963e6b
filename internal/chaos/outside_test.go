//go:build linux

package chaos_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// programs are what the installation runs. They are built outside of the namespaces, in which there is no network.
type programs struct{ Nomad, Consul, Plugins, Pilotlight, Sim string }

// outside names in the environment a file with the programs, and the directory of everything.
const (
	programsFile = "PILOTLIGHT_CHAOS_PROGRAMS"
	worldDir     = "PILOTLIGHT_CHAOS_DIR"
)

// TestChaos breaks a whole installation under load: see the package's documentation.
func TestChaos(t *testing.T) {
	if os.Getenv(role) == inside {
		runInside(t)
		return
	}
	if testing.Short() {
		t.Skip("runs Nomad and Consul with three servers each; not in short runs")
	}
	wanted(t)
	dir := makeDir(t)
	list, err := json.Marshal(build(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "programs.json")
	if err := os.WriteFile(file, list, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^TestChaos$", "-test.v", "-test.timeout=0"}
	if at, bounded := t.Deadline(); bounded {
		args[2] = "-test.timeout=" + (time.Until(at) - 5*time.Second).String()
	}
	child := exec.Command(os.Args[0], args...)
	child.Env = append(os.Environ(), role+"="+first, programsFile+"="+file, worldDir+"="+dir, "TMPDIR="+dir)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread() // the signal comes with the end of the thread that has started the child
	defer runtime.UnlockOSThread()
	if err := child.Run(); err != nil {
		t.Errorf("the installation's test has failed: %v", err)
	}
}

// wanted skips where something is missing.
func wanted(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		required(t, "needs root, for network namespaces and iptables")
	}
	for program, of := range map[string]string{"ip": "iproute2", "iptables": "iptables", "nsenter": "util-linux", "initdb": "postgresql"} {
		_, err := exec.LookPath(program)
		if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program); err != nil && len(found) == 0 {
			required(t, "needs "+program+": apt-get install "+of)
		}
	}
	try := exec.Command("sh", "-c", "ip link add chaos0 type bridge && ip link add chaos1 type veth peer name chaos2 && iptables -A INPUT -i lo -m statistic --mode random --probability 0.1 -j ACCEPT")
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if out, err := try.CombinedOutput(); err != nil { // nothing that could be installed
		t.Skipf("this kernel gives no namespaces with bridges and iptables: %v %s", err, out)
	}
}

// required fails the test where everything optional is required, else skips it.
func required(t *testing.T, missing string) {
	t.Helper()
	if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// makeDir makes the directory of everything, after those of runs that were killed are gone: a run holds a lock on its own.
func makeDir(t *testing.T) string {
	t.Helper()
	const pattern = "pilotlight-chaos-"
	stale, _ := filepath.Glob(filepath.Join(os.TempDir(), pattern+"*"))
	for _, old := range stale {
		if unlock, free := lock(old); free {
			os.RemoveAll(old)
			unlock()
		}
	}
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		t.Fatal(err)
	}
	unlock, _ := lock(dir)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		unlock()
	})
	if err := os.Chmod(dir, 0o755); err != nil { // engines and Postgres are other users'
		t.Fatal(err)
	}
	return dir
}

// lock takes the lock on a directory, if nobody has it.
func lock(dir string) (unlock func(), free bool) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {}, false
	}
	return func() { f.Close() }, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// build builds what the installation runs.
func build(t *testing.T, dir string) (p programs) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds Nomad and Consul
	defer cancel()
	var err error
	if p.Nomad, err = cluster.Nomad(ctx); err != nil {
		t.Fatal(err)
	}
	if p.Consul, err = cluster.Consul(ctx); err != nil {
		t.Fatal(err)
	}
	if p.Plugins, err = cluster.Plugins(ctx); err != nil {
		t.Fatal(err)
	}
	p.Pilotlight, p.Sim = filepath.Join(dir, "pilotlight"), filepath.Join(dir, "trtsim")
	for path, of := range map[string]string{p.Pilotlight: "pilotlight", p.Sim: "trtsim"} {
		out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/pilotlight-io/pilotlight/cmd/"+of).CombinedOutput()
		if err != nil {
			t.Fatalf("building %s: %v\n%s", of, err, out)
		}
	}
	return p
}
