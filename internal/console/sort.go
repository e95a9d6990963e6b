package console

import (
	"net/url"
	"slices"
	"strings"
)

// sortBy sorts rows by a column; "-" before its name is the other way round. A column that is not known leaves them as they are.
func sortBy[T any](rows []T, column string, by map[string]func(a, b *T) int) {
	name, down := strings.CutPrefix(column, "-")
	compare := by[name]
	if compare == nil {
		return
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		if down {
			a, b = b, a
		}
		return compare(&a, &b)
	})
}

// sorting makes the links of a table's heads.
type sorting struct {
	path  string
	query url.Values
	Now   string // the column that the table is sorted by
}

func (v *visit) sorting(usual string) sorting {
	q, _ := url.ParseQuery(string(v.Context().URI().QueryString()))
	now := q.Get("sort")
	if now == "" {
		now = usual
	}
	return sorting{v.Path(), q, now}
}

// Link goes to the table sorted by a column, or the other way round where it is sorted by it.
func (s sorting) Link(column string) string {
	q := url.Values{}
	for k, all := range s.query {
		q[k] = all
	}
	q.Set("sort", column)
	if s.Now == column {
		q.Set("sort", "-"+column)
	}
	return s.path + "?" + q.Encode()
}

// Aria says how the table is sorted by a column.
func (s sorting) Aria(column string) string {
	switch s.Now {
	case column:
		return "ascending"
	case "-" + column:
		return "descending"
	}
	return "none"
}
