//go:build linux

package slot_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/slot"
)

// nobody is the default user of engines, under a supervisor of root's.
func nobody(t *testing.T) *slot.User {
	t.Helper()
	if os.Geteuid() != 0 {
		lacking := "only root can start engines as somebody else: run the tests as root, too"
		if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
			t.Fatal(lacking)
		}
		t.Skip(lacking)
	}
	u, err := slot.LookUpUser("")
	if err != nil || u == nil || u.UID == 0 {
		t.Fatalf("got %+v, %v; want a user without rights", u, err)
	}
	return u
}

func TestUser_EnginesSeeNothingOfTheSupervisor(t *testing.T) {
	u := nobody(t)
	w := start(t, options{gpus: 1, self: self(), user: u}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", ready)
	id := strconv.Itoa(int(u.UID))
	if got, want := get(t, i.Addr, "/user"), id+" "+strconv.Itoa(int(u.GID))+" []"; got != want {
		t.Errorf("the engine runs as %q, want %q", got, want)
	}
	if got, want := get(t, i.Addr, "/env/USER"), "true "+u.Name; got != want {
		t.Errorf("the engine is told the user %q, want %q", got, want)
	}
	for _, file := range []string{"environ", "mem", "maps"} {
		if got := get(t, i.Addr, "/parent/"+file); !strings.HasPrefix(got, "0 ") || !strings.Contains(got, "permission denied") {
			t.Errorf("/proc/PPID/%s gives it %q, want nothing", file, got)
		}
	}
	if got := get(t, i.Addr, "/file?path="+filepath.Join(w.dir, "engines", "lock")); !strings.Contains(got, "permission denied") {
		t.Errorf("it sees the supervisor's directory: %q", got)
	}
}

func TestUser_EnginesHaveAHomeWhileTheSlotRuns(t *testing.T) {
	u := nobody(t)
	w := start(t, options{gpus: 1, self: self(), user: u}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", ready)
	_, home, _ := strings.Cut(get(t, i.Addr, "/env/HOME"), " ")
	info, err := os.Stat(home)
	if err != nil || info.Mode().Perm() != 0o700 || info.Sys().(*syscall.Stat_t).Uid != u.UID {
		t.Fatalf("got %q, %v, %v; want a directory of the user's alone", home, info, err)
	}
	w.stop()
	if _, err := os.Stat(filepath.Dir(home)); !os.IsNotExist(err) {
		t.Errorf("got %v, want it removed", err)
	}
}

// Its environment, which marks what an engine has started, is another user's.
func TestUser_WhatAnEngineHasStartedEndsWithIt(t *testing.T) {
	u := nobody(t)
	dir := openDir(t)
	file := filepath.Join(dir, "pid")
	w := start(t, options{gpus: 1, self: self(), user: u}, fake("m", 1, "orphan="+file))
	w.launch("i1", "m", 0, 1)
	w.until("i1", ready)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(string(text))
	w.stop()
	if err := syscall.Kill(pid, 0); err == nil {
		if stat, _ := os.ReadFile("/proc/" + string(text) + "/stat"); !strings.Contains(string(stat), ") Z ") {
			t.Errorf("process %d lives on: %s", pid, stat)
		}
	}
}

func TestUser_SimulatorsShareGPUMemory(t *testing.T) {
	m := &fleet.Model{
		ID: "meta-llama/Meta-Llama-3-8B-Instruct", GPUs: 1, Endpoints: []fleet.Endpoint{fleet.EndpointChat}, MaxConcurrency: 1,
		Engine: fleet.EngineSpec{Kind: fleet.EngineSim, Args: []string{"--sim-speed", "1000"}},
	}
	w := start(t, options{gpus: 1, self: self(), user: nobody(t)}, m)
	w.launch("i1", m.ID, 0, 1)
	w.until("i1", ready)
}

func TestUser_AProgramThatTheUserCannotReach(t *testing.T) {
	u := nobody(t)
	dir, err := os.MkdirTemp("", "roots-") // mode 0700
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "engine")
	if err := os.Symlink(self(), program); err != nil {
		t.Fatal(err)
	}
	m := fake("m", 1)
	m.Engine.Command = []string{program}
	w := start(t, options{gpus: 1, user: u}, m)
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", func(i fleet.Sighting) bool { return i.Failure != "" })
	if !strings.Contains(i.Failure, "permission denied") || !strings.Contains(i.Failure, `user "`+u.Name+`"`) || !strings.Contains(i.Failure, "engine_user") {
		t.Errorf("got %q, want the user named, and how to choose another", i.Failure)
	}
}

func TestLookUpUser(t *testing.T) {
	if u, err := slot.LookUpUser("same"); u != nil || err != nil {
		t.Errorf("the supervisor's own: got %v, %v", u, err)
	}
	if u, err := slot.LookUpUser(strconv.Itoa(os.Geteuid())); u != nil || err != nil {
		t.Errorf("its number: got %v, %v", u, err)
	}
	if _, err := slot.LookUpUser("nobody-of-this-name"); err == nil || !strings.Contains(err.Error(), "nobody-of-this-name") {
		t.Errorf("got %v, want the unknown user named", err)
	}
}

// openDir is a directory that everybody may write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Root in a container may not trace other users' processes, so it reads what tells them apart with their own rights.
func TestReadAs_HasTheUsersRightsAndNoOthers(t *testing.T) {
	u := nobody(t)
	dir := openDir(t)
	roots, theirs := filepath.Join(dir, "roots"), filepath.Join(dir, "theirs")
	for _, file := range []string{roots, theirs} {
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(theirs, int(u.UID), int(u.GID)); err != nil {
		t.Fatal(err)
	}
	for range 100 { // on whatever thread
		if _, err := slot.ReadAs(u, theirs); err != nil {
			t.Fatalf("their own file: got %v", err)
		}
		if _, err := slot.ReadAs(u, roots); !os.IsPermission(err) {
			t.Fatalf("root's file: got %v, want it refused", err)
		}
		if _, err := os.ReadFile(roots); err != nil {
			t.Fatalf("afterwards: got %v, want root's own rights back", err)
		}
	}
}

func TestCheckFiles_NamesWhatTheUserCannotRead(t *testing.T) {
	u := nobody(t)
	closed, open := t.TempDir(), openDir(t) // closed: below a directory of mode 0700
	for _, tt := range []struct {
		program, weights, want string
	}{
		{"/bin/sh", open, ""},
		{"/bin/sh", filepath.Join(open, "missing"), ""},
		{"/bin/sh", "org/of-the-hub", ""},
		{"/bin/sh", closed, closed},
	} {
		m := fake("m", 1)
		m.Engine.Command, m.Engine.Weights = []string{tt.program}, tt.weights
		err := u.CheckFiles(m)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "engine_user")) {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
	if err := (*slot.User)(nil).CheckFiles(fake("m", 1)); err != nil {
		t.Errorf("the supervisor's own user: got %v", err)
	}
}

func TestUser_AnImageWithoutADirectoryForTemporaryFiles(t *testing.T) {
	u := nobody(t)
	own, dir := t.TempDir(), filepath.Join(openDir(t), "tmp")
	t.Setenv("TMPDIR", dir)
	w := start(t, options{gpus: 1, dir: own, self: self(), user: u}, fake("m", 1))
	w.launch("i1", "m", 0, 1)
	i, _ := w.until("i1", ready)
	if _, home, _ := strings.Cut(get(t, i.Addr, "/env/HOME"), " "); !strings.HasPrefix(home, dir) {
		t.Errorf("got %q, want it below %s", home, dir)
	}
}
