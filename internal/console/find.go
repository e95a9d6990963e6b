package console

import (
	"slices"
	"strings"
)

// finding is what a visitor looks for in a table: rows that have all of its words.
type finding struct {
	q     string
	words []string
}

// find reads it from the query string, where the form of every table puts it.
func (v *visit) find() finding {
	return findingOf(v.Query("q"))
}

func findingOf(q string) finding {
	q = strings.TrimSpace(q)
	if len(q) > 200 {
		q = strings.ToValidUTF8(q[:200], "")
	}
	return finding{q, strings.Fields(strings.ToLower(q))}
}

// has reports whether a row with these texts is looked for.
func (f finding) has(texts ...string) bool {
	if len(f.words) == 0 {
		return true
	}
	all := strings.ToLower(strings.Join(texts, " "))
	return !slices.ContainsFunc(f.words, func(w string) bool { return !strings.Contains(all, w) })
}
