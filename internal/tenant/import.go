package tenant

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/audit"
)

// OrgImport is what an organisation is to be like: created where there is none of its name. What it does not name stays as it is.
type OrgImport struct {
	Name   string
	Change OrgChange
	Tokens []TokenImport
}

// TokenImport is what a token is to be like. Nil fields stay as they are, or are as CreateToken has them.
type TokenImport struct {
	Name      string             // what it is called, and found by where no hash is given: among those that are not revoked
	Hash      *[sha256.Size]byte // of its secret; what it is found by; nil = see Name
	Scopes    *[]Scope
	Models    *[]string
	Keepalive *string
	ExpiresAt *time.Time // the zero time = never
	Limits    LimitsChange
}

// TokenName names a token within an import.
type TokenName struct{ Org, Name string }

// Imported is what an import changes, or has changed.
type Imported struct {
	Changes []ImportChange // in the order of the import; empty = everything is so already
	Missing []TokenName    // new tokens for which there is no hash
}

// ImportChange is one difference.
type ImportChange struct {
	Org       string
	Token     string // its name; "" = it is the organisation's own
	Added     bool   // the organisation or the token is new
	Attribute string // "" where Added
	Old, New  string // as an import file writes them
}

// String gives the change in one line.
func (c ImportChange) String() string {
	where := fmt.Sprintf("org %q", c.Org)
	if c.Token != "" {
		where += fmt.Sprintf(" token %q", c.Token)
	}
	if c.Added {
		return "+ " + where
	}
	return fmt.Sprintf("~ %s: %s %s -> %s", where, c.Attribute, c.Old, c.New)
}

// ImportError is all that keeps an import from being done.
type ImportError struct{ Problems []ImportProblem }

// ImportProblem is one thing that is wrong, and where.
type ImportProblem struct {
	Org     string
	Token   string // "" = with the organisation itself
	Field   string // as InvalidError names it; "" = with the whole
	Message string
}

func (e *ImportError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = strings.Join(slices.DeleteFunc([]string{p.Org, p.Token, p.Field}, func(s string) bool { return s == "" }), ".") + ": " + p.Message
	}
	return strings.Join(lines, "\n")
}

var errUnchanged = errors.New("there is nothing to change")

// Import makes organisations and tokens what they are to be, in one transaction: all of it or nothing. Names come once each. What it does not name stays as it is, organisations
// and tokens included, and a second time it changes nothing. hashes are for new tokens without a hash of their own. dry = only say what would change; then
// new tokens need no hash yet. The error is an *ImportError with everything that is wrong, where something is.
func (t *Tenants) Import(ctx context.Context, orgs []OrgImport, hashes map[TokenName][sha256.Size]byte, dry bool) (*Imported, error) {
	var i *importer
	plan := func(tx *sql.Tx) error {
		i = &importer{t: t, tx: tx, at: now(), hashes: hashes, taken: map[[sha256.Size]byte]bool{}, meant: map[string]bool{}}
		return i.plan(ctx, orgs, dry)
	}
	if dry {
		if err := t.store.Read(ctx, plan); err != nil {
			return nil, err
		}
		return &i.found, nil
	}
	err := t.write(ctx, func(tx *sql.Tx, version int64) error {
		if err := plan(tx); err != nil {
			return err
		}
		if len(i.found.Changes) == 0 {
			return errUnchanged
		}
		return i.put(ctx, version)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return nil, err
	}
	return &i.found, nil
}

// importer plans an import, then writes it.
type importer struct {
	t      *Tenants
	tx     *sql.Tx
	at     time.Time
	hashes map[TokenName][sha256.Size]byte
	taken  map[[sha256.Size]byte]bool // by tokens of this import
	meant  map[string]bool            // IDs of tokens that are in this import

	found    Imported
	problems []ImportProblem
	orgs     []imported[*Org]
	tokens   []imported[*hashed]
}

// imported is what is to be written, and what it was; nil = it is new.
type imported[T any] struct {
	to     T
	before map[string]any
}

// action is what an import does to one of a kind.
func (o imported[T]) action(kind string) string {
	if o.before == nil {
		return kind + ".create"
	}
	return kind + ".update"
}

func (i *importer) plan(ctx context.Context, orgs []OrgImport, dry bool) error {
	for _, want := range orgs {
		org, err := i.org(ctx, want)
		if err != nil {
			return err
		}
		for _, token := range want.Tokens {
			if err := i.token(ctx, org, token); err != nil {
				return err
			}
		}
	}
	if !dry {
		for _, m := range i.found.Missing {
			i.wrong(m.Org, m.Name, &InvalidError{"", "it is new and has no sha256; give that of its secret, or have `pilotlight org import --secrets FILE` make one"})
		}
	}
	if len(i.problems) > 0 {
		return &ImportError{i.problems}
	}
	return nil
}

func (i *importer) put(ctx context.Context, version int64) error {
	if err := audit.Note(ctx, i.tx, audit.Change{After: map[string]any{"orgs": len(i.orgs), "tokens": len(i.tokens)}}); err != nil {
		return err
	}
	for _, o := range i.orgs {
		if err := putOrg(ctx, i.tx, o.to, version); err != nil {
			return err
		}
		if err := noteOrg(ctx, i.tx, o.action("org"), o.before, o.to); err != nil {
			return err
		}
	}
	for _, h := range i.tokens {
		if err := putToken(ctx, i.tx, h.to, version); err != nil {
			return err
		}
		if err := noteToken(ctx, i.tx, h.action("token"), h.before, &h.to.Token); err != nil {
			return err
		}
	}
	return nil
}

// wrong notes what is wrong; nil is nothing.
func (i *importer) wrong(org, token string, err error) {
	if err == nil {
		return
	}
	p := ImportProblem{Org: org, Token: token, Message: err.Error()}
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		p.Field, p.Message = invalid.Field, invalid.Message
	}
	i.problems = append(i.problems, p)
}

