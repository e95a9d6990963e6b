package nomadjobs_test

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

// engines are the job files of which Pilotlight submits one per instance.
var engines = []string{nomadjobs.Dedicated, nomadjobs.DedicatedRaw}

func TestFiles_EnginesEndOnlyWhenPilotlightSaysSo(t *testing.T) {
	for _, name := range append(engines, nomadjobs.Slot) {
		text := read(t, name)
		for what, pattern := range map[string]string{
			"no deployments":                    `update \{\s*max_parallel = 0\s*\}`,
			"one instance a job":                `count\s+= 1\n`,
			"no restart":                        `restart \{\s*attempts = 0\s*mode\s+= "fail"\s*\}`,
			"no other node":                     `reschedule \{\s*attempts\s+= 0\s*unlimited = false\s*\}`,
			"SIGTERM, which engines take":       `kill_signal\s+= "SIGTERM"`,
			"an unheard node keeps its engines": `disconnect \{[^}]*replace\s+= false`,
		} {
			if !regexp.MustCompile(pattern).MatchString(text) {
				t.Errorf("%s: %s: want a match of %s", name, what, pattern)
			}
		}
	}
}

func TestFiles_EnginesLeaveConsulBeforeTheyEnd(t *testing.T) {
	for _, name := range engines {
		pattern := `group "engine" \{[^{]*shutdown_delay = var\.shutdown_delay`
		if !regexp.MustCompile(pattern).MatchString(read(t, name)) {
			t.Errorf("%s: want a match of %s", name, pattern)
		}
	}
}

func TestFiles_EveryVariableHasADefault(t *testing.T) {
	for _, name := range append(engines, nomadjobs.Slot, nomadjobs.Pilotlight, nomadjobs.Servers) {
		text := read(t, name)
		variables := regexp.MustCompile(`(?ms)^variable "(\w+)" \{\n(.*?)^\}`).FindAllStringSubmatch(text, -1)
		if len(variables) == 0 {
			t.Errorf("%s has no variables", name)
		}
		for _, v := range variables {
			if !regexp.MustCompile(`(?m)^  default +=`).MatchString(v[2]) {
				t.Errorf("%s: variable %s has no default", name, v[1])
			}
			if !strings.Contains(text, "var."+v[1]) {
				t.Errorf("%s: variable %s is not used", name, v[1])
			}
		}
	}
}

func TestRender_ChangesDefaultsOnly(t *testing.T) {
	text, err := nomadjobs.Render(nomadjobs.DedicatedRaw, nomadjobs.Values{
		"model": `a/"b"`, "gpus": 4, "logs_disabled": true, "args": []string{"${NOMAD_PORT_engine}", "%{x"}, "env": map[string]string{"B": "2", "A": "1\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`default     = "a/\"b\""`, "default     = 4\n", "default     = true\n", `default     = ["$${NOMAD_PORT_engine}", "%%{x"]`,
		`default = { "A" = "1\n", "B" = "2" }`, `default     = "120s"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %s in\n%s", want, text)
		}
	}
	if whole := read(t, nomadjobs.DedicatedRaw); strings.Count(text, "\n") != strings.Count(whole, "\n") {
		t.Errorf("got %d lines, want the file's", strings.Count(text, "\n"))
	}
}

func TestRender_RefusesWhatTheFileDoesNotHave(t *testing.T) {
	if _, err := nomadjobs.Render(nomadjobs.DedicatedRaw, nomadjobs.Values{"image": "x"}); !errors.Is(err, nomadjobs.ErrVariable) {
		t.Errorf("got %v, want %v", err, nomadjobs.ErrVariable)
	}
	if _, err := nomadjobs.Render(nomadjobs.Dedicated, nomadjobs.Values{"gpus": 1.5}); err == nil {
		t.Error("a fraction of a GPU is taken")
	}
	if _, err := nomadjobs.Render("none.nomad.hcl", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(nomadjobs.Files, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
