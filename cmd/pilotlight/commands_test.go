package main

import (
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// contracted are the commands that scripts may rely on, each with the flags and arguments that are promised of it.
var contracted = map[string]string{
	"dev":              "--api-addr --admin-addr --data-dir --config --sim-speed --gguf --json",
	"serve":            "--config",
	"slot":             "",
	"org create":       "name --budget-usd --concurrency --models --json",
	"org update":       "name --budget-usd --until --why --json",
	"org suspend":      "name --now --json",
	"org resume":       "name --json",
	"org list":         "--json",
	"org show":         "name --json",
	"org import":       "file --dry-run --json",
	"token create":     "--org --name --scopes --models --expires --rpm --concurrency --budget-usd --keepalive --json",
	"token list":       "--json",
	"token revoke":     "id --json",
	"model list":       "--json",
	"model show":       "model --json",
	"model start":      "model --for --wait --json",
	"model stop":       "model --json",
	"model explain":    "model --json",
	"pool list":        "--json",
	"pool show":        "name --json",
	"pool tune":        "name key=value --json",
	"usage":            "--org --month --by --format --focus-version --json",
	"invoice list":     "--json",
	"invoice show":     "org month --json",
	"invoice close":    "month --json",
	"invoice verify":   "receipts --json",
	"correct":          "record --json",
	"store copy":       "--json",
	"store backup":     "file",
	"store check":      "--json",
	"server list":      "--json",
	"top":              "--once --json",
	"completion":       "shell",
	"config apply":     "file --json",
	"simulate":         "--trace --models --nodes --policy --seed --lambda --warmup --for-p99 --json --html",
	"job render":       "model --config",
	"config check":     "file --json",
	"version":          "--json",
	"invoice receipts": "org month",
}

// noJSON are commands without --json, and why.
var noJSON = map[string]string{
	"serve":            "runs until it is ended",
	"slot":             "runs until it is ended",
	"store backup":     "prints no data",
	"man":              "prints no data",
	"completion":       "prints a script",
	"job render":       "prints a file in HCL",
	"invoice receipts": "prints JSON lines anyway",
}

// quietEnv is an environment in which nothing is said.
func quietEnv() *Env {
	return &Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now}
}

// leaves are the commands that the help shows.
func leaves() map[string]*kong.Node {
	all := map[string]*kong.Node{}
	for _, n := range newParser(quietEnv(), func(int) {}).Model.Leaves(true) {
		all[pathOf(n)] = n
	}
	return all
}

func TestCommands_AreThoseOfTheContract(t *testing.T) {
	all := leaves()
	for command, promised := range contracted {
		n, ok := all[command]
		if !ok {
			t.Errorf("there is no command %s", command)
			continue
		}
		var has []string
		for _, p := range n.Positional {
			has = append(has, p.Name)
		}
		for _, v := range valuesOf(n) {
			if v.Flag != nil {
				has = append(has, "--"+v.Flag.Name)
			}
		}
		for _, one := range strings.Fields(promised) {
			if !slices.Contains(has, one) {
				t.Errorf("%s has no %s, only %v", command, one, has)
			}
		}
	}
}

func TestCommands_PrintDataAsJSONToo(t *testing.T) {
	for command, n := range leaves() {
		has := slices.ContainsFunc(valuesOf(n), func(v *kong.Value) bool { return v.Flag != nil && v.Flag.Name == "json" })
		switch why, excused := noJSON[command]; {
		case !has && !excused:
			t.Errorf("%s has no --json", command)
		case has && excused:
			t.Errorf("%s has --json, though it %s", command, why)
		}
	}
	for command := range noJSON {
		if leaves()[command] == nil {
			t.Errorf("%s is excused from --json, and is no command", command)
		}
	}
}

// TestExamples parses each line, with the parser and, where there is one on this machine, a shell's own rules for words.
func TestExamples(t *testing.T) {
	all := leaves()
	for command := range examples {
		if command != "" && all[command] == nil {
			t.Errorf("there are examples of %s, which is no command", command)
		}
	}
	for command := range all {
		if len(examples[command]) == 0 {
			t.Errorf("%s has no example", command)
		}
		for _, e := range examples[command] {
			call := regexp.MustCompile(`pilotlight [^|>)]*`).FindString(strings.TrimPrefix(e.line, "PILOTLIGHT_ADMIN_TOKEN=\"$(cat admin.token)\" "))
			args := lineWords(strings.TrimSpace(call))[1:]
			kctx, err := newParser(quietEnv(), func(int) {}).Parse(args)
			if err != nil {
				t.Errorf("%q: %v", e.line, err)
				continue
			}
			if got := commandName(kctx); got != command {
				t.Errorf("%q is an example of %s, want of %s", e.line, got, command)
			}
			if e.does == "" || strings.HasSuffix(e.does, ".") {
				t.Errorf("%q says of itself %q, want some words without a full stop", e.line, e.does)
			}
		}
	}
}

