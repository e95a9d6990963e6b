package config

import (
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// unavailable refuses what the file may say one day, and says what to use until then. Everything else about it has been
// read and checked already.
func (r *reader) unavailable(f *fileHCL, c *Config) {
	for _, p := range f.Pools {
		if c.Backend.Kind == BackendLocal && p.Name != fleet.LocalPool {
			r.wrong(p.Range, `the local back end has one pool, "local"; name it so, or leave the block out`)
		}
	}
}
