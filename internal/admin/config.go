package admin

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"
)

const configPath = "/api/config"

// Configurer is what the admin API asks about the server's config.
type Configurer interface {
	// Configure takes the file, all of it or nothing; dry = only say what it would change.
	Configure(ctx context.Context, file ConfigFile, dry bool) (*Configured, error)
}

// ConfigFile is the body of POST /api/config: a whole config file. Relative paths in it mean what they mean in the server's own file, in whose place it is to stand.
type ConfigFile struct {
	Name    string `json:"name"`    // what mistakes call it, before the line
	Content string `json:"content"` // in HCL
}

// Configured is what a config file changes, or has changed.
type Configured struct {
	Changes  []ConfigChange `json:"changes"` // in the order of a file's sections; empty = it says what is in force
	Applied  bool           `json:"applied"`
	Warnings []string       `json:"warnings"` // for people
}

// ConfigChange is one difference, in words of the file.
type ConfigChange struct {
	Change    string `json:"change"`    // added, changed or removed
	Block     string `json:"block"`     // model, pool, price, …; empty = an attribute outside of all blocks
	Name      string `json:"name"`      // the block's label; empty = it has none
	Attribute string `json:"attribute"` // such as slots.max; empty = the whole block
	Old       string `json:"old"`       // values as the file writes them
	New       string `json:"new"`
	Effect    string `json:"effect"`  // what comes of it on a server that runs
	Restart   bool   `json:"restart"` // it cannot be made on a server that runs, and nothing else of the file with it
	Text      string `json:"text"`    // all of the above in one line, for people
}

// configure takes a config file, or says what it would change.
func (s *Server) configure(c *fiber.Ctx) error {
	dry, err := dryRun(c)
	if err != nil {
		return err
	}
	var file ConfigFile
	if err := read(c, &file); err != nil {
		return err
	}
	if err := checkFile(file.Name, file.Content); err != nil {
		return err
	}
	ctx, cancel := s.asking(c)
	defer cancel()
	configured, err := s.c.Config.Configure(ctx, file, dry)
	if err != nil {
		return err
	}
	act(c).Changes(configured.Audited(file.Name))
	return c.JSON(configured)
}

// Audited is what the audit log keeps of a config that was applied: each attribute as it was and as it is.
func (c *Configured) Audited(file string) (before, after any) {
	was, is := map[string]any{}, map[string]any{"file": file}
	for _, one := range c.Changes {
		name := strings.Trim(strings.Join([]string{one.Block, one.Name, one.Attribute}, " "), " ")
		if one.Attribute == "" && one.Name != "" { // a whole block
			is[name] = one.Change
			continue
		}
		was[name], is[name] = one.Old, one.New
	}
	return was, is
}
