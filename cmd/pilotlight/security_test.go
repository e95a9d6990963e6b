package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurity_EveryAttackHasItsTest holds the tests that docs/SECURITY.md names to those that there are, and every fuzz target to that page and to inputs that are kept.
func TestSecurity_EveryAttackHasItsTest(t *testing.T) {
	text, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	is, function := map[string]bool{}, regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, f := range function.FindAllSubmatch(source, -1) {
			name := string(f[1])
			is[name] = true
			if kept, _ := os.ReadDir(filepath.Join(filepath.Dir(path), "testdata", "fuzz", name)); strings.HasPrefix(name, "Fuzz") && len(kept) == 0 {
				t.Errorf("%s of %s has no inputs that are kept", name, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(text), -1) {
		named[name[1]] = true
		if !is[name[1]] {
			t.Errorf("docs/SECURITY.md names %s, and there is no such test", name[1])
		}
	}
	if len(named) < 40 {
		t.Errorf("docs/SECURITY.md names %d tests; its table was not read", len(named))
	}
	_, table, _ := strings.Cut(string(text), "| attack |")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		if cells := strings.Split(row, "|"); len(cells) == 5 && !strings.Contains(cells[1], "---") && !strings.Contains(cells[3], "`Test") {
			t.Errorf("the attack %q has no test", strings.TrimSpace(cells[1]))
		}
	}
	for name := range is {
		if strings.HasPrefix(name, "Fuzz") && !named[name] && name != "FuzzCountIsBounded" && name != "FuzzAppendString" {
			t.Errorf("docs/SECURITY.md does not name %s", name)
		}
	}
}
