package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// ownTest are pages whose commands have a test of their own.
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

// block is one fenced block of a page.
type block struct {
	line       int // of its first line
	lang, text string
	mark, why  string // what the comment above it says: "needs", "docker"
	follows    bool   // there is nothing between it and a block of sh before it
	prints     *string
}

var (
	fence   = regexp.MustCompile("^```([a-z]*)\\s*$")
	comment = regexp.MustCompile(`^<!-- (needs|syntax only): (.+) -->$`)
)

// blocksOf reads the fenced blocks of a page.
func blocksOf(t *testing.T, file string) []block {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var (
		list   []block
		inside bool
		bare   = true // nothing but blank lines since the last block
		mark   []string
	)
	for i, line := range strings.Split(string(content), "\n") {
		switch m := fence.FindStringSubmatch(line); {
		case inside && line == "```":
			inside, bare, mark = false, true, nil
			if last := len(list) - 1; list[last].lang == "text" && list[last].follows {
				prints := list[last].text
				list[last-1].prints, list = &prints, list[:last]
			}
		case inside:
			list[len(list)-1].text += line + "\n"
		case m != nil:
			b := block{line: i + 2, lang: m[1]}
			if mark != nil {
				b.mark, b.why = mark[1], mark[2]
			}
			b.follows = bare && len(list) > 0 && list[len(list)-1].lang == "sh"
			list, inside = append(list, b), true
		case comment.MatchString(line):
			mark = comment.FindStringSubmatch(line)
		case strings.TrimSpace(line) != "":
			bare, mark = false, nil
		}
	}
	if inside {
		t.Fatalf("%s: a block is not closed", file)
	}
	return list
}

// docPage is a page with what its commands run in.
type docPage struct {
	file   string
	blocks []block
	root   string            // the repository as the page sees it
	ports  *strings.Replacer // its own for 8080 and 8081
	env    []string
}

func newPage(t *testing.T, file string) *docPage {
	t.Helper()
	p := &docPage{file: file, blocks: blocksOf(t, file), root: filepath.Join(t.TempDir(), "pilotlight")}
	ports := freePorts(t)
	public, operators := ports[0], ports[1]
	p.ports = strings.NewReplacer(":8080", ":"+public, ":8081", ":"+operators)
	bin := filepath.Join(t.TempDir(), "bin")
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	goTool, _ := exec.LookPath("go")
	state := t.TempDir()
	write(t, filepath.Join(bin, "pilotlight"), strings.NewReplacer("PROGRAM", program, "AS", asProgram, "STATE", state, "PUBLIC", public, "OPERATORS", operators).Replace(wrapper))
	write(t, filepath.Join(bin, "go"), strings.ReplaceAll(goWrapper, "GO", goTool))
	p.layout(t, filepath.Dir(filepath.Dir(mustAbs(t, "."))))
	home := t.TempDir()
	p.env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "XDG_") || strings.HasPrefix(e, "PILOTLIGHT_") }),
		"HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"), "PILOTLIGHT_ADDR=http://127.0.0.1:"+operators, "PILOTLIGHT_CLIENTS="+os.Getenv("PILOTLIGHT_CLIENTS"))
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
	for _, name := range []string{"activator", "autoscaler", "benchmarks", "cmd", "go.mod", "go.sum", "internal", "nomad-jobs", "router"} {
		if err := os.MkdirAll(p.root, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(repository, name), filepath.Join(p.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	docs := filepath.Join(repository, "docs")
	err := filepath.WalkDir(docs, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".png" {
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
			if missing := absent(b.why); missing != "" {
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
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
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

// printed reports whether an output is what a page says.
func printed(out, says string) bool {
	var pattern strings.Builder
	for line := range strings.Lines(says) {
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		var parts []string
		for _, part := range strings.Split(strings.TrimRight(line, " \n"), "…") {
			parts = append(parts, regexp.MustCompile(` +`).ReplaceAllString(regexp.QuoteMeta(part), ` +`))
		}
		pattern.WriteString(strings.Join(parts, `.*`) + ` *\n`)
	}
	return regexp.MustCompile(`\A` + pattern.String() + `\z`).MatchString(strings.TrimRight(strings.ReplaceAll(out, "\r\n", "\n"), "\n") + "\n")
}

func TestDocs_PrintedIsWhatThePageSays(t *testing.T) {
	for _, row := range []struct {
		out, says string
		want      bool
	}{
		{"a b\n", "a b\n", true},
		{"a    b\n", "a b\n", true},
		{"one\ntwo\nthree\n", "one\n…\nthree\n", true},
		{"one\nthree\n", "one\n…\nthree\n", true},
		{"id 42 done\n", "id … done\n", true},
		{"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\n", true},
		{"a c\n", "a b\n", false},
		{"one\ntwo\n", "one\n", false},
		{"one\n", "one\ntwo\n", false},
		{"two\none\n", "one\ntwo\n", false},
		{"id 42 failed\n", "id … done\n", false},
		{"", "…\none\n", false},
	} {
		if got := printed(row.out, row.says); got != row.want {
			t.Errorf("%q where the page says %q: got %v, want %v", row.out, row.says, got, row.want)
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
