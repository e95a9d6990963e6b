package config

import (
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

func (r *reader) path(attr *hcl.Attribute, to *string) {
	var s string
	if !r.text(attr, &s, "a path in quotes") {
		return
	}
	if s == "" || strings.ContainsRune(s, 0) {
		r.wrong(attr.Expr.Range(), "%s is empty or holds a NUL; write a path", attr.Name)
		return
	}
	*to = r.options.resolve(s)
}

func (o Options) resolve(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(o.BaseDir, path)
}
