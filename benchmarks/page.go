package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mostRows are those of a table in which every figure stands. A longer one has those that are to reach something.
const mostRows = 60

// pages makes what is committed of the reports: a page for each scenario, and the README with its table. File below home -> its text.
func pages(home string) (map[string][]byte, error) {
	all, err := readScenarios()
	if err != nil {
		return nil, err
	}
	made := make(map[string][]byte)
	var rows strings.Builder
	rows.WriteString("\n| scenario | question | goals | `go run ./benchmarks run …` |\n| --- | --- | --- | --- |\n")
	for _, s := range all {
		page, met, goals, err := s.page(filepath.Join(home, "results"))
		if err != nil {
			return nil, err
		}
		made[filepath.Join("results", s.Name+".md")] = page
		said := ""
		if goals > 0 {
			said = fmt.Sprintf("%d of %d met", met, goals)
		}
		fmt.Fprintf(&rows, "| [%s](results/%[1]s.md) | %s | %s | `%[1]s` |\n", s.Name, s.Question, said)
	}
	readme, err := os.ReadFile(filepath.Join(home, "README.md"))
	if err != nil {
		return nil, err
	}
	made["README.md"], err = between(readme, "<!-- scenarios: made by go run ./benchmarks pages -->\n", "<!-- end of scenarios -->", rows.String()+"\n")
	return made, err
}

// between replaces what stands between two marks.
func between(text []byte, from, to, with string) ([]byte, error) {
	head, rest, found := bytes.Cut(text, []byte(from))
	_, tail, ended := bytes.Cut(rest, []byte(to))
	if !found || !ended {
		return nil, fmt.Errorf("README.md has no %q followed by %q", strings.TrimSpace(from), to)
	}
	return fmt.Appendf(nil, "%s%s%s%s%s", head, from, with, to, tail), nil
}

// writePages writes what pages makes.
func writePages() error {
	made, err := pages(home())
	if err != nil {
		return err
	}
	for name, text := range made {
		if err := os.WriteFile(filepath.Join(home(), name), text, 0o644); err != nil {
			return fmt.Errorf("writing a page: %w", err)
		}
	}
	return nil
}

// page is a scenario's report for people, and how many of its goals are met. Without a folder of results, it is what the page says besides figures.
func (s *scenario) page(results string) (text []byte, met, goals int, err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\nMade by `go run ./benchmarks pages` of the scenario's [file](../scenarios/%[1]s.hcl) and the reports beside this page.\n\n**%s**\n\n```sh\ngo run ./benchmarks run %[1]s\n```\n", s.Name, s.Question)
	if len(s.Needs) > 0 {
		fmt.Fprintf(&b, "\nNeeds beyond Go: %s.\n", strings.Join(s.Needs, "; "))
	}
	if len(s.Peers) > 0 {
		fmt.Fprintf(&b, "\nIn the same run, where they are installed: %s.\n", strings.Join(s.Peers, ", "))
	}
	for i := range s.Steps {
		p := &s.Steps[i]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```sh\ngo run ./benchmarks %s\n```\n\n", p.Name, p.About, shellWords(p.Command))
		if results == "" {
			continue
		}
		r, err := readReport(filepath.Join(results, p.Name+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			b.WriteString("Not measured yet.\n")
			goals += len(p.Goals)
			continue
		}
		if err != nil {
			return nil, 0, 0, err
		}
		m, g := p.table(&b, r) // a goal of a figure that the report does not have yet is in neither
		met, goals = met+m, goals+g
	}
	b.WriteString("\n## What it does not show\n\n")
	for _, not := range s.NotShown {
		fmt.Fprintf(&b, "- %s\n", not)
	}
	if len(s.Notes) > 0 {
		b.WriteString("\n## How to read it\n\n")
		for _, note := range s.Notes {
			fmt.Fprintf(&b, "- %s\n", note)
		}
	}
	return b.Bytes(), met, goals, nil
}

// table writes a report, and counts the figures that are to reach something.
func (p *step) table(b *bytes.Buffer, r *report) (met, goals int) {
	fmt.Fprintf(b, "%s: %s.\n", upperFirst(r.Scenario), r.made())
	if beside := r.beside(); beside != "" {
		fmt.Fprintf(b, "Beside: %s.\n", beside)
	}
	if r.Note != "" {
		fmt.Fprintf(b, "%s.\n", upperFirst(strings.TrimSuffix(r.Note, ".")))
	}
	b.WriteString("\n| figure | median | range | n | goal | |\n| --- | ---: | ---: | ---: | --- | --- |\n")
	left := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		g := goalOf(p.Goals, f)
		if g == nil && len(r.Findings) > mostRows {
			left++
			continue
		}
		said, verdict := "", ""
		if g != nil {
			goals++
			said, verdict = g.String(), g.verdict(f)
			if g.met(f) {
				met++
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s – %s | %d | %s | %s |\n", strings.TrimSpace(f.Name), measured(f.Median, f.Unit), digits(f.Min), digits(f.Max), f.N, said, verdict)
	}
	if left > 0 {
		fmt.Fprintf(b, "\n%d more figures, which have no goal, are in [%s.json](%[2]s.json).\n", left, p.Name)
	}
	return met, goals
}

func measured(v float64, unit string) string {
	return strings.TrimSpace(digits(v) + " " + unitText(unit))
}

// digits writes a figure with three digits that count, and no more than it needs.
func digits(v float64) string {
	if v >= 1000 || v <= -1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// unitText spells out a unit.
func unitText(unit string) string {
	if of, is := strings.CutPrefix(unit, "cpu-"); is {
		what, per, counted := strings.Cut(of, "/")
		if counted {
			return what + " of CPU per " + per
		}
		return what + " of CPU"
	}
	return unit
}

// shellWords writes arguments as a shell takes them.
func shellWords(args []string) string {
	said := make([]string, len(args))
	for i, arg := range args {
		if said[i] = arg; strings.ContainsAny(arg, " *$'\"\\;&|<>()") {
			said[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(said, " ")
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
