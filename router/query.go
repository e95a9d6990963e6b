package router

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// checkQuery refuses a parameter that is not known, or comes twice: a filter that was mistyped must not show everything.
func checkQuery(ctx *fasthttp.RequestCtx, known []string) *failure {
	if len(ctx.URI().QueryString()) == 0 {
		return nil
	}
	seen := map[string]bool{}
	for k := range ctx.QueryArgs().All() {
		name := clip(string(k))
		switch {
		case seen[name]:
			return failf(codeInvalidRequest, "The parameter %q comes twice in the query; leave one of them.", name).at(name)
		case !slices.Contains(known, name) && len(known) == 0:
			return failf(codeInvalidRequest, "The query has %q, but there are no parameters here.", name).at(name)
		case !slices.Contains(known, name):
			return failf(codeInvalidRequest, "The query has %q, which is not known; possible are %s.", name, strings.Join(known, ", ")).at(name)
		}
		seen[name] = true
	}
	return nil
}
