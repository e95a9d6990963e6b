// Package provision reads files of organisations, their limits and their tokens, in HCL or in HCL's JSON.
//
// It promises that every mistake in a file is reported as "file:line: what, and what would be right", all of them at once, those that only the store can tell
// included. It never reads or makes a secret: a file holds hashes of secrets. It never decides what is allowed: package tenant does.
package provision

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// Source is one file.
type Source struct {
	Name    string // what mistakes call it, before the line; JSON if it ends in .json, else HCL
	Content []byte
}

// Hashes are those of the secrets of new tokens for which the file gives none.
type Hashes = map[tenant.TokenName][sha256.Size]byte

// Mistakes are all that is wrong with a file, in the order of its lines.
type Mistakes []string

func (m Mistakes) Error() string { return strings.Join(m, "\n") }

// Import has a file imported, or says what it would change: see Tenants.Import. What is wrong with the file is Mistakes.
func Import(ctx context.Context, tenants *tenant.Tenants, file Source, hashes Hashes, dry bool) (*tenant.Imported, error) {
	r := &reader{file: file.Name, lines: map[place]int{}}
	orgs := r.read(file.Content)
	broken := len(r.mistakes) > 0
	done, err := tenants.Import(ctx, orgs, hashes, dry || broken)
	var problems *tenant.ImportError
	switch {
	case errors.As(err, &problems):
		for _, p := range problems.Problems {
			r.problem(p)
		}
	case err != nil:
		return nil, err
	}
	if len(r.mistakes) > 0 {
		return nil, r.sorted()
	}
	return done, nil
}

// place is where something stands: an organisation, one of its tokens, or an attribute of either.
type place struct{ org, token, attribute string }

type mistake struct {
	line int
	text string
}

// reader turns one file into what is to be imported, and gathers what is wrong with it.
type reader struct {
	file     string
	lines    map[place]int
	mistakes []mistake
}

func (r *reader) wrong(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, mistake{max(line, 1), fmt.Sprintf(format, args...)})
}

// problem notes what the tenants have found, where it stands: at the attribute, else at its block.
func (r *reader) problem(p tenant.ImportProblem) {
	attribute, _, _ := strings.Cut(p.Field, ".")
	text := p.Message
	if p.Field != "" && p.Field != "name" {
		text = p.Field + ": " + text
	}
	for _, at := range []place{{p.Org, p.Token, attribute}, {p.Org, p.Token, ""}, {p.Org, "", ""}} {
		if line, known := r.lines[at]; known {
			r.wrong(line, "%s", text)
			return
		}
	}
	r.wrong(1, "%s", text)
}

// sorted gives the mistakes by line, without repeated ones.
func (r *reader) sorted() Mistakes {
	slices.SortStableFunc(r.mistakes, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
	all := Mistakes{}
	for _, m := range slices.Compact(r.mistakes) {
		all = append(all, fmt.Sprintf("%s:%d: %s", r.file, m.line, m.text))
	}
	return all
}
