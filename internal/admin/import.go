package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"unicode"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/provision"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const importPath = "/api/import"

// ImportFile is the body of POST /api/import: a whole file of organisations and tokens.
type ImportFile struct {
	Name    string      `json:"name"`             // what mistakes call it, before the line; JSON if it ends in .json, else HCL
	Content string      `json:"content"`          // of the file
	Hashes  []TokenHash `json:"hashes,omitempty"` // for new tokens to which the file gives none
}

// TokenHash is the SHA-256 of the secret that a new token has.
type TokenHash struct {
	Org    string `json:"org"`
	Name   string `json:"name"`   // the token's
	SHA256 string `json:"sha256"` // 64 hexadecimal digits
}

// Imported is what a file changes, or has changed.
type Imported struct {
	Changes []ImportChange `json:"changes"` // in the order of the file; empty = everything is so already
	Missing []TokenName    `json:"missing"` // new tokens for which there is no hash; only of a dry run
	Applied bool           `json:"applied"`
}

// ImportChange is one difference, in words of the file.
type ImportChange struct {
	Change    string `json:"change"` // added or changed
	Org       string `json:"org"`
	Token     string `json:"token"`     // its name; empty = the organisation's own
	Attribute string `json:"attribute"` // empty = the whole block
	Old       string `json:"old"`       // values as the file writes them
	New       string `json:"new"`
	Text      string `json:"text"` // all of the above in one line, for people
}

// TokenName names a token of a file.
type TokenName struct {
	Org  string `json:"org"`
	Name string `json:"name"`
}

// importTenants makes organisations and tokens what a file says, or says what it would change.
func (s *Server) importTenants(c *fiber.Ctx) error {
	dry, err := dryRun(c)
	if err != nil {
		return err
	}
	var file ImportFile
	if err := read(c, &file); err != nil {
		return err
	}
	act(c).On("file/" + file.Name)
	if err := checkFile(file.Name, file.Content); err != nil {
		return err
	}
	hashes, err := file.hashes()
	if err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	found, err := provision.Import(ctx, s.c.Tenants, provision.Source{Name: file.Name, Content: []byte(file.Content)}, hashes, dry)
	var mistakes provision.Mistakes
	if errors.As(err, &mistakes) {
		return wrongContent(mistakes)
	}
	if err != nil {
		return err
	}
	if !dry {
		s.c.Log.Info("organisations and tokens imported", "file", file.Name, "changes", len(found.Changes))
	}
	return c.JSON(Imported{Changes: each(found.Changes, importChangeView), Missing: each(found.Missing, tokenNameView), Applied: !dry})
}

func tokenNameView(n tenant.TokenName) TokenName { return TokenName(n) }

func importChangeView(c tenant.ImportChange) ImportChange {
	view := ImportChange{Change: "changed", Org: c.Org, Token: c.Token, Attribute: c.Attribute, Old: c.Old, New: c.New, Text: c.String()}
	if c.Added {
		view.Change = "added"
	}
	return view
}

func (f ImportFile) hashes() (provision.Hashes, error) {
	hashes := provision.Hashes{}
	for _, h := range f.Hashes {
		var sum [sha256.Size]byte
		if n, err := hex.Decode(sum[:], []byte(h.SHA256)); len(h.SHA256) != 2*sha256.Size || n != sha256.Size || err != nil {
			return nil, edge.Invalid("hashes", "%q of token %q of %q is not the 64 hexadecimal digits of a SHA-256", h.SHA256, h.Name, h.Org)
		}
		name := tenant.TokenName{Org: h.Org, Name: h.Name}
		if _, twice := hashes[name]; twice {
			return nil, edge.Invalid("hashes", "the token %q of %q comes twice", h.Name, h.Org)
		}
		hashes[name] = sum
	}
	return hashes, nil
}

// wrongContent refuses a file for its mistakes, one a line.
func wrongContent(mistakes error) error {
	refused := edge.Invalid("content", "")
	refused.Message = mistakes.Error()
	return refused
}

// dryRun reads the parameter dry_run.
func dryRun(c *fiber.Ctx) (bool, error) {
	switch asked := query(c)["dry_run"]; asked {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, edge.Invalid("dry_run", "%q is neither true nor false", asked)
	}
}

// checkFile checks a file that comes in a body.
func checkFile(name, content string) error {
	switch {
	case name == "":
		return edge.Invalid("name", "missing; it is what mistakes in the file are reported under")
	case strings.ContainsFunc(name, unicode.IsControl):
		return edge.Invalid("name", "has a control character, which no line that begins with it could hold")
	case content == "":
		return edge.Invalid("content", "missing; it is the whole file")
	}
	return nil
}
