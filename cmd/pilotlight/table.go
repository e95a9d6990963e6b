package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeJSON prints v as JSON that is also fit to read.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows under a header in columns of two spaces' distance. Columns that the header marks with a leading ">"
// are set to the right, as numbers are. A cell of a space is blank; an empty one is shown as "-".
type table struct {
	header []string
	rows   [][]string
}

func newTable(header ...string) *table { return &table{header: header} }

func (t *table) row(cells ...any) {
	r := make([]string, len(cells))
	for i, c := range cells {
		r[i] = fmt.Sprint(c)
		if r[i] == "" {
			r[i] = "-"
		}
	}
	t.rows = append(t.rows, r)
}

// write prints the table.
func (t *table) write(w io.Writer) error {
	right := make([]bool, len(t.header))
	names := make([]string, len(t.header))
	for i, h := range t.header {
		names[i], right[i] = strings.CutPrefix(h, ">")
	}
	rows := append([][]string{names}, t.rows...)
	for i, width := range widths(rows) {
		if !right[i] {
			continue
		}
		for _, r := range rows {
			r[i] = strings.Repeat(" ", width-len([]rune(r[i]))) + r[i]
		}
	}
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	_ = tw.Flush() // to memory
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func widths(rows [][]string) []int {
	out := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			out[i] = max(out[i], len([]rune(c)))
		}
	}
	return out
}