// org plans one organisation, and gives what it is to be.
func (i *importer) org(ctx context.Context, want OrgImport) (*Org, error) {
	org, err := scanOrg(i.tx.QueryRowContext(ctx, selectOrg+" WHERE name = $1", want.Name))
	fresh := errors.Is(err, sql.ErrNoRows)
	if err != nil && !fresh {
		return nil, err
	}
	if fresh {
		i.wrong(want.Name, "", checkOrgName(want.Name))
		org = &Org{Name: want.Name, State: Active, Limits: Limits{Budget: Budget{Period: Monthly}}, CreatedAt: i.at}
	}
	before, noted := org.attributes(i.at), len(i.problems)
	var was map[string]any
	if !fresh {
		was = org.audited(i.at)
	}
	if want.Change.State != nil {
		i.wrong(want.Name, "", checkState(*want.Change.State))
	}
	if want.Change.Models != nil {
		i.models(want.Name, "", *want.Change.Models)
	}
	i.limits(want.Name, "", org.Limits, &want.Change.Limits)
	if err := i.t.apply(want.Change, org); len(i.problems) == noted { // else it is one of those
		i.wrong(want.Name, "", err)
	}
	if i.differs(want.Name, "", fresh, before, org.attributes(i.at)) {
		i.orgs = append(i.orgs, imported[*Org]{org, was})
	}
	return org, nil
}

// models notes each model of a list that there is not.
func (i *importer) models(org, token string, models []string) {
	for _, m := range models {
		_, err := i.t.models([]string{m})
		i.wrong(org, token, err)
	}
}

// limits notes each limit that cannot be, and leaves out a raise that has ended: a file may be imported for ever.
func (i *importer) limits(org, token string, from Limits, c *LimitsChange) {
	if c.Raise != nil && !c.Raise.Until.IsZero() && !c.Raise.Until.After(i.at) {
		c.Raise = nil
	}
	for _, part := range []LimitsChange{{RPM: c.RPM}, {Concurrency: c.Concurrency}, {Period: c.Period}, {Budget: c.Budget, Soft: c.Soft, Raise: c.Raise}} {
		_, err := from.after(part, i.at)
		i.wrong(org, token, err)
	}
}

// differs notes the differences, and reports whether there are any.
func (i *importer) differs(org, token string, fresh bool, before, after []attribute) bool {
	if fresh {
		i.found.Changes = append(i.found.Changes, ImportChange{Org: org, Token: token, Added: true})
	}
	changed := fresh
	for n, a := range after {
		if was, is := before[n].text(), a.text(); was != is {
			i.found.Changes = append(i.found.Changes, ImportChange{Org: org, Token: token, Attribute: a.name, Old: was, New: is})
			changed = true
		}
	}
	return changed
}