// TestCommands_NamesAreOfAKind: what names something is completed, and what does not exist is no kind of names.
func TestCommands_NamesAreOfAKind(t *testing.T) {
	others := []string{"file", "dir", "month", "setting", ""}
	for command, n := range leaves() {
		for _, v := range valuesOf(n) {
			what := v.Tag.Get("complete")
			if _, ok := nameKinds[what]; !ok && !slices.Contains(others, what) {
				t.Errorf("%s: %s is completed as %q, which is unknown", command, v.Summary(), what)
			}
			named := v.Flag != nil && slices.Contains([]string{"org", "models", "data-dir"}, v.Flag.Name) && command != "simulate"
			if (named || v.Flag == nil && (v.Name == "model" || v.Name == "org" || v.Name == "file" || v.Name == "id")) && what == "" {
				t.Errorf("%s: %s is not completed", command, v.Summary())
			}
		}
	}
	for kind, k := range nameKinds {
		if leaves()[k.list] == nil {
			t.Errorf("%s: there is no command %s", kind, k.list)
		}
	}
}

func TestHelp_ShowsExamplesAndNothingThatDoesNotExist(t *testing.T) {
	var out strings.Builder
	env := quietEnv()
	env.Stdout = &out
	for command := range leaves() {
		out.Reset()
		if code := run(t.Context(), append(strings.Fields(command), "--help"), env); code != 0 {
			t.Errorf("%s --help: exit status %d", command, code)
		}
		for _, e := range examples[command] {
			if !strings.Contains(out.String(), "# "+e.does+"\n  "+e.line+"\n") {
				t.Errorf("%s --help does not show %q:\n%s", command, e.line, &out)
			}
		}
		if regexp.MustCompile(`(?i)not (yet )?available|not yet`).MatchString(out.String()) {
			t.Errorf("%s --help shows what does not exist:\n%s", command, &out)
		}
	}
}

func TestVersion_IsAFlagToo(t *testing.T) {
	var command, flag strings.Builder
	env := quietEnv()
	env.Stdout = &command
	if code := run(t.Context(), []string{"version"}, env); code != 0 {
		t.Fatalf("version: exit status %d", code)
	}
	env.Stdout = &flag
	if code := run(t.Context(), []string{"--version"}, env); code != 0 {
		t.Fatalf("--version: exit status %d", code)
	}
	if command.String() != flag.String() || !strings.HasPrefix(flag.String(), "pilotlight ") {
		t.Errorf("version says %q, --version %q", &command, &flag)
	}
}

func TestFail_SaysEachReasonOnALineOfItsOwn(t *testing.T) {
	var talk strings.Builder
	env := quietEnv()
	env.Stderr = &talk
	if code := env.fail("dev", errors.Join(errors.New("one"), errors.New("two"))); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	if want := "pilotlight dev: one\npilotlight dev: two\n"; talk.String() != want {
		t.Errorf("got %q, want %q", &talk, want)
	}
}

// writeManual writes the pages to a directory of the test.
func writeManual(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if code := run(t.Context(), []string{"man", dir}, quietEnv()); code != 0 {
		t.Fatalf("man: exit status %d", code)
	}
	return dir
}

func TestMan_HasAPageForEachCommand(t *testing.T) {
	dir := writeManual(t)
	read := func(page string) string {
		text, err := os.ReadFile(dir + "/" + page + ".1")
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	whole := read("pilotlight")
	for command, n := range leaves() {
		page := read(pageOf(n))
		for _, want := range []string{".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLES", roffText(n.Help), roffText(examples[command][0].line)} {
			if !strings.Contains(page, want) {
				t.Errorf("the page of %s has no %q:\n%s", command, want, page)
			}
		}
		for _, v := range valuesOf(n) {
			if v.Flag != nil && !v.Flag.Hidden && !strings.Contains(page, roffText("--"+v.Flag.Name)) && v.Flag.Tag.Negatable == "" {
				t.Errorf("the page of %s has no --%s", command, v.Flag.Name)
			}
		}
		if !strings.Contains(whole, `\fB`+roffText(command)+`\fR`) {
			t.Errorf("pilotlight(1) does not list %s", command)
		}
	}
}
