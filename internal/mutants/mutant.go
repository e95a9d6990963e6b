package mutants

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Mutant is one rule that is broken on purpose.
type Mutant struct {
	Name    string // of the file, without .patch
	Path    string // of the file, from the root
	Rule    string // for people: what it breaks
	Package string // of the test, as go test takes it
	Test    string // that must fail
	Env     []string
	hunks   []hunk
}

// hunk is one change of one file.
type hunk struct {
	file     string // from the root
	old, new string // whole lines
}

// Find gives all mutants below root.
func Find(root string) ([]*Mutant, error) {
	var found []*Mutant
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".patch" || !strings.HasSuffix(filepath.Dir(path), filepath.Join("testdata", "mutants")):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		m, err := Parse(filepath.ToSlash(rel), string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		found = append(found, m)
		return nil
	})
	return found, err
}

// Parse reads a mutant.
func Parse(path, text string) (*Mutant, error) {
	m := &Mutant{Path: path, Name: strings.TrimSuffix(filepath.Base(path), ".patch")}
	header, diff, found := strings.Cut(text, "\n--- ")
	if !found {
		return nil, errors.New(`no line "--- a/FILE"`)
	}
	for line := range strings.Lines(header) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); key {
		case "Rule":
			m.Rule = value
		case "Test":
			m.Package, m.Test, _ = strings.Cut(value, " ")
		case "Env":
			m.Env = append(m.Env, value)
		default:
			return nil, fmt.Errorf("%q is no Rule, Test or Env", strings.TrimSpace(line))
		}
	}
	if m.Rule == "" || m.Test == "" {
		return nil, errors.New(`it must say "Rule: WHAT IT BREAKS" and "Test: PACKAGE TEST"`)
	}
	return m, m.parseDiff("--- " + diff)
}

func (m *Mutant) parseDiff(diff string) error {
	file := ""
	for line := range strings.Lines(diff) {
		line = strings.TrimSuffix(line, "\n") + "\n"
		last := len(m.hunks) - 1
		switch {
		case strings.HasPrefix(line, "--- "):
			file = strings.TrimPrefix(strings.TrimSpace(line[4:]), "a/")
		case strings.HasPrefix(line, "+++ "):
		case strings.HasPrefix(line, "@@"):
			m.hunks = append(m.hunks, hunk{file: file})
		case last < 0:
			return fmt.Errorf("%q stands before the first @@", strings.TrimSpace(line))
		case line == "\n" || line[0] == ' ':
			line = strings.TrimPrefix(line, " ")
			m.hunks[last].old += line
			m.hunks[last].new += line
		case line[0] == '-':
			m.hunks[last].old += line[1:]
		case line[0] == '+':
			m.hunks[last].new += line[1:]
		default:
			return fmt.Errorf("%q begins with none of space, - and +", strings.TrimSpace(line))
		}
	}
	for _, h := range m.hunks {
		if h.file == "" || h.old == "" || h.old == h.new {
			return errors.New("a change says no file, no old lines, or nothing new")
		}
	}
	if len(m.hunks) == 0 {
		return errors.New("it changes nothing")
	}
	return nil
}

// Check gives an error where the patch no longer applies. It builds and runs nothing.
func (m *Mutant) Check(root string) error {
	_, err := m.apply(root)
	return err
}

// apply gives the changed files, by their path from the root.
func (m *Mutant) apply(root string) (map[string]string, error) {
	changed := make(map[string]string)
	for _, h := range m.hunks {
		text, known := changed[h.file]
		if !known {
			b, err := os.ReadFile(filepath.Join(root, h.file))
			if err != nil {
				return nil, err
			}
			text = "\n" + string(b) // so that the first line has a line's beginning, too
		}
		if n := strings.Count(text, "\n"+h.old); n != 1 {
			return nil, fmt.Errorf("it no longer applies: %s has %d places with these lines, want 1:\n%s", h.file, n, h.old)
		}
		changed[h.file] = strings.Replace(text, "\n"+h.old, "\n"+h.new, 1)
	}
	for file, text := range changed {
		changed[file] = text[1:]
	}
	return changed, nil
}
