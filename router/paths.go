package router

import (
	"net/http"
	"strings"
)

// readPaths are what can be read below a prefix; those that end in a slash go on with an ID.
var readPaths = []string{"/models", "/models/", "/usage", "/usage/", "/invoices", "/invoices/", tokensPath}

// notFound answers a path that leads nowhere, and names the right one where it is nearly that: a base URL with /v1 twice
// or not at all, a slash too many, another spelling, another product's prefix.
func (r *Router) notFound(path string) *failure {
	if right := r.rightPath(path); right != "" {
		return failf(codeNotFound, "There is nothing at this path; did you mean %s? The base URL of a client ends in /v1, once.", right)
	}
	return failf(codeNotFound, "There is nothing at this path. A chat is POST /v1/chat/completions; /openapi.json lists the rest.")
}

// rightPath gives method and path of the operation whose path ends as this one does, "" if there is none.
func (r *Router) rightPath(path string) string {
	steps := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	prefix := r.prefixOf(steps)
	for _, e := range endpoints {
		if endsIn(steps, e.path) {
			return http.MethodPost + " " + prefix + e.path
		}
	}
	for _, p := range readPaths {
		if id, ok := strings.CutSuffix(p, "/"); ok {
			if i := stepsUpTo(steps, id); i > 0 {
				return clip(http.MethodGet + " " + prefix + p + strings.Join(steps[i:], "/"))
			}
		} else if endsIn(steps, p) {
			return http.MethodGet + " " + prefix + p
		}
	}
	for _, own := range []string{"/healthz", "/health", "/readyz", "/openapi.json"} {
		if len(steps) > 0 && strings.EqualFold(steps[len(steps)-1], own[1:]) {
			return http.MethodGet + " " + own
		}
	}
	return ""
}

// prefixOf gives the alias that the path begins with, else /v1.
func (r *Router) prefixOf(steps []string) string {
	whole := "/" + strings.Join(steps, "/") + "/"
	for _, alias := range r.c.PathAliases {
		if alias = "/" + strings.Trim(alias, "/"); strings.HasPrefix(whole, alias+"/") {
			return alias
		}
	}
	return "/v1"
}

// endsIn reports whether the last steps are those of a path, however they are written, in the singular too.
func endsIn(steps []string, path string) bool {
	want := strings.Split(path[1:], "/")
	if len(steps) < len(want) {
		return false
	}
	for i, s := range steps[len(steps)-len(want):] {
		if !alike(s, want[i]) {
			return false
		}
	}
	return true
}

// stepsUpTo gives how many steps there are up to and with the first one that is path, 0 if none follows it.
func stepsUpTo(steps []string, path string) int {
	for i, s := range steps[:max(len(steps)-1, 0)] {
		if alike(s, path[1:]) {
			return i + 1
		}
	}
	return 0
}

func alike(s, want string) bool {
	return strings.EqualFold(s, want) || strings.EqualFold(s+"s", want)
}
