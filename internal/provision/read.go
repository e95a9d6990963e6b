package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// What the blocks of a file hold.
var (
	fileSchema = schema("", "org NAME")
	orgSchema  = schema("models state "+limitNames, "token NAME", "budget_raise")
	// What identifies a token, or makes it, is its name or its hash: a secret never stands in a file.
	tokenSchema = schema("sha256 scopes models keepalive expires "+limitNames, "budget_raise")
	raiseSchema = schema("budget_usd until why")
)

const limitNames = "rpm concurrency budget_usd budget_period budget_soft"

// schema has these attributes and blocks, which are written with their label.
func schema(attributes string, blocks ...string) *hcl.BodySchema {
	s := &hcl.BodySchema{}
	for _, name := range strings.Fields(attributes) {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, b := range blocks {
		words := strings.Fields(b)
		s.Blocks = append(s.Blocks, hcl.BlockHeaderSchema{Type: words[0], LabelNames: words[1:]})
	}
	return s
}

// read gives the organisations, without what of them is wrong. A file whose syntax is broken is reported for that alone: what follows would be guesswork.
func (r *reader) read(src []byte) []tenant.OrgImport {
	if !utf8.Valid(src) {
		r.wrong(1, "the file is not UTF-8 text; save it as UTF-8")
		return nil
	}
	var file *hcl.File
	var problems hcl.Diagnostics
	if strings.HasSuffix(r.file, ".json") {
		file, problems = json.Parse(src, r.file)
	} else {
		file, problems = hclsyntax.ParseConfig(src, r.file, hcl.InitialPos)
	}
	if r.diagnostics(problems); problems.HasErrors() {
		return nil
	}
	content := r.content(file.Body, fileSchema)
	var orgs []tenant.OrgImport
	for _, block := range content.Blocks {
		if r.first(block, place{org: block.Labels[0]}) {
			orgs = append(orgs, r.org(block))
		}
	}
	return orgs
}

// first notes where a block stands, and refuses a second one of the name.
func (r *reader) first(block *hcl.Block, at place) bool {
	line := block.DefRange.Start.Line
	if other, twice := r.lines[at]; twice {
		r.wrong(line, "%s %q comes twice, the first time in line %d; leave one of them", block.Type, block.Labels[0], other)
		return false
	}
	r.lines[at] = line
	return true
}

func (r *reader) content(body hcl.Body, s *hcl.BodySchema) *hcl.BodyContent {
	content, problems := body.Content(s)
	r.diagnostics(problems)
	return content
}

func (r *reader) org(block *hcl.Block) tenant.OrgImport {
	org := tenant.OrgImport{Name: block.Labels[0]}
	at := place{org: org.Name}
	content := r.content(block.Body, orgSchema)
	v := r.values(content.Attributes, at)
	org.Change.Models = v.list("models")
	if state := v.text("state", `"active" or "suspended"`); state != nil {
		s := tenant.OrgState(*state)
		org.Change.State = &s
	}
	org.Change.Limits = v.limits(content.Blocks)
	for _, b := range content.Blocks.OfType("token") {
		if r.first(b, place{org: org.Name, token: b.Labels[0]}) {
			org.Tokens = append(org.Tokens, r.token(org.Name, b))
		}
	}
	return org
}

func (r *reader) token(org string, block *hcl.Block) tenant.TokenImport {
	token := tenant.TokenImport{Name: block.Labels[0]}
	content := r.content(block.Body, tokenSchema)
	v := r.values(content.Attributes, place{org: org, token: token.Name})
	token.Hash = v.hash("sha256")
	if scopes := v.list("scopes"); scopes != nil {
		all := make([]tenant.Scope, len(*scopes))
		for i, s := range *scopes {
			all[i] = tenant.Scope(s)
		}
		token.Scopes = &all
	}
	token.Models = v.list("models")
	token.Keepalive = v.text("keepalive", `"off", "comment" or "chunk"`)
	if expires := v.text("expires", `a day such as "2026-12-31" or a moment in RFC 3339`); expires != nil {
		at, err := parseEnd(*expires)
		if v.refuse("expires", err); err == nil {
			token.ExpiresAt = &at
		}
	}
	token.Limits = v.limits(content.Blocks)
	return token
}

// parseEnd reads when a token ends: a moment, because a span would move with each import. "" = never.
func parseEnd(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return tenant.ParseUntil(s)
}

// hash reads the hexadecimal digits of a SHA-256.
func (v *values) hash(name string) *[sha256.Size]byte {
	text := v.text(name, "the 64 hexadecimal digits of a SHA-256 in quotes")
	if text == nil {
		return nil
	}
	var hash [sha256.Size]byte
	if n, err := hex.Decode(hash[:], []byte(*text)); len(*text) != 2*sha256.Size || n != sha256.Size || err != nil {
		v.r.wrong(v.line(name), "%s: it is not the 64 hexadecimal digits of the SHA-256 of a token's secret; `printf %%s \"$TOKEN\" | sha256sum` gives them", name)
		return nil
	}
	return &hash
}

func (r *reader) diagnostics(problems hcl.Diagnostics) {
	for _, p := range problems {
		if p.Severity != hcl.DiagError {
			continue
		}
		line := 1
		if p.Subject != nil {
			line = p.Subject.Start.Line
		}
		first, size := utf8.DecodeRuneInString(p.Summary)
		r.wrong(line, "%s: %s", string(unicode.ToLower(first))+p.Summary[size:], strings.Join(strings.Fields(p.Detail), " "))
	}
}
