package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Parse validates src, a file called name. Its error is a Mistakes.
//
// A file that is not HCL is reported for that alone: what follows a syntax error would be guesswork.
func (o Options) Parse(name string, src []byte) (*Config, error) {
	r := &reader{file: name, options: o.withBase(name)}
	file, sound := r.syntax(src)
	if !sound {
		return nil, r.mistakes.sorted()
	}
	c := r.options.Default()
	r.config(file, c)
	r.unavailable(file, c)
	if len(r.mistakes) > 0 {
		return nil, r.mistakes.sorted()
	}
	return c, nil
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

// syntax parses src and holds its names against the schema. sound is false where the rest cannot be understood.
func (r *reader) syntax(src []byte) (file *fileHCL, sound bool) {
	if !utf8.Valid(src) {
		r.wrong(hcl.Range{}, "the file is not UTF-8 text; save it as UTF-8")
		return nil, false
	}
	parsed, problems := hclsyntax.ParseConfig(src, r.file, hcl.InitialPos)
	if r.diagnostics(problems); !onlyRedefined(problems) {
		return nil, false
	}
	before := len(r.mistakes)
	r.names(parsed.Body.(*hclsyntax.Body), file, "the file")
	file = new(fileHCL)
	decoded := gohcl.DecodeBody(parsed.Body, nil, file)
	if len(r.mistakes) == before { // else the decoder says the same again, in its own words
		r.diagnostics(decoded)
	}
	return file, true
}

// onlyRedefined reports whether the parser has understood everything: an attribute written twice is a mistake, but the
// rest of the file is still what it seems.
func onlyRedefined(problems hcl.Diagnostics) bool {
	for _, p := range problems {
		if p.Severity == hcl.DiagError && p.Summary != "Attribute redefined" {
			return false
		}
	}
	return true
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
