package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

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
