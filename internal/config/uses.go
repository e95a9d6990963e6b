package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Use is a file, directory or program that a server of a config needs on its own machine. Whether it is there is for others to find out.
type Use struct {
	Program bool   // looked for on PATH where it has no slash
	Path    string // as Config has it
	For     string // such as "weights of model \"acme/a\""
	Line    int    // of the file
}

// uses lists what a server of the config needs on its own machine. What engines need on Nomad's nodes is not there.
func uses(f *fileHCL, c *Config) []Use {
	var all []Use
	if f.Store != nil && c.Store.Kind == StoreSQLite {
		all = append(all, Use{Path: filepath.Dir(c.Store.Path), For: "directory of the store", Line: either(f.Store.Path, f.Store.Range).Start.Line})
	}
	if f.API != nil {
		all = append(all, usesOfTLS(f.API.TLS, c.API.TLS, "public")...)
	}
	if f.Admin != nil {
		all = append(all, usesOfTLS(f.Admin.TLS, c.Admin.TLS, "admin")...)
	}
	if c.Backend.Kind != BackendLocal {
		return all
	}
	for _, block := range f.Models {
		i := slices.IndexFunc(c.Models, func(m *fleet.Model) bool { return m.ID == block.ID })
		if i < 0 || block.Engine == nil {
			continue
		}
		e, of := c.Models[i].Engine, fmt.Sprintf(" of model %q", block.ID)
		if len(e.Command) > 0 {
			all = append(all, Use{Program: true, Path: e.Command[0], For: "engine" + of, Line: either(block.Engine.Command, block.Engine.Range).Start.Line})
		}
		if e.Kind != fleet.EngineSim && filepath.IsAbs(e.Weights) {
			all = append(all, Use{Path: e.Weights, For: "weights" + of, Line: either(block.Engine.Weights, block.Engine.Range).Start.Line})
		}
	}
	slices.SortStableFunc(all, func(a, b Use) int { return cmp.Compare(a.Line, b.Line) })
	return all
}
