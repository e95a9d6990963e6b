package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Parse validates src, a file called name. Its error is a Mistakes.
//
// What is not HCL is reported and left out, and the rest is checked without it; what may be wrong only because of what was left out is not reported.
func (o Options) Parse(name string, src []byte) (*Config, error) {
	c, _, err := o.parse(name, src)
	return c, err
}

func (o Options) parse(name string, src []byte) (*Config, []Use, error) {
	r := &reader{file: name, options: o.withBase(name)}
	file, left := r.syntax(src)
	if file == nil {
		return nil, nil, r.mistakes.sorted()
	}
	of := len(r.mistakes) // mistakes of the syntax
	c := r.options.Default()
	r.config(file, c)
	r.unavailable(file, c)
	r.mistakes = append(r.mistakes[:of:of], slices.DeleteFunc(r.mistakes[of:], func(m Mistake) bool { return left.excuses(m, src) })...)
	if len(r.mistakes) > 0 {
		return nil, nil, r.mistakes.sorted()
	}
	return c, uses(file, c), nil
}

// reader turns one file into a Config and gathers what is wrong with it.
type reader struct {
	file     string
	options  Options
	mistakes Mistakes
}

func (r *reader) wrong(at hcl.Range, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{File: r.file, Line: max(at.Start.Line, 1), Message: fmt.Sprintf(format, args...)})
}

// syntax parses src and holds its names against the schema. file is nil where nothing can be understood.
func (r *reader) syntax(src []byte) (file *fileHCL, left *damage) {
	if !utf8.Valid(src) {
		r.wrong(hcl.Range{}, "the file is not UTF-8 text; save it as UTF-8")
		return nil, nil
	}
	parsed, left := r.understood(src)
	if parsed == nil {
		return nil, left
	}
	before := len(r.mistakes)
	r.names(parsed.Body.(*hclsyntax.Body), file, "the file")
	file = new(fileHCL)
	decoded := gohcl.DecodeBody(parsed.Body, nil, file)
	if len(r.mistakes) == before && len(left.touched) == 0 { // else the decoder says the same again, in its own words, or misses what was left out
		r.diagnostics(decoded)
	}
	return file, left
}

func (r *reader) diagnostics(problems hcl.Diagnostics) {
	for _, p := range problems {
		if p.Severity != hcl.DiagError {
			continue
		}
		var at hcl.Range
		if p.Subject != nil {
			at = *p.Subject
		}
		r.wrong(at, "%s: %s", lowerFirst(p.Summary), strings.Join(strings.Fields(p.Detail), " "))
	}
}

func lowerFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(first)) + s[size:]
}
