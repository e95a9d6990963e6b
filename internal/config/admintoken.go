package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// The roles of admin tokens.
const (
	RoleOperator = "operator"
	RoleAuditor  = "auditor"
	RoleBilling  = "billing"
)

// rootToken is the name of the token in admin.token_env.
const rootToken = "root"

// AdminToken is a named admin token, and where its secret is: one of Env and File.
type AdminToken struct {
	Name string
	Role string
	Env  string // an environment variable
	File string // each line is one
}

type adminTokenHCL struct {
	Name  string         `hcl:"name,label"`
	Role  *hcl.Attribute `hcl:"role,optional"`
	Env   *hcl.Attribute `hcl:"env,optional"`
	File  *hcl.Attribute `hcl:"file,optional"`
	Range hcl.Range      `hcl:",def_range"`
}

// adminTokens gives the named admin tokens of the file.
func (r *reader) adminTokens(blocks []*adminTokenHCL) []AdminToken {
	var all []AdminToken
	first := map[string]int{} // name -> line
	for _, f := range blocks {
		if !r.first(first, "token", f.Name, f.Range) {
			continue
		}
		if f.Name == rootToken {
			r.wrong(f.Range, "token %q is that of admin.token_env; name this one after whoever has it", rootToken)
		}
		r.label("token", f.Name, f.Range)
		all = append(all, r.adminToken(f))
	}
	return all
}

func (r *reader) adminToken(f *adminTokenHCL) AdminToken {
	t := AdminToken{Name: f.Name}
	r.required(f.Role, f.Range, "role", `what the token is for: "operator", "auditor" or "billing"`)
	r.choice(f.Role, &t.Role, RoleOperator, RoleAuditor, RoleBilling)
	switch {
	case f.Env == nil && f.File == nil:
		r.wrong(f.Range, "token %q: where is it? write env, the name of an environment variable, or file, of mode 0600", f.Name)
	case f.Env != nil && f.File != nil:
		r.wrong(f.File.NameRange, "file stands beside env; leave one of them")
	}
	r.variable(f.Env, &t.Env)
	r.path(f.File, &t.File)
	return t
}

var adminTokenAttributes = []attribute[AdminToken]{
	{key: "role", effect: effectNow, text: func(t *AdminToken) string { return quoted(t.Role) }},
	{key: "env", effect: effectNow, text: func(t *AdminToken) string { return quoted(t.Env) }},
	{key: "file", effect: effectNow, text: func(t *AdminToken) string { return quoted(t.File) }},
}

func diffAdminTokens(all Changes, old, next []AdminToken) Changes {
	named := func(tokens []AdminToken, name string) int {
		return slices.IndexFunc(tokens, func(t AdminToken) bool { return t.Name == name })
	}
	for i := range next {
		t := &next[i]
		if k := named(old, t.Name); k >= 0 {
			all = compare(all, Change{Block: "admin token", Name: t.Name}, adminTokenAttributes, &old[k], t)
		} else {
			all = append(all, Change{Kind: Added, Block: "admin token", Name: t.Name, Effect: effectNow})
		}
	}
	for _, t := range old {
		if named(next, t.Name) < 0 {
			all = append(all, Change{Kind: Removed, Block: "admin token", Name: t.Name, Effect: "refused from now on"})
		}
	}
	return all
}
