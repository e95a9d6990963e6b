package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// completed gives what the shell is told: how, and the words without what they mean.
func completed(t *testing.T, env *Env, args ...string) (how string, words []string) {
	t.Helper()
	var out strings.Builder
	env.Stdout = &out
	if code := complete(t.Context(), args, env); code != 0 {
		t.Errorf("%q: exit status %d", args, code)
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	for _, l := range lines[1:] {
		word, _, _ := strings.Cut(l, "\t")
		words = append(words, word)
	}
	return lines[0], words
}

func TestComplete(t *testing.T) {
	env := quietEnv()
	env.Now = func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }
	for _, row := range []struct {
		typed string
		how   string
		want  string
	}{
		{"mod", "words", "model"},
		{"model ", "words", "list show start stop explain"},
		{"model st", "words", "start stop"},
		{"model start --w", "words", "--wait"},
		{"usage --by=mo", "words", "--by=model"},
		{"usage --by model,d", "words", "model,day"},
		{"usage --by ", "words", "model token day hour"},
		{"usage --month 2025-1", "words", "2025-12 2025-11 2025-10"},
		{"usage --json --js", "words", ""},
		{"usage --json --fo", "words", "--focus-version --format"},
		{"completion ", "words", "bash zsh fish"},
		{"completion bash ", "words", ""},
		{"token create --scopes inference,us", "words", "inference,usage:read"},
		{"config check ", "files", ""},
		{"serve --config ", "files", ""},
		{"man ", "dirs", ""},
		{"dev --data-dir=", "dirs", ""},
		{"dev --log-level ", "words", "debug info warn error"},
		{"nope ", "words", ""},
		{"trt", "words", ""},
		{"org update acme --no", "words", ""},
		{"model show ", "words", ""}, // no server
		{"model show -- --w", "words", ""},
	} {
		how, words := completed(t, env, strings.Split(row.typed, " ")...)
		if got := strings.Join(words, " "); how != row.how || got != row.want {
			t.Errorf("%q: got %s %q, want %s %q", row.typed, how, got, row.how, row.want)
		}
	}
}

// TestComplete_ALine: bash cuts words at colons and equals signs, and takes what comes after the last.
func TestComplete_ALine(t *testing.T) {
	for line, want := range map[string]string{
		"pilotlight usage --by=mo":                       "model",
		"pilotlight 'usage' --by=mo":                     "model",
		`pilotlight usage --org "a b" --for`:             "--format",
		"pilotlight token create --scopes usage:":        "read",
		"pilotlight token create --scopes=usage:":        "read",
		"pilotlight ":                                    "dev serve slot",
		"/usr/local/bin/pilotlight org up":               "update",
		"pilotlight   org   up":                          "update",
		"pilotlight org update --budget-period=monthly ": "",
	} {
		_, words := completed(t, quietEnv(), "--line", line)
		if got := strings.Join(words[:min(len(words), 3)], " "); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// TestComplete_NamesOfAServer asks a real one.
func TestComplete_NamesOfAServer(t *testing.T) {
	s := startDev(t, t.TempDir(), "--sim-speed", "1000")
	env := quietEnv()
	env.Getenv = func(name string) string { return map[string]string{addrVariable: s.Admin}[name] }
	for _, row := range []struct{ typed, want string }{
		{"model show --data-dir DIR mistralai/Mistral", "mistralai/Mistral-7B-Instruct-v0.3"},
		{"org create new --data-dir=DIR --models mistralai/Mistral-7B-Instruct-v0.3,meta-llama/Meta-Llama-3.1-4", "mistralai/Mistral-7B-Instruct-v0.3,meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"},
		{"usage --data-dir DIR --org ", "dev"},
		{"pool show --data-dir DIR ", "local"},
		{"pool tune --data-dir DIR local max", "max_parked_per_gpu="},
		{"pool tune --data-dir DIR local max_parked_per_gpu=6 host", "host_memory="},
	} {
		_, words := completed(t, env, strings.Split(strings.ReplaceAll(row.typed, "DIR", s.DataDir), " ")...)
		if got := strings.Join(words, " "); got != row.want {
			t.Errorf("%q: got %q, want %q", row.typed, got, row.want)
		}
	}
	_, tokens := completed(t, env, "token", "revoke", "--data-dir", s.DataDir, "tok_")
	if len(tokens) != 1 {
		t.Errorf("tokens: got %q, want dev's", tokens)
	}
}

// inShell runs a script in a shell that has the program on PATH and the completion loaded.
func inShell(t *testing.T, shell, script string) string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		required(t, shell+" is not on PATH; install "+shell)
	}
	dir := t.TempDir()
	if err := os.Symlink(must(os.Executable()), filepath.Join(dir, "pilotlight")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asProgram+"=1", "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+dir, addrVariable+"=127.0.0.1:1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", shell, err, out)
	}
	return string(out)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestCompletion_Bash(t *testing.T) {
	t.Parallel()
	out := inShell(t, "bash", `
source <(pilotlight completion bash)
complete -p pilotlight
try() {
  COMP_LINE=$1 COMP_POINT=${#1}
  COMP_WORDS=("${@:2}")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _pilotlight pilotlight
  echo "$1: ${COMPREPLY[*]}"
}
touch some.hcl
try 'pilotlight model st' pilotlight model st
try 'pilotlight usage --by=mo' pilotlight usage --by = mo
try 'pilotlight token create --scopes usage:' pilotlight token create --scopes usage :
try 'pilotlight config check so' pilotlight config check so
`)
	for _, want := range []string{
		"complete -F _pilotlight pilotlight", "pilotlight model st: start stop", "pilotlight usage --by=mo: model",
		"pilotlight token create --scopes usage:: read", "pilotlight config check so: some.hcl",
	} {
		if !slices.Contains(strings.Split(out, "\n"), want) {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
}

func TestCompletion_Zsh(t *testing.T) {
	t.Parallel()
	out := inShell(t, "zsh", `
autoload -Uz compinit && compinit -u -D
source <(pilotlight completion zsh)
print -r -- "bound: $_comps[pilotlight]"
compadd() { print -r -- "offers: ${(P)@[-1]}" }
_files() { print -r -- "files: $@" }
words=(pilotlight model st) CURRENT=3; _pilotlight
words=(pilotlight usage --by=mo) CURRENT=3; _pilotlight
words=(pilotlight config check '') CURRENT=4; _pilotlight
words=(pilotlight man '') CURRENT=3; _pilotlight
`)
	for _, want := range []string{"bound: _pilotlight", "offers: start stop", "offers: --by=model", "files: ", "files: -/"} {
		if !slices.Contains(strings.Split(out, "\n"), want) {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
}

func TestCompletion_Fish(t *testing.T) {
	t.Parallel()
	out := inShell(t, "fish", `
pilotlight completion fish | source
touch some.hcl
complete --do-complete 'pilotlight model st'
complete --do-complete 'pilotlight usage --by=mo'
complete --do-complete 'pilotlight config check so'
`)
	for _, want := range []string{"start\tHold a model hot.", "stop\tDrain", "--by=model", "some.hcl"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
