package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// unavailable refuses what the file may say one day, and says what to use until then. Everything else about it has been
// read and checked already.
func (r *reader) unavailable(f *fileHCL, c *Config) {
	if f.Store != nil && f.Store.Kind == StorePostgres {
		r.wrong(f.Store.Range, `store "postgres" is not available yet; use store "sqlite"`)
	}
	for _, p := range f.Pools {
		if c.Backend.Kind == BackendLocal && p.Name != fleet.LocalPool {
			r.wrong(p.Range, `the local back end has one pool, "local"; name it so, or leave the block out`)
		}
	}
	for _, m := range f.Models {
		r.unavailableEndpoints(m.Endpoints)
	}
}

func (r *reader) unavailableEndpoints(attr *hcl.Attribute) {
	if attr == nil {
		return
	}
	exprs, _ := hcl.ExprList(attr.Expr)
	for _, expr := range exprs {
		v, problems := expr.Value(placeholders)
		later := []fleet.Endpoint{fleet.EndpointEmbeddings, fleet.EndpointResponses, fleet.EndpointMessages}
		if !problems.HasErrors() && isText(v) && slices.Contains(later, fleet.Endpoint(v.AsString())) {
			r.wrong(expr.Range(), `endpoint %q is not available yet; use "chat" and "completions"`, v.AsString())
		}
	}
}
