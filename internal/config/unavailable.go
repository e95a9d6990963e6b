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
	if f.Autoscaler != nil && c.Autoscaler.Policy != "fixed" {
		r.wrong(f.Autoscaler.Policy.Range, `policy %q is not available yet; use "fixed"`, c.Autoscaler.Policy)
	}
	for _, p := range f.Pools {
		r.wrong(p.Range, `pool blocks are not available yet; leave them out: on the local back end every model shares the pool "local", on Nomad each instance is a job of its own`)
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
