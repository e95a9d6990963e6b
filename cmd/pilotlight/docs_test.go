package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDocs_CommandsRun runs each fenced block of sh of each page, in order, in one shell for each page, at a root of the repository that is the page's
// own. A fenced block of text right behind it is what the block prints: … stands for anything in a line, a line of its own for any lines. What
// stands above a block in an HTML comment says where it differs:
//
//	<!-- needs: docker openssl -->          skipped without these programs
//	<!-- needs: cluster -->                 the page has a real Nomad and a real Consul with ACLs; behind its blocks, the commands within its text and that of
//	                                        runbooks.md are run there, too
//	<!-- syntax only: why -->               each command's flags are held against the program's, and nothing is run
//
// "pilotlight dev" and "pilotlight serve" are over when their server is ready, and end with the page. What listens on 8080 and 8081 does on ports of
// the page's own.
func TestDocs_CommandsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server for each page; not in short runs")
	}
	for _, file := range pages(t) {
		t.Run(strings.TrimPrefix(file, "../../"), func(t *testing.T) {
			t.Parallel()
			newPage(t, file).run(t)
		})
	}
}

// ownTest are pages whose commands and programs have a test of their own.
var ownTest = map[string]string{"harnesses.md": "TestHarnesses"}

// pages are all that people read.
func pages(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: got %v, %v, want pages", pattern, found, err)
		}
		files = append(files, found...)
	}
	return files
}

// docPage is a page with what its commands run in.
type docPage struct {
	file   string
	blocks []block
	root   string            // the repository as the page sees it
	ports  *strings.Replacer // its own for 8080 and 8081, and what else differs on its cluster
	env    []string
}

func newPage(t *testing.T, file string) *docPage {
	t.Helper()
	p := &docPage{file: file, blocks: blocksOf(t, file), root: filepath.Join(t.TempDir(), "pilotlight")}
	ports := freePorts(t)
	public, operators := ports[0], ports[1]
	bin := filepath.Join(t.TempDir(), "bin")
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	goTool, _ := exec.LookPath("go")
	state := t.TempDir()
	write(t, filepath.Join(bin, "pilotlight"), strings.NewReplacer("PROGRAM", program, "AS", asProgram, "STATE", state, "PUBLIC", public, "OPERATORS", operators).Replace(wrapper))
	write(t, filepath.Join(bin, "go"), strings.ReplaceAll(goWrapper, "GO", goTool))
	home := t.TempDir()
	p.env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "XDG_") || strings.HasPrefix(e, "PILOTLIGHT_") }),
		"HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"), "PILOTLIGHT_ADDR=http://127.0.0.1:"+operators, "PILOTLIGHT_CLIENTS="+os.Getenv("PILOTLIGHT_CLIENTS"))
	replaced := []string{":8080", ":" + public, ":8081", ":" + operators}
	if p.wantsCluster() {
		replaced = append(p.startCluster(t, bin, public, operators), replaced...)
	}
	p.ports = strings.NewReplacer(replaced...)
	p.layout(t, filepath.Dir(filepath.Dir(mustAbs(t, "."))))
	t.Cleanup(func() {
		p.stop(t, state)
		if log, err := os.ReadFile(filepath.Join(state, "log")); err == nil && t.Failed() {
			t.Logf("log of the server:\n%s", log)
		}
	})
	return p
}

// wrapper stands in for the program: a server is over when it is ready.
const wrapper = `#!/usr/bin/env bash
export AS=1
case "$1 $*" in
*--help*) ;;
"dev "*|"serve "*)
  if [ -f STATE/pid ]; then kill "$(cat STATE/pid)"; while kill -0 "$(cat STATE/pid)" 2>/dev/null; do sleep 0.05; done; fi
  where=()
  [ "$1" = serve ] || where=(--api-addr 127.0.0.1:PUBLIC --admin-addr 127.0.0.1:OPERATORS)
  PROGRAM "$@" "${where[@]}" >STATE/out 2>>STATE/log &
  echo $! >STATE/pid
  for _ in $(seq 1200); do
    if (exec 3<>/dev/tcp/127.0.0.1/PUBLIC) 2>/dev/null && { [ "$1" = serve ] || [ -s STATE/out ]; }; then cat STATE/out; exit 0; fi
    kill -0 "$(cat STATE/pid)" 2>/dev/null || { tail -n 20 STATE/log; exit 1; }
    sleep 0.05
  done
  echo "no server within a minute"; exit 1 ;;
esac
exec PROGRAM "$@"
`

