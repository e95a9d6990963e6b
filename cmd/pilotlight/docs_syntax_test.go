package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pilotlight-io/pilotlight/internal/cluster"
)

// checkSyntax holds the commands of a block that cannot run here against their programs: the command exists, and so do its flags.
func (p *docPage) checkSyntax(t *testing.T, b block) {
	t.Helper()
	for _, words := range commandsOf(t, b.text) {
		switch words[0] {
		case "pilotlight":
			cmd := exec.CommandContext(t.Context(), os.Args[0], append(slices.Clone(words[1:]), "--help")...)
			cmd.Env = append(os.Environ(), asProgram+"=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %s: %v\n%s", p.file, b.line, strings.Join(words, " "), err, out)
			}
		case "nomad", "consul":
			p.checkFlags(t, b, words)
		}
	}
}

// checkFlags asks Nomad or Consul for the help of a command, which must name each of its flags.
func (p *docPage) checkFlags(t *testing.T, b block, words []string) {
	t.Helper()
	find := cluster.Nomad
	if words[0] == "consul" {
		find = cluster.Consul
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute) // the first run on a machine builds it
	defer cancel()
	program, err := find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var command, flags []string
	for _, w := range words[1:] {
		switch {
		case strings.HasPrefix(w, "-"):
			name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
			flags = append(flags, name)
		case len(flags) == 0 && lowercase.MatchString(w):
			command = append(command, w)
		}
	}
	// Which of the words is the command's is for the program to say: the longest that it knows.
	for ; len(command) > 0; command = command[:len(command)-1] {
		out, err := exec.CommandContext(ctx, program, append(slices.Clone(command), "-help")...).CombinedOutput()
		if !regexp.MustCompile(`Usage:\s+` + words[0] + " " + strings.Join(command, " ") + `\b`).Match(out) {
			continue
		}
		for _, f := range flags {
			if !regexp.MustCompile(`(?m)-` + regexp.QuoteMeta(f) + `\b`).Match(out) {
				t.Errorf("%s:%d: %s %s has no flag -%s (%v):\n%s", p.file, b.line, words[0], strings.Join(command, " "), f, err, out)
			}
		}
		return
	}
	t.Errorf("%s:%d: %s is no command of %s", p.file, b.line, strings.Join(words, " "), words[0])
}

var lowercase = regexp.MustCompile(`^[a-z-]+$`)

// commandsOf gives the commands of a block of sh, each as its words: one a line, or several with && between, but for lines that go on behind a backslash.
func commandsOf(t *testing.T, text string) (commands [][]string) {
	t.Helper()
	dir := t.TempDir() // for what a line writes
	for line := range strings.Lines(strings.NewReplacer("\\\n", " ", " && ", "\n").Replace(text)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		if line == "" || line[0] == '#' {
			continue
		}
		// The shell knows best what a word is. What it would run or expand is no part of a flag's name.
		quoted := regexp.MustCompile(`\$\([^)]*\)|\$\w+`).ReplaceAllString(line, "X")
		shell := exec.CommandContext(t.Context(), "bash", "-c", "printf '%s\\n' "+quoted)
		shell.Dir = dir
		out, err := shell.Output()
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		commands = append(commands, strings.Split(strings.TrimRight(string(out), "\n"), "\n"))
	}
	return commands
}

// notRunBlocks are how many blocks of each page are not run by the test of the pages. Each says why in its mark; no page may have more.
var notRunBlocks = map[string]int{
	"../../README.md": 1, "../../docs/CONTRIBUTING.md": 1, "../../docs/operator.md": 2, "../../docs/performance.md": 3, "../../docs/harnesses.md": 2,
	"../../docs/examples/README.md": 1, "../../docs/packaging/README.md": 2, "../../docs/nomad.md": 1,
}

// TestDocs_WhatIsNotRunIsNamed: a block that is not run says why, and there are few.
func TestDocs_WhatIsNotRunIsNamed(t *testing.T) {
	got := map[string]int{}
	for _, file := range pages(t) {
		for _, b := range blocksOf(t, file) {
			if b.mark == "syntax only" {
				got[file]++
			}
		}
	}
	if !maps.Equal(got, notRunBlocks) {
		t.Errorf("got blocks that are not run %v, want %v", got, notRunBlocks)
	}
}

// Every block of HCL is at least HCL, and its commands' blocks are closed.
func TestDocs_HCLIsHCL(t *testing.T) {
	for _, file := range pages(t) {
		for _, b := range blocksOf(t, file) {
			if b.lang != "hcl" {
				continue
			}
			if _, diagnostics := hclsyntax.ParseConfig([]byte(b.text), file, hclStart(b.line)); diagnostics.HasErrors() {
				t.Error(diagnostics)
			}
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,4} (.+)$`)
	notSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
	code    = regexp.MustCompile("(?s)```.*?\n```|`[^`\n]*`")
)

// Every link between pages leads somewhere, to a heading that is there.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	for _, file := range append(pages(t), "../../benchmarks/README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", file, m[1])
				continue
			}
			if anchor != "" && filepath.Ext(path) == ".md" && !slices.Contains(anchors(t, path), anchor) {
				t.Errorf("%s: %s has no heading #%s", file, path, anchor)
			}
		}
	}
}

// anchors are what a page's headings can be called by.
func anchors(t *testing.T, file string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fenced := regexp.MustCompile("(?s)```.*?\n```").ReplaceAllString(string(text), "")
	for _, m := range heading.FindAllStringSubmatch(fenced, -1) {
		list = append(list, strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return list
}
