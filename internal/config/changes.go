package config

import (
	"fmt"
	"strings"
)

// ChangeKind says what became of a block, or of one attribute.
type ChangeKind string

// The kinds of change. An attribute is always changed: one that the file leaves out has its default.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// Change is one difference between two configs, in words of the file.
type Change struct {
	Kind      ChangeKind
	Block     string // model, pool, price, …; "" = an attribute outside of all blocks
	Name      string // the block's label; "" = it has none
	Attribute string // such as slots.max; "" = the whole block
	Old, New  string // values as the file writes them
	Effect    string // what comes of it on a server that runs
	Restart   bool   // it cannot be made on a server that runs
}

// String gives the change in one line, such as `~ model "acme/a": gpus 4 -> 8 (its instances drain)`.
func (c Change) String() string {
	mark := map[ChangeKind]string{Added: "+", Changed: "~", Removed: "-"}[c.Kind]
	if c.Restart {
		mark = "!"
	}
	line := mark + " " + c.where()
	if c.Attribute != "" {
		line = fmt.Sprintf("%s%s %s -> %s", line, c.Attribute, c.Old, c.New)
	}
	if c.Effect != "" {
		line += " (" + c.Effect + ")"
	}
	return line
}

// where names the block, and leads over to the attribute.
func (c Change) where() string {
	where := c.Block
	if c.Name != "" {
		where += fmt.Sprintf(" %q", c.Name)
	}
	if where != "" && c.Attribute != "" {
		where += ": "
	}
	return where
}

// path names the block and the attribute in one word, such as api.addr.
func (c Change) path() string {
	where := c.Block
	if c.Name != "" {
		where += fmt.Sprintf(" %q", c.Name)
	}
	return strings.Trim(where+"."+c.Attribute, ".")
}

// Changes are all differences between two configs, in the order of a file's sections.
type Changes []Change

// Fixed gives those that cannot be made on a server that runs, as one error that names each; nil = there are none.
func (c Changes) Fixed() error {
	var names []string
	for _, one := range c {
		if one.Restart {
			names = append(names, one.path())
		}
	}
	switch len(names) {
	case 0:
		return nil
	case 1:
		return NeedsRestart(names[0] + " needs a restart")
	}
	return NeedsRestart(strings.Join(names, ", ") + " need a restart")
}

// NeedsRestart says what of a config cannot be taken by a server that runs.
type NeedsRestart string

func (n NeedsRestart) Error() string { return string(n) }
