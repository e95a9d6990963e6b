//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDemo_WhatItPrintsWorksAndNothingIsLeft types what a person is told to type, and looks for what is left behind.
func TestDemo_WhatItPrintsWorksAndNothingIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs Nomad and Consul; not in short runs")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
			t.Fatal("curl is missing; on Debian: apt-get install curl")
		}
		t.Skip("curl is missing; on Debian: apt-get install curl")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds both
	defer cancel()
	base := t.TempDir()
	dir := filepath.Join(base, "a place") // with a space, as some home directories have
	d := startDemo(t, ctx, base, dir)
	server, caller := d.instructions(t)

	serve := exec.CommandContext(ctx, "sh", "-c", "set -e\n"+strings.Replace(server, "pilotlight serve", "exec pilotlight serve", 1))
	log := &bytes.Buffer{}
	serve.Stderr = log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = serve.Process.Signal(os.Interrupt)
		if err := serve.Wait(); err != nil {
			t.Errorf("the server ended with %v:\n%s", err, log)
		}
	}()
	// A person has waited for the server to say that it serves; a script asks.
	ready := `until curl -sf "${PILOTLIGHT_API%/v1}/readyz" >/dev/null; do sleep 0.1; done` + "\n"
	// Nomad tells Consul of a service a moment after it has started it.
	listed := "consul catalog nodes -service pilotlight-engine\n"
	caller = strings.Replace(caller, listed, "until "+strings.TrimSpace(listed)+" | grep -q consul-; do sleep 0.2; done\n"+listed, 1)
	env, rest, _ := strings.Cut(caller, "\n")
	out, err := exec.CommandContext(ctx, "sh", "-c", "set -e\n"+env+"\n"+ready+rest).CombinedOutput()
	if err != nil {
		t.Fatalf("typing what is printed: %v\n%s\nserver:\n%s", err, out, log)
	}
	for _, want := range []string{"data: [DONE]", "hot", "pilotlight-default-meta-llama-meta-llama-3-8b-instruct-", "consul-"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the session shows no %q:\n%s", want, out)
		}
	}

	if err := d.interrupt(); err != nil {
		t.Errorf("stopping the demo: %v", err)
	}
	for _, name := range []string{"cluster", binDir, configFile, envFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is left behind (%v)", name, err)
		}
	}
	if left := processesOf(dir, serve.Process.Pid); len(left) > 0 {
		t.Errorf("processes are left:\n%s", strings.Join(left, "\n"))
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), base+"/") {
		t.Errorf("mounts are left:\n%s", mounts)
	}
}

func TestDemo_LeavesADirectoryAloneThatHoldsFilesOfItsNames(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, configFile)
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := cli{Dir: dir}
	if err := c.run(t.Context()); err == nil || !strings.Contains(err.Error(), mine) {
		t.Errorf("got error %v, want one that names %s", err, mine)
	}
	if text, err := os.ReadFile(mine); string(text) != "mine" {
		t.Errorf("the file now holds %q (%v)", text, err)
	}
}

// demo is a running demo.
type demo struct {
	cmd  *exec.Cmd
	said *bufio.Scanner
}

func startDemo(t *testing.T, ctx context.Context, base, dir string) *demo {
	t.Helper()
	program := filepath.Join(base, "demo")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, out)
	}
	d := &demo{cmd: exec.CommandContext(ctx, program, "--dir", dir, "--nodes", "2", "--sim-speed", "100")}
	d.cmd.Stderr = os.Stderr
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.said = bufio.NewScanner(stdout)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.interrupt() })
	return d
}

// instructions are what it prints to be typed, the server's and the caller's.
func (d *demo) instructions(t *testing.T) (server, caller string) {
	t.Helper()
	blocks := []*strings.Builder{{}, {}, {}}
	n := 0
	for d.said.Scan() {
		line := d.said.Text()
		switch command, typed := strings.CutPrefix(line, "    "); {
		case typed:
			blocks[n].WriteString(command + "\n")
		case strings.Contains(line, "terminal:"):
			n = 1
		case strings.Contains(line, "third:"):
			n = 2
		case strings.Contains(line, "Ctrl-C"):
			return blocks[1].String(), blocks[2].String()
		}
	}
	t.Fatalf("the demo ended before it had said what to type: %v", d.said.Err())
	return "", ""
}

// interrupt is Ctrl-C. A demo that has ended already is no error.
func (d *demo) interrupt() error {
	if d.cmd.ProcessState != nil {
		return nil
	}
	_ = d.cmd.Process.Signal(os.Interrupt)
	return d.cmd.Wait()
}

// processesOf lists the processes that have to do with a directory, but for one and ourselves.
func processesOf(dir string, but int) []string {
	var out []string
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, e := range entries {
		cwd, _ := os.Readlink(filepath.Join(e, "cwd"))
		line, _ := os.ReadFile(filepath.Join(e, "cmdline"))
		text := strings.ReplaceAll(string(line), "\x00", " ")
		pid := filepath.Base(e)
		if !strings.Contains(cwd+" "+text, dir) || pid == strconv.Itoa(but) || pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		out = append(out, pid+" "+text)
	}
	return out
}
