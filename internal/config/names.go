package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// names reports attributes and blocks of body that the schema struct like does not have, blocks written twice, and labels
// that are missing or too many; then the same of the blocks inside. where is what the body is called in a message.
func (r *reader) names(body *hclsyntax.Body, like any, where string) {
	schema, _ := gohcl.ImpliedBodySchema(like)
	known := knownNames(schema)
	for name, attr := range body.Attributes {
		switch {
		case slices.ContainsFunc(schema.Blocks, func(b hcl.BlockHeaderSchema) bool { return b.Type == name }):
			r.wrong(attr.NameRange, "%s is a block; write it without the equals sign: %s", name, blockForm(schema, name))
		case !slices.ContainsFunc(schema.Attributes, func(a hcl.AttributeSchema) bool { return a.Name == name }):
			r.wrong(attr.NameRange, "%s has no attribute %q; %s", where, name, suggestion(name, known))
		}
	}
	seen := map[string]hcl.Range{} // block type -> where it was first
	for _, block := range body.Blocks {
		i := slices.IndexFunc(schema.Blocks, func(b hcl.BlockHeaderSchema) bool { return b.Type == block.Type })
		switch {
		case i < 0 && slices.ContainsFunc(schema.Attributes, func(a hcl.AttributeSchema) bool { return a.Name == block.Type }):
			r.wrong(block.TypeRange, "%s is an attribute; write it with an equals sign: %s = ...", block.Type, block.Type)
		case i < 0:
			r.wrong(block.TypeRange, "%s has no block %q; %s", where, block.Type, suggestion(block.Type, known))
		default:
			r.block(block, schema.Blocks[i], like, seen, blockForm(schema, block.Type))
		}
	}
}

func (r *reader) block(block *hclsyntax.Block, schema hcl.BlockHeaderSchema, like any, seen map[string]hcl.Range, form string) {
	if len(block.Labels) != len(schema.LabelNames) {
		r.wrong(block.TypeRange, "%s needs %s; write %s", block.Type, labels(schema), form)
		return
	}
	field := fieldOf(like, block.Type)
	first, again := seen[block.Type]
	if again && field.Kind() != reflect.Slice {
		r.wrong(block.TypeRange, "%s was written before, in line %d; leave one of them", block.Type, first.Start.Line)
		return
	}
	seen[block.Type] = block.TypeRange
	where := block.Type
	if len(block.Labels) > 0 {
		where = fmt.Sprintf("%s %q", block.Type, block.Labels[0])
	}
	for field.Kind() == reflect.Slice || field.Kind() == reflect.Pointer {
		field = field.Elem()
	}
	r.names(block.Body, reflect.New(field).Interface(), where)
}

// fieldOf gives the type of the field of struct like that holds blocks of a type.
func fieldOf(like any, blockType string) reflect.Type {
	t := reflect.TypeOf(like).Elem()
	for f := range t.Fields() {
		if f.Tag.Get("hcl") == blockType+",block" {
			return f.Type
		}
	}
	panic("config: schema without a field for block " + blockType)
}

func labels(schema hcl.BlockHeaderSchema) string {
	if len(schema.LabelNames) == 0 {
		return "no name"
	}
	return "one name in quotes"
}

func blockForm(schema *hcl.BodySchema, blockType string) string {
	for _, b := range schema.Blocks {
		if b.Type == blockType && len(b.LabelNames) > 0 {
			return fmt.Sprintf("%s %q { ... }", blockType, strings.ToUpper(b.LabelNames[0]))
		}
	}
	return blockType + " { ... }"
}

func knownNames(schema *hcl.BodySchema) []string {
	var known []string
	for _, a := range schema.Attributes {
		known = append(known, a.Name)
	}
	for _, b := range schema.Blocks {
		known = append(known, b.Type)
	}
	slices.Sort(known)
	return known
}

// suggestion says what would be right instead of a word: the known one that it resembles, else all of them.
func suggestion(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := levenshtein.Distance(word, k, nil); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "possible are " + strings.Join(known, ", ")
}

// first reports whether a block is the first of its kind and name. lines: name -> line of the first.
func (r *reader) first(lines map[string]int, kind, name string, at hcl.Range) bool {
	if line, again := lines[name]; again {
		r.wrong(at, "%s %q was written before, in line %d; leave one of them", kind, name, line)
		return false
	}
	lines[name] = at.Start.Line
	return true
}

// label refuses a block's name that is no word.
func (r *reader) label(kind, name string, at hcl.Range) {
	if !wordPattern.MatchString(name) {
		r.wrong(at, "%s %q: a name has letters, digits, - and _, at most 63", kind, name)
	}
}
