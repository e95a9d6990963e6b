package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// What a snippet imports says which of the stock clients' environments it runs in.
var snippetEnvironments = []struct{ imports, env string }{
	{"langchain_openai", "langchain-openai"},
	{"litellm", "litellm"},
	{"anthropic", "anthropic"},
	{"openai", "openai"},
}

// TestDocs_SnippetsRun runs each block of Python, JavaScript and Go that is a program, as it is given: JavaScript as a module (.mjs), Go whole. Each must
// end well and, where it imports a client, print an answer.
func TestDocs_SnippetsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts engines and interpreters; not in short runs")
	}
	s := startDev(t, t.TempDir(), "--sim-speed", "200")
	ports := strings.NewReplacer("http://127.0.0.1:8080", strings.TrimSuffix(s.API, "/v1"))
	run := 0
	for _, file := range pages(t) {
		if ownTest[filepath.Base(file)] != "" {
			continue
		}
		for _, b := range blocksOf(t, file) {
			begin, known := map[string]string{"python": "import |from ", "js": "import ", "go": "package "}[b.lang]
			if !known || b.mark == "syntax only" || !regexp.MustCompile(`^(?:`+begin+`)`).MatchString(b.text) || strings.Contains(b.text, "def hash_of") {
				continue
			}
			run++
			t.Run(fmt.Sprintf("%s line %d", filepath.Base(file), b.line), func(t *testing.T) {
				runSnippet(t, b.lang, ports.Replace(b.text), "PILOTLIGHT_TOKEN="+s.Token)
			})
		}
	}
	if run < 5 {
		t.Errorf("got %d snippets, want those of the README at least", run)
	}
}

func runSnippet(t *testing.T, lang, text, token string) {
	t.Helper()
	dir := t.TempDir()
	var cmd *exec.Cmd
	switch lang {
	case "python":
		write(t, filepath.Join(dir, "snippet.py"), text)
		cmd = exec.CommandContext(t.Context(), snippetPython(t, text), filepath.Join(dir, "snippet.py"))
	case "js":
		interpreter(t, "node", "snippet.mjs")
		write(t, filepath.Join(dir, "snippet.mjs"), text)
		if err := os.Symlink(filepath.Join(os.Getenv("PILOTLIGHT_CLIENTS"), "node", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		cmd = exec.CommandContext(t.Context(), "node", filepath.Join(dir, "snippet.mjs"))
	case "go":
		write(t, filepath.Join(dir, "main.go"), text)
		cmd = exec.CommandContext(t.Context(), "go", "run", filepath.Join(dir, "main.go")) // in this module, which has the client for its tests
	}
	cmd.Env = append(os.Environ(), token, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil || len(strings.TrimSpace(string(out))) == 0 {
		t.Errorf("got %v and %q, want an answer printed\n%s", err, out, text)
	}
}

// snippetPython is the interpreter with what a snippet imports.
func snippetPython(t *testing.T, text string) string {
	t.Helper()
	for _, e := range snippetEnvironments {
		if regexp.MustCompile(`(?m)^(?:import|from) ` + e.imports + `\b`).MatchString(text) {
			return interpreter(t, e.env, "snippet.py")
		}
	}
	return "python3"
}

func hclStart(line int) hcl.Pos { return hcl.Pos{Line: line, Column: 1} }