// goWrapper has the program that is tested run where a page builds it.
const goWrapper = `#!/usr/bin/env bash
case "$*" in
"run ./cmd/pilotlight "*) [ -d cmd/pilotlight ] && shift 2 && exec pilotlight "$@" ;;
"install ./cmd/pilotlight"|"build ./cmd/pilotlight") [ -d cmd/pilotlight ] && exit 0 ;;
esac
exec GO "$@"
`

// layout gives the page a root with everything that is in the repository, and copies of the samples, whose ports are the page's.
func (p *docPage) layout(t *testing.T, repository string) {
	t.Helper()
	for _, name := range []string{"activator", "autoscaler", "benchmarks", "cmd", "go.mod", "go.sum", "internal", "router"} {
		if err := os.MkdirAll(p.root, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(repository, name), filepath.Join(p.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"docs", "nomad-jobs"} {
		err := filepath.WalkDir(filepath.Join(repository, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || slices.Contains([]string{".png", ".webp"}, filepath.Ext(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			write(t, filepath.Join(p.root, strings.TrimPrefix(path, repository)), p.ports.Replace(string(text)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (p *docPage) run(t *testing.T) {
	var script strings.Builder
	outs := t.TempDir()
	fmt.Fprintf(&script, "set -eu\ncd %q\n", p.root)
	var ran []block
	for _, b := range p.blocks {
		if b.lang != "sh" {
			continue
		}
		name := fmt.Sprintf("line %d", b.line)
		switch {
		case b.mark == "syntax only" || ownTest[filepath.Base(p.file)] != "":
			t.Run(name, func(t *testing.T) { p.checkSyntax(t, b) })
			continue
		case b.mark == "needs":
			if missing := absent(b.why); missing != "" && b.why != onCluster {
				t.Run(name, func(t *testing.T) { required(t, "not installed: "+missing) })
				continue
			}
		}
		ran = append(ran, b)
		fmt.Fprintf(&script, "echo %d >%s/at\n{\n%s\n} >%s/%d 2>&1 </dev/null\n", b.line, outs, p.ports.Replace(b.text), outs, b.line)
	}
	if len(ran) == 0 {
		return
	}
	if p.wantsCluster() {
		fmt.Fprintf(&script, "echo inline >%s/at\n{\n%s\n} >%s/inline 2>&1 </dev/null\n", outs, p.ports.Replace(inlineScript(t, p.file, "../../docs/runbooks.md")), outs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pageLimit)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script.String())
	shell.Env = p.env
	shell.WaitDelay = time.Second
	if err := shell.Run(); err != nil {
		at, _ := os.ReadFile(filepath.Join(outs, "at"))
		at = bytes.TrimSpace(at)
		out, _ := os.ReadFile(filepath.Join(outs, string(at)))
		t.Fatalf("%s:%s: %v\n%s", p.file, at, err, out)
	}
	for _, b := range ran {
		out, err := os.ReadFile(filepath.Join(outs, fmt.Sprint(b.line)))
		if err != nil {
			t.Fatal(err)
		}
		if b.prints != nil && !printed(string(out), p.ports.Replace(*b.prints)) {
			t.Errorf("%s:%d prints\n%s\nand the page says\n%s", p.file, b.line, out, *b.prints)
		}
	}
}

// stop ends the page's server.
func (p *docPage) stop(t *testing.T, state string) {
	pid, err := os.ReadFile(filepath.Join(state, "pid"))
	if err != nil {
		return
	}
	var id int
	if _, err := fmt.Sscan(string(pid), &id); err != nil {
		t.Errorf("the server's process: %q", pid)
		return
	}
	_ = syscall.Kill(id, syscall.SIGTERM)
	for end := time.Now().Add(40 * time.Second); syscall.Kill(id, 0) == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			_ = syscall.Kill(id, syscall.SIGKILL)
			t.Error("the page's server did not end")
			return
		}
	}
}

// absent names the first of the programs that is not on the PATH.
func absent(programs string) string {
	for name := range strings.FieldsSeq(programs) {
		if _, err := exec.LookPath(name); err != nil {
			return name
		}
	}
	return ""
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// freePorts are two ports of this machine that nobody listens on.
func freePorts(t *testing.T) (ports [2]string) {
	t.Helper()
	for i := range ports {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_, ports[i], _ = net.SplitHostPort(ln.Addr().String())
	}
	return ports
}
